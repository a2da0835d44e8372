"""Sigmoid and tanh units whose outputs are all near their bounds, where they are flat."""

from __future__ import annotations

from ..examination import Examination
from ..limits import COUNT, SHARE, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.summary import Summary

_EDGE = 0.9


class SaturatedUnits(Rule):
    """Finds layers of tanh or sigmoid units, nearly all of which are at one of their bounds.

    A layer is taken for tanh if it puts out numbers on both sides of 0 and none beyond -1 and 1; for sigmoid, if
    they are between 0 and 1, not nearly all at one end, and no shares that add up to 1. What a model puts out last
    is left out: there it may be sure. So are layers behind frozen weights, which are as they are. How many are near
    the bounds at least follows from the mean square.

    Args:
        share: of the outputs that are within the outer tenth of the range at least.
        patience: after how many looks in a row it speaks.
    """

    name = "saturated_units"
    why = "Near its bounds the slope of tanh and sigmoid is nearly 0: hardly any gradient comes through."
    advice = (
        "Use smaller initial weights (Glorot), normalize the inputs, lower the learning rate, put a normalization "
        "layer in front, or use ReLU or GELU."
    )
    source = "LeCun, Bottou, Orr and Müller 1998; Glorot and Bengio 2010"
    reads = ("activations",)
    explained_by = ("not_finite",)
    limits = allowed(share=SHARE, patience=COUNT)

    def __init__(self, share: float = 0.7, patience: int = 5) -> None:
        self.share, self.patience = share, patience
        self.check()

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Judge by the mean square of what layers put out."""
        if not examination.activations:
            return None
        found = []
        for activations in examination.by_model("activations").values():
            last = list(activations.values())[-1]
            for name, one in activations.items():
                if one.squares == last.squares and one.count == last.count:
                    continue  # the last itself, or what it only gives another shape
                if name in examination.frozen_layers:
                    continue
                square = _mean_square(one)
                share = 0.0 if square is None else (square - _EDGE**2) / (1 - _EDGE**2)
                if share >= self.share:
                    seen = f"at least {share:.0%} of the outputs are near their bounds"
                    found.append(Finding(name, seen, {"share": share, "rms": one.rms, "mean": one.mean}, share))
        return found


def _mean_square(one: Summary) -> float | None:
    """Return the mean square of outputs, scaled to -1 to 1, or None where they are of another kind."""
    if not one.finite or one.max > 1 or one.min < -1:
        return None
    if one.min < 0:
        return one.squares / one.finite if one.min < -0.5 and one.max > 0.5 else None
    mean = one.total / one.finite
    is_shares = any(abs(mean * length - 1) < 1e-3 for length in one.shape or ())
    if is_shares or not 0.1 < mean < 0.9:
        return None
    return 4 * one.squares / one.finite - 4 * mean + 1
