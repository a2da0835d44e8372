"""JAX's arrays, as `Logs` needs them.

They count as being on a device even on the CPU, since JAX computes behind the program's back there too. They cannot
change, but they can be donated to a step and are deleted then, so a snapshot is a copy. Whatever is computed here is
compiled: a call of a compiled function costs a tenth of the operations one by one.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy
import numpy

from .numpy import as_numpy as as_known

_WIDE = (numpy.dtype("float32"), numpy.dtype("float64"))
_FEW, _MANY = 4, 32
"""Up to so many arrays are added one by one; more are added so many at a time, by one call."""


def has_type(kind: type) -> bool:
    """Say whether a type is one of arrays."""
    return issubclass(kind, jax.Array)


def read(array: Any) -> float | None:
    """Return None: reading any array would wait for it."""
    return None


@jax.jit
def snapshot(array: Any) -> Any:
    """Return a copy of shape () in float32, or float64 where the array is: JAX widens no further by itself.

    Raises:
        TypeError: it has more or fewer than one element, or its number is complex.
    """
    if jax.numpy.iscomplexobj(array):
        raise TypeError("a complex number is no value to log")
    wide = jax.numpy.float64 if array.dtype == jax.numpy.float64 else jax.numpy.float32
    return jax.numpy.array(array.reshape(()), dtype=wide)


def can_stay(array: Any) -> bool:
    """Say whether an array is what `snapshot` would make of it; it does not change, but it may be donated."""
    return array.shape == () and array.dtype in _WIDE


def is_gone(array: Any) -> bool:
    """Say whether an array was donated, or deleted."""
    return bool(array.is_deleted())


@jax.jit
def add(total: Any, array: Any, weight: float) -> Any:
    """Return `total + array * weight`, on the device."""
    return total + array * weight


def add_all(total: Any, arrays: list[Any], weights: list[float]) -> Any:
    """Return a total plus arrays times their weights, in this order, on the device."""
    if len(arrays) <= _FEW:
        for array, weight in zip(arrays, weights, strict=True):
            total = add(total, array, weight)
        return total
    for at in range(0, len(arrays), _MANY):
        part = arrays[at : at + _MANY]
        missing = _MANY - len(part)
        numbers = numpy.array(weights[at : at + _MANY] + [0.0] * missing, jax.numpy.result_type(float))
        total = _add_many(total, part + part[:1] * missing, numbers)
    return total


@jax.jit
def _add_many(total: Any, arrays: list[Any], weights: Any) -> Any:
    """Add `_MANY` arrays; those whose weight is 0 only fill up the list, so that this is compiled once."""

    def add_one(total: Any, entry: tuple[Any, Any]) -> tuple[Any, None]:
        array, weight = entry
        return jax.numpy.where(weight > 0, total + array * weight, total), None

    values = jax.numpy.stack(arrays)
    wide = jax.numpy.result_type(total, values)
    start = jax.numpy.asarray(total, wide)
    return jax.lax.scan(add_one, start, (values.astype(wide), weights.astype(wide)))[0]


def device(array: Any) -> object:
    """Return where the array is: values in one place are fetched together."""
    return array.sharding, str(array.dtype)


def fetch(arrays: list[Any]) -> list[float]:
    """Bring arrays of shape () from one device in one transfer."""
    if len(arrays) == 1:
        return [float(arrays[0])]
    return [float(number) for number in jax.device_get(jax.numpy.stack(arrays))]


def copied(array: Any) -> Any:
    """Return a copy, in the same place: a step to which the array is donated leaves it."""
    return jax.numpy.copy(array)


def as_numpy(array: Any, copy: bool) -> Any:
    """Return an array as NumPy's: on the CPU its own memory, read-only; from a device it is fetched.

    Args:
        array: anywhere. A step to which it is donated makes its own memory, as long as somebody has a view of this one.
        copy: whether a copy, which may be written to.

    Raises:
        TypeError: it was donated, or other processes have parts of it.
    """
    if is_gone(array):
        raise TypeError("it was donated to a compiled function, and its memory is gone")
    if not (array.is_fully_addressable or array.is_fully_replicated):
        raise TypeError("other processes have parts of it")
    return as_known(numpy.asarray(array), copy)
