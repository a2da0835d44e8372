"""How far the parts of a weight are from each other: its rows, its columns, its output channels.

Owns how a rule gets to see that, which no summary of the whole tensor tells.
"""

from __future__ import annotations

from onlooker.core.errors import LookError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from onlooker.core.run import Run
    from onlooker.core.summary import Summary

    Place = tuple[str, int]  # a weight, and one of its axes


def axes_of_units(name: str, shape: tuple[int, ...] | None, family: str = "") -> list[int]:
    """Return along which axes a weight's parts belong to one unit each: of its own layer, or of the one in front.

    A matrix has units along both of its axes. Of more axes one is for the units of its own layer: the last in Keras,
    whose names have slashes, and in JAX, where the first may be for devices or layers; else the first.

    Args:
        name: of the weight.
        shape: of the weight.
        family: of the model, as in `ModelView`.

    Example:
        >>> axes_of_units("0.weight", (64, 32)), axes_of_units("0.weight", (1, 32)), axes_of_units("0.bias", (64,))
        ([0, 1], [1], [])
        >>> axes_of_units("conv.weight", (16, 1, 3, 3)), axes_of_units("conv/kernel", (3, 3, 1, 16))
        ([0], [3])
    """
    if shape is None or len(shape) < 2:
        return []
    last = len(shape) - 1
    own = last if family == "jax" or "/" in name else 0
    axes = [0, 1] if last == 1 and family != "jax" else [own]
    return [axis for axis in axes if shape[axis] > 1]


def may_be_alike(summary: Summary, axis: int) -> bool:
    """Say whether the parts along an axis may all be the same: then each number is there as often as there are parts.

    Example:
        >>> import numpy, onlooker as ol
        >>> rows = numpy.tile(numpy.arange(5.0), (3, 1))
        >>> may_be_alike(ol.summary(rows), 0), may_be_alike(ol.summary(rows), 1)
        (True, False)
    """
    parts = (summary.shape or (1,))[axis]
    return not any(count % parts for count in (summary.zeros, summary.nan, summary.inf, *summary.bins))


def spreads(run: Run, tensors: Mapping[str, Any], places: Iterable[Place]) -> dict[Place, float]:
    """Return how far the parts of tensors are from the first part of each, all together, as a norm.

    One tensor after the other, so that there is memory for one copy at a time.

    Args:
        run: the run whose tensors they are.
        tensors: by name. Those that are missing, or spread over several processes, are left out.
        places: the tensors' names, and along which axis the parts follow each other.
    """
    look = run.look()
    for name, axis in places:
        tensor = tensors.get(name)
        if tensor is not None and not hasattr(tensor, "to_local"):
            first = tensor[(*(slice(None),) * axis, slice(0, 1))]
            try:
                look.add((name, axis), tensor - first)
            except LookError:
                continue
    return {place: one.norm for place, one in look.fetch().items()}
