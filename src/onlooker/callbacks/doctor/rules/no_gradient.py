"""A model, or whole layers of it, that no gradient reaches at all."""

from __future__ import annotations

import math

from ..examination import Examination, is_matrix
from ..limits import COUNT, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

_CLOSE = 1e-5


class NoGradient(Rule):
    """Finds weights whose gradient is exactly 0 everywhere, and models in which nothing has a gradient.

    A part of a model, or one of several, may be used only now and then: a task's own head, an expert. It is spoken
    of once a whole epoch and 200 steps have gone by, or 500 steps, and only if it was never seen with a gradient,
    nor to have changed by more than weight decay, which multiplies all of it by one number.

    Args:
        patience: after how many looks in a row it speaks.
    """

    name = "no_gradient"
    why = "A gradient of exactly 0 says that the loss does not depend on these weights, so they cannot learn."
    advice = (
        "Look for detach(), no_grad(), argmax or rounding between them and the loss, for a loss that is already "
        "perfect, for units that are all dead, and for weights that are initialized to 0 on both sides."
    )
    source = "Goodfellow, Bengio and Courville 2016, section 11.5"
    reads = ("gradients", "updates", "weights")
    memory = ("used", "last")
    explained_by = ("not_finite", "no_generator_gradient", "dead_units", "saturated_units")
    limits = allowed(patience=COUNT)

    def __init__(self, patience: int = 5) -> None:
        self.patience = patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget which weights have been used."""
        self.used: dict[str, bool] = {}
        self.last: dict[str, list[float]] = {}

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Judge by which gradients are exactly 0."""
        if "gradients" not in examination.looked:
            return None
        found = []
        parts = examination.by_model("gradients")
        for model, updates in examination.by_model("updates").items():
            if model not in parts and self._is_due(model, list(updates), examination):
                seen = "the optimizer steps, but no weight has a gradient"
                found.append(Finding(model, seen, {"weights": len(updates)}, len(updates)))
        for model, gradients in parts.items():
            zero = [name for name, one in gradients.items() if one.zeros == one.count > 0]
            self.used.update((name, True) for name in gradients if name not in zero)
            if len(zero) == len(gradients):
                if self._is_due(model, zero, examination):
                    seen = "all gradients are exactly 0"
                    found.append(Finding(model, seen, {"weights": len(zero)}, len(zero)))
            else:
                unused = self._unused([name for name in zero if is_matrix(gradients[name])], examination)
                if examination.has_seen_much:
                    evidence = {"weights": len(unused)}
                    found += [Finding(name, "its gradient is exactly 0", evidence) for name in reversed(unused)]
        return found

    def _is_due(self, model: str, names: list[str], examination: Examination) -> bool:
        """Say whether a model without gradients is to be spoken of: a single one is always needed."""
        unused = self._unused(names, examination)
        return not model or (examination.has_seen_much and len(unused) == len(names))

    def _unused(self, names: list[str], examination: Examination) -> list[str]:
        """Return those that were never used so far, nor are frozen."""
        for name in names:
            one = examination.weights.get(name)
            if one is not None and name not in self.used:
                now = [one.min, one.max, math.sqrt(one.squares)]
                if not _is_multiple(now, self.last.get(name, now)):
                    self.used[name] = True
                self.last[name] = now
        return [name for name in names if name not in self.used and name not in examination.frozen]


def _is_multiple(now: list[float], before: list[float]) -> bool:
    """Say whether numbers are those before, times one number."""
    factor = now[2] / before[2] if before[2] else 1.0
    return all(abs(new - factor * old) <= _CLOSE * abs(before[2]) for new, old in zip(now, before, strict=True))
