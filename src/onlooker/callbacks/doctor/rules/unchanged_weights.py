"""Weights that no step has ever changed: forgotten, or cut off from the loss."""

from __future__ import annotations

from fnmatch import fnmatchcase

from ..examination import Examination
from ..limits import COUNT, allowed, words
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.summary import Summary


class UnchangedWeights(Rule):
    """Finds weights that are, after many steps, what they were at the first look, while others have changed.

    Those that a step has changed at any look, be it the first, are well: what has converged need not change any more.

    Weights that are marked as frozen (`requires_grad=False`, in Keras `trainable=False`) are left out, with the
    optimizer or not: nothing is frozen by forgetting it, and an optimizer that is given all of a model's weights,
    the frozen ones included, is how most fine-tuning is written. Only where nothing at all changes are they spoken
    of.

    Weights that have no gradient may belong to a part that is used only now and then: a task's own head, an expert.
    They are spoken of once a whole epoch and 200 steps have gone by, or 500 steps. Where a gradient is there, but
    exactly 0, the rule leaves the matter to `no_gradient` and `dead_units`.

    Args:
        ignore: patterns on the names of further weights that stay as they are on purpose, for example
            `["backbone.*"]`.
        patience: after how many looks, all of them with steps in between, it speaks.
    """

    name = "unchanged_weights"
    why = "What never changes does not learn; the rest has to make do with random weights there."
    advice = (
        "Look whether the optimizer was given these weights, whether its learning rate for them is 0, or whether "
        "detach(), no_grad() or a copy cuts them off from the loss. If they stay on purpose, freeze them "
        "(requires_grad_(False)), or name them in ignore."
    )
    source = "common practice; Goodfellow, Bengio and Courville 2016, section 11.5"
    reads = ("weights", "gradients", "updates")
    memory = ("first", "step")
    explained_by = ("no_gradient", "no_generator_gradient", "dead_units", "vanishing_gradients", "updates_too_small")
    limits = allowed(patience=COUNT)

    def __init__(self, ignore: str | tuple[str, ...] | list[str] = (), patience: int = 5) -> None:
        self.ignore, self.patience = words(self.name, "ignore", ignore), patience
        self.check()
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
        same = [name for name, one in examination.weights.items() if self._is_same(name, one, examination)]
        if not same:
            return []
        frozen = examination.frozen
        if len(same) == len(examination.weights):
            if frozen.issuperset(same) and not examination.updates:
                return []  # what is trained is no weight of the model: a prompt, a picture
            return [Finding("", "no step has changed any weight", {"weights": len(same)})]
        wanted = [name for name in same if name not in frozen and not self._is_ignored(name)]
        if not examination.has_seen_much:  # those without a gradient may still be used
            wanted = [name for name in wanted if name in examination.gradients or name in examination.left_gradients]
        return [Finding(name, *_reason(name, examination)) for name in wanted]

    def _is_ignored(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.ignore)

    def _is_same(self, name: str, one: Summary, examination: Examination) -> bool:
        """Say whether a weight is what it was at the first look; whether its gradient is 0 is another rule's matter."""
        update = examination.updates.get(name)
        if update is not None and update.squares:
            self.first[name] = None
            return False
        now = [one.total, one.squares, one.min, one.max]
        before = self.first.setdefault(name, now)
        if before is now or before is None:
            return False
        if before != now or one.nan or one.inf:
            self.first[name] = None
            return False
        gradient = examination.gradients.get(name)
        return gradient is None or gradient.squares > 0


def _reason(name: str, examination: Examination) -> tuple[str, dict[str, float], float]:
    """Say what is known of the cause."""
    count = float(examination.weights[name].count)
    gradient = examination.gradients.get(name)
    if gradient is not None:
        evidence = {"gradient_norm": gradient.norm, "elements": count}
        return "it has a gradient, but no step has changed it", evidence, count
    if name in examination.left_gradients:
        return "it has a gradient, but no optimizer that steps has it", {"elements": count}, count
    if "gradients" not in examination.looked:
        return "no step has changed it", {"elements": count}, count
    if name in examination.updates:
        return "it is with the optimizer, but has no gradient, and no step has changed it", {"elements": count}, count
    return "no step has changed it, and no optimizer has it or it has no gradient", {"elements": count}, count
