"""NumPy's arrays and scalars, as `Logs` needs them. They are never on a device."""

from __future__ import annotations

from typing import Any

import numpy

_ADDED = 2
"""What `isbuiltin` is of types that others have added to NumPy. Float32 holds all numbers of those that there are."""


def has_type(kind: type) -> bool:
    """Say whether a type is one of arrays, or of NumPy's scalars."""
    return issubclass(kind, numpy.ndarray | numpy.generic)


def read(array: Any) -> float | None:
    """Return the one number of an array.

    Raises:
        ValueError: it has more or fewer than one element.
        TypeError: what it has is no real number.
    """
    return float(array.item())


def snapshot(array: Any) -> Any:
    """Return a copy of shape () in float64."""
    return numpy.array(array, dtype=numpy.float64).reshape(())


def add(total: Any, array: Any, weight: float) -> Any:
    """Return `total + array * weight`."""
    return total + array * weight


def add_all(total: Any, arrays: list[Any], weights: list[float]) -> Any:
    """Return a total plus arrays times their weights, in this order."""
    for array, weight in zip(arrays, weights, strict=True):
        total = total + array * weight
    return total


def can_stay(array: Any) -> bool:
    """Return False: an array may be changed in place."""
    return False


def is_gone(array: Any) -> bool:
    """Return False: whoever has an array can read it."""
    return False


def device(array: Any) -> object:
    """Return where the array is."""
    return "cpu"


def fetch(arrays: list[Any]) -> list[float]:
    """Return the numbers of arrays of shape ()."""
    return [float(array) for array in arrays]


def copied(array: Any) -> Any:
    """Return a copy."""
    return numpy.array(array, subok=True)


def as_numpy(array: Any, copy: bool) -> Any:
    """Return an array itself, or a copy of it; in float32 where its type is not NumPy's own, as bfloat16.

    Args:
        array: also a scalar, which becomes an array of shape ().
        copy: whether a copy.
    """
    if array.dtype.isbuiltin == _ADDED:
        return array.astype(numpy.float32)
    return copied(array) if copy else numpy.asanyarray(array)
