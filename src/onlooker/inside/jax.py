"""JAX's arrays. On the CPU they are looked at where they lie; on a device their numbers are computed there.

Owns the pass on a device: compiled once for each shape, and fetched for all arrays in one transfer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from onlooker.core.errors import LookError
from onlooker.core.summary import BINS, LOWEST_EXPONENT, Summary

from .numpy import summarise_array, summarise_difference

_HALF = BINS // 2


class Row:
    """The numbers of one array, still on its device."""

    def __init__(self, numbers: Mapping[str, Any], shape: tuple[int, ...], dtype: str) -> None:
        self.numbers, self.shape, self.dtype = numbers, shape, dtype


def begin(key: Any, array: Any) -> Summary | Row:
    """Return what an array looks like, or, on a device, the numbers from which it will be told.

    Raises:
        LookError: it holds no numbers, as keys of a random generator do, is a tracer within a compiled function, or was
            donated to one.
    """
    if isinstance(array, jax.core.Tracer):
        raise LookError(f"{key!r} is a tracer: within a compiled function there are no numbers yet to look at")
    if jnp.issubdtype(array.dtype, jax.dtypes.extended):
        raise LookError(f"{key!r} holds keys of a random generator, not numbers")
    if array.is_deleted():
        raise LookError(f"{key!r} was donated to a compiled function, and its memory is gone")
    if _is_on_cpu(array):
        return summarise_array(np.asarray(array), str(array.dtype))
    return Row(_row(array), tuple(array.shape), str(array.dtype))


def keep(key: Any, array: Any, kept: Any) -> Any:
    """Return a copy of an array, which may be donated to a function before it is compared; on the CPU, NumPy's.

    Args:
        key: what it is called.
        array: to be copied.
        kept: an earlier copy, whose memory may be used.
    """
    if not _is_on_cpu(array):
        return jnp.copy(array)
    values = np.asarray(array)
    if isinstance(kept, np.ndarray) and kept.shape == values.shape and kept.dtype == values.dtype:
        np.copyto(kept, values)
        return kept
    return np.array(values, order="C")


def begin_difference(key: Any, array: Any, kept: Any) -> Summary | Row:
    """Return what an array less what was kept of it looks like, or, on a device, numbers from which it will be told.

    Raises:
        LookError: it is no longer of the shape and type of what was kept, or was donated to a function.
    """
    if array.is_deleted():
        raise LookError(f"{key!r} was donated to a compiled function, and its memory is gone")
    if array.shape != kept.shape or array.dtype != kept.dtype:
        raise LookError(f"{key!r} is no longer the array that was kept: its shape or its type has changed")
    if isinstance(kept, np.ndarray):
        return summarise_difference(np.asarray(array), kept, str(array.dtype))
    return Row(_row(array - kept), tuple(array.shape), str(array.dtype))


def _is_on_cpu(array: Any) -> bool:
    return all(device.platform == "cpu" for device in array.devices())


def send(rows: list[Row]) -> list[Row]:
    """Begin to bring the numbers of several arrays here. Nothing is waited for."""
    for row in rows:
        for numbers in row.numbers.values():
            numbers.copy_to_host_async()
    return rows


def finish_sent(rows: list[Row]) -> list[Summary]:
    """Return what arrays look like whose numbers were sent; wait for them if they are not here yet."""
    return finish(rows)


def finish(rows: list[Row]) -> list[Summary]:
    """Fetch the numbers of several arrays, in one transfer."""
    fetched = jax.device_get([row.numbers for row in rows])
    return [_of_row(numbers, row.shape, row.dtype) for numbers, row in zip(fetched, rows, strict=True)]


@jax.jit
def _row(array: Any) -> Any:
    """Return all numbers of one array, on its device.

    Sums there are in float32, so they are of what is left after the mean is taken away: it may dwarf the spread.
    """
    flat = jnp.abs(array).reshape(-1) if jnp.iscomplexobj(array) else array.reshape(-1).astype(jnp.float32)
    is_finite = jnp.isfinite(flat)
    some = jnp.where(is_finite, flat, 0)
    is_zero = is_finite & (flat == 0)
    exponents = jnp.clip(jnp.frexp(some)[1] - 1 - LOWEST_EXPONENT, 0, _HALF - 1)
    places = jnp.where(some > 0, _HALF + exponents, _HALF - 1 - exponents)
    mean = some.sum() / jnp.maximum(is_finite.sum(), 1)
    mean = jnp.where(jnp.isfinite(mean), mean, 0)
    rest = jnp.where(is_finite, flat - mean, 0)
    bins = jnp.zeros(BINS + 1, jnp.int32).at[jnp.where(is_finite & ~is_zero, places, BINS)].add(1)
    return {
        "finite": is_finite.sum(),
        "nan": jnp.isnan(flat).sum(),
        "zeros": is_zero.sum(),
        "min": jnp.min(flat, where=is_finite, initial=jnp.inf),
        "max": jnp.max(flat, where=is_finite, initial=-jnp.inf),
        "mean": mean,
        "rest": rest.sum(),
        "rest_squares": jnp.square(rest).sum(),
        "bins": bins[:BINS],
    }


def _of_row(row: Mapping[str, Any], shape: tuple[int, ...], dtype: str) -> Summary:
    count, finite, nan = int(np.prod(shape, dtype=np.int64)), int(row["finite"]), int(row["nan"])
    mean, rest = float(row["mean"]), float(row["rest"])
    return Summary(
        count=count,
        shape=shape,
        dtype=dtype,
        min=float(row["min"]) + 0.0 if finite else float("nan"),
        max=float(row["max"]) + 0.0 if finite else float("nan"),
        total=finite * mean + rest,
        squares=float(row["rest_squares"]) + mean * (2 * rest + finite * mean),
        zeros=int(row["zeros"]),
        nan=nan,
        inf=count - finite - nan,
        bins=row["bins"],
    )
