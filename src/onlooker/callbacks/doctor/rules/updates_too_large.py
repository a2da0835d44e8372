"""Steps so large that the weights are thrown about."""

from __future__ import annotations

from ..examination import Examination, is_matrix
from ..limits import COUNT, COUNT_FROM_0, POSITIVE, allowed
from ..rule import Finding, Rule


class UpdatesTooLarge(Rule):
    """Finds weights that each step changes by a large share of themselves, though the training is under way.

    Args:
        ratio: of the norm of a step to that of the weights; about 1e-3 is usual.
        warm_up: how many looks are not judged at the beginning, where weights may be near 0.
        patience: after how many looks in a row it speaks.
    """

    name = "updates_too_large"
    why = "Weights that change by a large share of themselves in each step forget what the steps before have learned."
    advice = "Divide the learning rate by 3 to 10, warm it up, or clip the gradient norm."
    source = "Karpathy, notes of CS231n 2015: about 1e-3"
    reads = ("updates", "weights")
    memory = ("looks",)
    explained_by = ("not_finite", "exploding_gradients")
    limits = allowed(ratio=POSITIVE, warm_up=COUNT_FROM_0, patience=COUNT)

    def __init__(self, ratio: float = 0.2, warm_up: int = 1, patience: int = 3) -> None:
        self.ratio, self.warm_up, self.patience = ratio, warm_up, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Begin to warm up."""
        self.looks = 0

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare each step with its weights."""
        if not examination.updates or not examination.weights:
            return None
        self.looks += 1
        if self.looks <= self.warm_up:
            return None
        found = []
        for name, update in examination.updates.items():
            weight = examination.weights.get(name)
            if weight is not None and is_matrix(weight) and update.squares > self.ratio**2 * weight.squares > 0:
                ratio = update.norm / weight.norm
                seen = f"each step changes the weights by {ratio:.0%} of themselves"
                found.append(Finding(name, seen, {"ratio": ratio, "usual_ratio": 1e-3}, ratio))
        return found
