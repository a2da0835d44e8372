"""A model that goes on learning its training data by heart, and gets worse on others."""

from __future__ import annotations

from ..limits import COUNT, POSITIVE, allowed, word
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Overfitting(Rule):
    """Finds a validation loss that rises while the loss falls.

    Args:
        rise: by which share the validation loss is above its lowest; Prechelt calls it the generalization loss.
        loss: the name of the training's loss in the logs.
        validation_loss: the name of the validation's.
        patience: after how many epochs in a row it speaks.
    """

    name = "overfitting"
    why = "From here on the model learns what is particular to the training data, and gets worse on anything else."
    advice = (
        "Stop early and keep the best weights, or use more data, augmentation, weight decay, dropout, a smaller model."
    )
    source = "Prechelt 1998, Early Stopping: But When?"
    memory = ("first", "best", "loss_at_best")
    explained_by = ("not_finite",)
    needs = "loss and val_loss, of a validation"
    recovery = 10
    limits = allowed(rise=POSITIVE, patience=COUNT)

    def __init__(
        self, rise: float = 0.3, loss: str = "loss", validation_loss: str = "val_loss", patience: int = 5
    ) -> None:
        self.rise, self.patience = rise, patience
        self.loss = word(self.name, "loss", loss)
        self.validation_loss = word(self.name, "validation_loss", validation_loss)
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the best epoch."""
        self.first = self.best = self.loss_at_best = float("nan")

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> list[Finding] | None:
        """Compare with the best epoch so far."""
        loss, validation = logs.get(self.loss), logs.get(self.validation_loss)
        if loss is None or validation is None:
            return None
        if self.first != self.first:
            self.first = validation
        if not validation >= self.best:
            self.best, self.loss_at_best = validation, loss
            return []
        rise = validation - self.best
        if loss < self.loss_at_best and rise > self.rise * abs(self.best) and rise > 0.02 * abs(self.first):
            seen = f"{self.validation_loss} has risen from {self.best:.4g} to {validation:.4g} while {self.loss} fell"
            numbers = {"best": self.best, "now": validation, "loss": loss, "loss_at_best": self.loss_at_best}
            return [Finding(self.validation_loss, seen, numbers)]
        return []
