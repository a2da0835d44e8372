"""Steps so large that the weights are thrown about."""

from __future__ import annotations

from ..examination import Examination, gain, is_matrix, was_zero
from ..limits import COUNT, COUNT_FROM_0, POSITIVE, allowed, words
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.summary import Summary

_MOST_OF_IT = 0.5


class UpdatesTooLarge(Rule):
    """Finds weights that each step changes by a large share of themselves, or that a single step has thrown away.

    Adam's first step is as large as its learning rate, whatever the gradient: with a rate of 1 all weights are about 1
    or -1 then, and no later step is large beside that. So a step that is at least half of what the weights are behind
    it counts for as long as they are too large, if the loss has risen since. Weights that began as zeros have to grow
    by large shares of themselves, and are left out until one step was smaller, or they are too large.

    Args:
        ratio: of the norm of a step to that of the weights; about 1e-3 is usual.
        gain: how many times larger weights that a single step has made may make what passes through them; initial
            weights keep its size.
        loss: under which names it may be logged; the first that is there counts.
        warm_up: how many looks are not judged at the beginning, where weights may be near 0.
        patience: after how many looks in a row it speaks.
    """

    name = "updates_too_large"
    why = "Weights that change by a large share of themselves in each step forget what the steps before have learned."
    advice = "Divide the learning rate by 3 to 10, warm it up, or clip the gradient norm."
    source = "Karpathy, notes of CS231n 2015: about 1e-3"
    reads = ("updates", "weights")
    memory = ("looks", "before", "suspects", "thrown", "from_zero")
    explained_by = ("not_finite", "exploding_gradients")
    limits = allowed(ratio=POSITIVE, gain=POSITIVE, warm_up=COUNT_FROM_0, patience=COUNT)

    def __init__(
        self,
        ratio: float = 0.2,
        gain: float = 2.0,
        loss: str | tuple[str, ...] = "loss",
        warm_up: int = 1,
        patience: int = 3,
    ) -> None:
        self.ratio, self.gain, self.warm_up, self.patience = ratio, gain, warm_up, patience
        self.loss = words(self.name, "loss", loss)
        self.check()
        self.begin()

    def begin(self) -> None:
        """Begin to warm up."""
        self.looks = 0
        self.before: float | None = None  # the loss at the last look
        self.suspects: dict[str, float] = {}  # ratios at the last look, of which the next one tells more
        self.thrown: dict[str, float] = {}
        self.from_zero: dict[str, bool] = {}  # weights that began as zeros, and are small

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare each step with its weights."""
        if not examination.updates or not examination.weights:
            return None
        self.looks += 1
        self._judge_suspects(examination)
        found = []
        for name, update in examination.updates.items():
            weight = examination.weights.get(name)
            if weight is None or not is_matrix(weight) or not weight.squares > 0:
                continue
            ratio = update.norm / weight.norm
            self._suspect(name, weight, update, ratio)
            if ratio > self.ratio and name not in self.from_zero:
                seen = f"each step changes the weights by {ratio:.0%} of themselves"
                found.append(Finding(name, seen, {"ratio": ratio, "usual_ratio": 1e-3}, ratio))
            elif name in self.thrown:
                seen = f"a single step was {self.thrown[name]:.0%} of these weights, and they are still too large"
                found.append(Finding(name, seen, {"gain": gain(weight), "usual_gain": 1.0}, gain(weight)))
        return found if self.looks > self.warm_up else None

    def _judge_suspects(self, examination: Examination) -> None:
        """Find out whether the loss has risen since the last look, and take note of what it is now."""
        losses = next(filter(None, map(examination.values, self.loss)), None)
        if losses and self.before is not None and sum(losses) / len(losses) > self.before:
            self.thrown.update(self.suspects)
        self.suspects = {}
        self.before = None if examination.is_game or not losses else losses[-1]

    def _suspect(self, name: str, weight: Summary, update: Summary, ratio: float) -> None:
        is_too_large, is_first = gain(weight) > self.gain, was_zero(weight, update)
        if is_first:
            self.from_zero[name] = True
        elif is_too_large or ratio <= self.ratio:
            self.from_zero.pop(name, None)
        if not is_too_large:
            self.thrown.pop(name, None)
        elif ratio > _MOST_OF_IT and not is_first:
            self.suspects[name] = ratio
