"""NaN and infinity: in the loss, in weights, gradients and activations."""

from __future__ import annotations

import math

from ..examination import Examination
from ..limits import COUNT, allowed
from ..rule import Finding, Rule
from ..running import running_statistics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.summary import Summary

_STATISTICS_EVERY = 10  # looks


class NotFinite(Rule):
    """Finds numbers that are none. It names the first layer in which they are.

    Infinities among activations are left to their consequences: masks of attention are made of them. Gradients are
    spoken of at the second look in a row: under a gradient scaler some steps overflow, and are skipped. `FindNaN` finds
    the operation. The running statistics of batch norm are looked at at every tenth look: in training nothing depends
    on them, so that the loss stays finite.

    Args:
        patience: after how many looks in a row it speaks.
    """

    name = "not_finite"
    why = "Once a weight is NaN, everything that follows is, and the training is lost from there on."
    advice = (
        "Lower the learning rate, clip the gradient norm, look for log(0), 0/0 and the square root of 0 in the loss, "
        "and for NaN in the data; train in bfloat16 rather than float16. FindNaN names the operation."
    )
    source = "Micikevicius and others 2018, Mixed Precision Training; common practice"
    reads = ("activations", "gradients", "weights")
    memory = ("bad_gradients", "looks")
    limits = allowed(patience=COUNT)

    def __init__(self, patience: int = 1) -> None:
        self.patience = patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the last look."""
        self.bad_gradients = self.looks = 0

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Look at all counts; name one place."""
        place = (
            _first_nan("activations", examination)
            or _first_bad("weights", examination)
            or self._gradients(examination)
            or _loss(examination)
            or self._statistics(examination)
        )
        return [] if place is None else [place]

    def _gradients(self, examination: Examination) -> Finding | None:
        found = _first_bad("gradients", examination)
        self.bad_gradients = 0 if found is None else self.bad_gradients + 1
        return found if self.bad_gradients > 1 else None

    def _statistics(self, examination: Examination) -> Finding | None:
        self.looks += 1
        if self.looks % _STATISTICS_EVERY:
            return None
        summaries = running_statistics(examination.run)
        bad = [name for name, one in summaries.items() if one.nan or one.inf]
        return _finding("running statistics", bad, summaries) if bad else None


def _first_nan(what: str, examination: Examination) -> Finding | None:
    summaries: dict[str, Summary] = getattr(examination, what)
    bad = [name for name, one in summaries.items() if one.nan]
    return _finding(what, bad, summaries) if bad else None


def _first_bad(what: str, examination: Examination) -> Finding | None:
    summaries: dict[str, Summary] = getattr(examination, what)
    bad = [name for name, one in summaries.items() if one.nan or one.inf]
    return _finding(what, bad, summaries) if bad else None


def _finding(what: str, bad: list[str], summaries: dict[str, Summary]) -> Finding:
    one = summaries[bad[0]]
    seen = f"of the {what} {one.nan} of {one.count} are NaN and {one.inf} infinite, first in this layer"
    return Finding(bad[0], seen, {"nan": one.nan, "inf": one.inf, "layers": len(bad)})


def _loss(examination: Examination) -> Finding | None:
    for logs in examination.logged:
        for name, value in logs.items():
            if not math.isfinite(value):
                return Finding(name, f"{name} is {value}", {name: value})
    return None
