"""JAX's arrays, as `Logs` needs them.

They count as being on a device even on the CPU, since JAX computes behind the program's back there too. They cannot
change, but they can be donated to a step and are deleted then, so a snapshot is a copy. Whatever is computed here is
compiled: a call of a compiled function costs a tenth of the operations one by one.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy


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


@jax.jit
def add(total: Any, array: Any, weight: float) -> Any:
    """Return `total + array * weight`, on the device."""
    return total + array * weight


@jax.jit
def scale(array: Any, weight: float) -> Any:
    """Return `array * weight`, on the device."""
    return array * weight


def device(array: Any) -> object:
    """Return where the array is: values in one place are fetched together."""
    return array.sharding, str(array.dtype)


def fetch(arrays: list[Any]) -> list[float]:
    """Bring arrays of shape () from one device in one transfer."""
    if len(arrays) == 1:
        return [float(arrays[0])]
    return [float(number) for number in jax.device_get(jax.numpy.stack(arrays))]
