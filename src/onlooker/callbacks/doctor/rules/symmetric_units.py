"""Layers all of whose units are the same, and stay so."""

from __future__ import annotations

from onlooker.core.errors import AbsentError
from onlooker.core.view import looked_at

from ..alike import axes_of_units, may_be_alike, spreads
from ..examination import Examination
from ..limits import COUNT, SHARE, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..alike import Place

_TYPES = ("float64", "float32", "float16", "bfloat16")  # those that can be subtracted everywhere
_NOISE = 1e-5  # what rounding makes of equal numbers


class SymmetricUnits(Rule):
    """Finds weights that are the same for all units of a layer, and that each step changes in the same way for all.

    To begin with a constant is no illness by itself: random weights behind it give each unit a gradient of its own, and
    so do the labels to each output, be it the zeros of a last layer, of an adapter or of a residual block. So the steps
    tell: alike are units that are not even by a small share of a single step apart, neither are their gradients. Where
    no step changes anything, it is for `no_gradient` to speak.

    Which weights may be meant is seen from the summaries; only those are compared, unit by unit, at the first look and
    for as long as they are alike.

    Args:
        share: of the norm of a step, and of a gradient, by which units that are alike may be apart.
        patience: after how many looks in a row it speaks.
    """

    name = "symmetric_units"
    why = (
        "Units that begin alike and get the same gradient stay alike: the whole layer can do no more than one of them."
    )
    advice = (
        "Initialize weights at random (He, Glorot), and with a constant only biases, scales and the last layer of a "
        "block; look for a loop that fills all parameters, and for units that were copied."
    )
    source = "Goodfellow, Bengio and Courville 2016, section 8.4"
    reads = ("weights", "updates")
    memory = ("suspects",)
    explained_by = ("not_finite",)
    limits = allowed(share=SHARE, patience=COUNT)

    def __init__(self, share: float = 1e-3, patience: int = 3) -> None:
        self.share, self.patience = share, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Suspect nothing yet."""
        self.suspects: dict[str, list[int]] | None = None  # of weights that were alike so far, along which axes

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare the units that were alike so far."""
        if not examination.weights or not examination.updates:
            return None
        places = self._suspected(examination)
        apart = spreads(examination.run, examination.run.weights(), places) if places else {}
        self.suspects = {}
        for name, axis in apart:
            weight, step = examination.weights[name].norm, _step(name, examination)
            if apart[name, axis] <= max(_NOISE * weight, self.share * step):
                self.suspects.setdefault(name, []).append(axis)
        moved = [place for place in apart if apart[place] <= self.share * _step(place[0], examination) > 0]
        found: dict[str, Finding] = {}
        for name, axis in self._with_like_gradients(moved, examination) if moved else []:
            count = (examination.weights[name].shape or ())[axis]
            seen = f"its {count} {_parts(name, axis, examination)} are all the same, and change in the same way"
            evidence = {"units": count, "apart": apart[name, axis], "step": _step(name, examination)}
            found.setdefault(name, Finding(name, seen, evidence))
        return list(found.values())

    def _suspected(self, examination: Examination) -> list[Place]:
        """Return the weights, each with an axis, along which all parts may be alike."""
        if self.suspects is not None:
            known = [name for name in self.suspects if name in examination.weights]
            return [(name, axis) for name in known for axis in self.suspects[name]]
        family, frozen = examination.run.view.family, examination.frozen
        return [
            (name, axis)
            for name, one in examination.weights.items()
            for axis in axes_of_units(name, one.shape, family)
            if one.dtype in _TYPES and may_be_alike(one, axis) and name not in frozen
        ]

    def _with_like_gradients(self, places: list[Place], examination: Examination) -> list[Place]:
        """Leave out those whose gradients can be seen, and are not alike: the first steps of Adam are by themselves."""
        try:
            gradients = examination.run.gradients()
        except AbsentError:
            return places
        norms = looked_at(examination.run.look(), {name: gradients[name] for name, _ in places if name in gradients})
        apart = spreads(examination.run, gradients, places)
        return [place for place in places if place not in apart or apart[place] <= self.share * norms[place[0]].norm]


def _step(name: str, examination: Examination) -> float:
    """Return the norm of the step behind which a weight was looked at; 0 where there was none."""
    update = examination.updates.get(name)
    return update.norm if update is not None and update.squares > 0 else 0.0


def _parts(name: str, axis: int, examination: Examination) -> str:
    shape = examination.weights[name].shape or ()
    if len(shape) == 2:
        return ("rows", "columns")[axis]
    return "output channels"
