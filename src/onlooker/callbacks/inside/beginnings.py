"""`Beginnings`: what a look cannot tell by itself: how large weights were at first, and since when a tensor is sick.

Owns the few numbers that are remembered for that. What they mean for a layer is `standing_out`'s business.
"""

from __future__ import annotations

import math

from .choice import layer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from onlooker.core.summary import Summary

    Summaries = Mapping[str, Mapping[str, Summary]]

ORDER = ("activations", "gradients", "updates", "weights")
"""In which order tensors of one step come into being, as far as one may cause that the next is not finite."""


class Beginnings:
    """Remembers of a training what its later looks are compared with.

    Attributes:
        not_finite_since: by what and by name, the step of the first look at which something was not finite, of those
            for which that has lasted.
        first_squares: by name of a weight, the sum of squares of it and of its update, at its first look.
    """

    def __init__(self) -> None:
        self.not_finite_since: dict[tuple[str, str], int] = {}
        self.first_squares: dict[str, tuple[float, float]] = {}

    def take(self, step: int, latest: Summaries) -> None:
        """Take what a look has found."""
        since = self.not_finite_since
        for what, summaries in latest.items():
            for name, summary in summaries.items():
                if summary.nan or summary.inf:
                    since.setdefault((what, name), step)
                elif since:
                    since.pop((what, name), None)
        updates, first = latest.get("updates"), self.first_squares
        if updates:
            for name, weight in latest.get("weights", {}).items():
                if name not in first and name in updates:
                    first[name] = (weight.squares, updates[name].squares)

    def growth(self, latest: Summaries) -> dict[str, float]:
        """Return by layer how many times larger its weights are than at first.

        Layers that began with zeros are left out: their first update is all that they were, and all is growth. So are
        those that are nothing but zeros or NaN now.
        """
        sums: dict[str, list[float]] = {}
        for name, weight in latest.get("weights", {}).items():
            if name in self.first_squares:
                of_layer = sums.setdefault(layer_of(name), [0.0, 0.0, 0.0])
                for at, squares in enumerate((weight.squares, *self.first_squares[name])):
                    of_layer[at] += squares
        return {
            layer: math.sqrt(now / first)
            for layer, (now, first, update) in sums.items()
            if now and first and update < 0.9 * first
        }

    def not_finite(self) -> dict[str, tuple[int, int]]:
        """Return by layer the step since which it is not finite, and the place in `ORDER` of what was so first."""
        found: dict[str, tuple[int, int]] = {}
        for (what, name), step in self.not_finite_since.items():
            if what in ORDER:
                layer = name if what == "activations" else layer_of(name)
                found[layer] = min(found.get(layer, (step, len(ORDER))), (step, ORDER.index(what)))
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "not_finite_since": [(*key, step) for key, step in self.not_finite_since.items()],
            "first_squares": dict(self.first_squares),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Beginnings:
        """Return what `state_dict` was made of."""
        beginnings = cls()
        beginnings.not_finite_since = {(what, name): int(step) for what, name, step in state["not_finite_since"]}
        beginnings.first_squares = {name: (one, other) for name, (one, other) in state["first_squares"].items()}
        return beginnings
