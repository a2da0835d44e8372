"""Steps so small that nothing can be learned in any reasonable time."""

from __future__ import annotations

from ..examination import Examination, is_matrix
from ..limits import COUNT, POSITIVE, allowed
from ..rule import Finding, Rule


class UpdatesTooSmall(Rule):
    """Finds weights that no step so far has changed by more than a tiny share of themselves.

    It looks at the largest step since the beginning, so that a training that is about to converge, or a learning rate
    that has been lowered on purpose, is not spoken of; while the learning rate rises it waits.

    Args:
        ratio: of the norm of the largest step to that of the weights; about 1e-3 is usual.
        patience: after how many looks in a row it speaks.
    """

    name = "updates_too_small"
    why = "With steps of a millionth of the weights it takes millions of steps to get anywhere."
    advice = "Multiply the learning rate by 10 until the loss falls; look for a loss that is divided or scaled down."
    source = "Karpathy, notes of CS231n 2015: about 1e-3"
    reads = ("updates", "weights")
    memory = ("largest", "rates")
    explained_by = ("vanishing_gradients", "dead_units")
    limits = allowed(ratio=POSITIVE, patience=COUNT)

    def __init__(self, ratio: float = 1e-5, patience: int = 10) -> None:
        self.ratio, self.patience = ratio, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the steps so far."""
        self.largest: dict[str, float] = {}
        self.rates: dict[str, float] = {}

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare the largest steps so far with the weights."""
        if not examination.updates or not examination.weights:
            return None
        rates, before = examination.learning_rate, self.rates
        self.rates = dict(rates)
        is_rising = any(rate > before.get(name, rate) for name, rate in rates.items())
        found = []
        for name, update in examination.updates.items():
            weight = examination.weights.get(name)
            if weight is None or not weight.squares or not update.squares or not is_matrix(weight):
                continue
            ratio = self.largest[name] = max(self.largest.get(name, 0.0), update.norm / weight.norm)
            if ratio < self.ratio:
                seen = f"no step so far has changed the weights by more than {ratio:.0e} of themselves"
                found.append(Finding(name, seen, {"ratio": ratio, "usual_ratio": 1e-3}, 1 / ratio))
        return [] if is_rising else found
