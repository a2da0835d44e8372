"""Weights that no step has ever changed: forgotten, frozen, or cut off from the loss."""

from __future__ import annotations

from fnmatch import fnmatchcase

from ..examination import Examination
from ..rule import Finding, Rule


class UnchangedWeights(Rule):
    """Finds weights that are, after many steps, what they were at the first look, while others have changed.

    Where a gradient is there, but exactly 0, it leaves the matter to `no_gradient` and `dead_units`.

    Args:
        ignore: patterns on the names of weights that are frozen on purpose, for example `["backbone.*"]`.
        patience: after how many looks, all of them with steps in between, it speaks.
    """

    name = "unchanged_weights"
    why = "What never changes does not learn; the rest has to make do with random weights there."
    advice = (
        "Look whether the optimizer was given these weights, whether they were frozen by mistake, or whether detach(), "
        "no_grad() or a copy cuts them off from the loss. If they are frozen on purpose, name them in ignore."
    )
    source = "common practice; Goodfellow, Bengio and Courville 2016, section 11.5"
    reads = ("weights", "gradients", "updates")
    memory = ("first", "step")
    explained_by = ("no_gradient", "no_generator_gradient", "dead_units", "vanishing_gradients", "updates_too_small")

    def __init__(self, ignore: str | tuple[str, ...] | list[str] = (), patience: int = 5) -> None:
        self.ignore, self.patience = ((ignore,) if isinstance(ignore, str) else tuple(ignore)), patience
        self.begin()

    def begin(self) -> None:
        """Forget the weights."""
        self.first: dict[str, list[float] | None] = {}  # None: it has changed
        self.step = -1

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare with the first look."""
        if not examination.weights or examination.step <= self.step:
            return None
        self.step = examination.step
        same = []
        for name, one in examination.weights.items():
            now = [one.total, one.squares, one.min, one.max]
            before = self.first.setdefault(name, now)
            if before is now or before is None:
                continue
            if before == now and one.nan == one.inf == 0:
                gradient = examination.gradients.get(name)
                if gradient is None or gradient.squares:  # one that is 0 is another rule's matter
                    same.append(name)
            else:
                self.first[name] = None
        if len(same) == len(examination.weights):
            seen = "no step has changed any weight"
            return [Finding("", seen, {"weights": len(same)})]
        wanted = [name for name in same if not any(fnmatchcase(name, pattern) for pattern in self.ignore)]
        return [Finding(name, *_reason(name, examination)) for name in wanted]


def _reason(name: str, examination: Examination) -> tuple[str, dict[str, float], float]:
    """Say what is known of the cause."""
    count = float(examination.weights[name].count)
    gradient = examination.gradients.get(name)
    if gradient is not None:
        evidence = {"gradient_norm": gradient.norm, "elements": count}
        return "it has a gradient, but no step has changed it", evidence, count
    if "gradients" not in examination.looked:
        return "no step has changed it", {"elements": count}, count
    if name in examination.updates:
        return "it is with the optimizer, but has no gradient, and no step has changed it", {"elements": count}, count
    return "no step has changed it, and no optimizer has it or it has no gradient", {"elements": count}, count
