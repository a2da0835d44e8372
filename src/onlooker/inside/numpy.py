"""NumPy's arrays, and what shares its memory: the reference for the numbers of all others.

Owns the way from any kind of number to float32 or float64. The pass over float32, which is what models are made of, is
compiled where Numba is installed (`kernel`), and otherwise NumPy's, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from onlooker.core.errors import LookError
from onlooker.core.summary import BINS, LOWEST_EXPONENT, Summary

KEYS = 512
"""Sign and exponent of a float32: its nine highest bits."""

Pass = Callable[..., tuple[list[float], list[int]]]
"""Over a flat float32 array that is not empty; with a second one, over the differences to that. Finds the smallest and
the largest finite element, the sum, the sum of the squares, the number of zeros, NaN and infinities; and the bins.
Where no element is finite, the first two mean nothing."""

_NAN = float("nan")
_FLOAT32 = np.dtype(np.float32)
_pass: Pass | None = None


def begin(key: Any, tensor: Any) -> Summary:
    """Return what an array looks like.

    Raises:
        LookError: it holds no numbers, or hides some of them; or it is nested lists of unequal lengths.
    """
    if isinstance(tensor, np.ma.MaskedArray):
        raise LookError(f"{key!r} is a masked array; look at its .compressed() numbers, or at its .filled() ones")
    try:
        array = np.asarray(tensor)
    except ValueError as error:
        raise LookError(f"the lists cannot be made an array of numbers: {error}") from error
    return summarise_array(array)


def summarise_array(array: Any, dtype: str = "") -> Summary:
    """Return what one array looks like.

    Args:
        array: of NumPy. Complex numbers are taken by their magnitude.
        dtype: what the tensor was before it became this array; "" where it was the same.

    Raises:
        LookError: it holds no numbers.
    """
    if array.dtype == _FLOAT32:  # nearly always
        return _of_float32(array.reshape(-1), array.shape, dtype or "float32")
    kind, shape, dtype = array.dtype.kind, array.shape, dtype or str(array.dtype)
    if kind not in "biufcV" or (kind == "V" and not _is_small_float(array.dtype)):
        raise LookError(f"an array of type {array.dtype} holds no numbers that could be summarised")
    if kind == "c":
        array = np.abs(array)
    flat = array.reshape(-1)
    if flat.dtype == _FLOAT32:
        return _of_float32(flat, shape, dtype)
    if _is_small_float(flat.dtype):
        return _of_float32(flat.astype(np.float32), shape, dtype)
    return _of_float64(flat.astype(np.float64), shape, dtype)


def keep(key: Any, array: Any, kept: Any) -> Any:
    """Return a copy of an array, in the memory of an earlier copy where that is of its kind."""
    array = np.asarray(array)
    if isinstance(kept, np.ndarray) and kept.shape == array.shape and kept.dtype == array.dtype:
        np.copyto(kept, array)
        return kept
    return np.array(array, order="C")


def begin_difference(key: Any, array: Any, kept: Any) -> Summary:
    """Return what an array less what was kept of it looks like.

    Raises:
        LookError: they hold no numbers.
    """
    return summarise_difference(np.asarray(array), kept)


def summarise_difference(array: Any, kept: Any, dtype: str = "") -> Summary:
    """Return what one array less another looks like.

    Args:
        array: of NumPy.
        kept: one of the same shape and type, in one piece.
        dtype: what the tensor was before it became this array; "" where it was the same.

    Raises:
        LookError: they hold no numbers.
    """
    if array.dtype.kind == "b":
        raise LookError("there is no difference of truth values")
    if (array.shape, array.dtype) != (kept.shape, kept.dtype):
        raise LookError("it is no longer the array that was kept: its shape or its type has changed")
    if array.dtype != _FLOAT32 or not array.size:
        with np.errstate(all="ignore"):
            return summarise_array(array - kept, dtype or str(array.dtype))
    found = (_pass or get_pass())(np.ascontiguousarray(array.reshape(-1)), kept.reshape(-1))
    return summary_of(found, array.shape, dtype or "float32", array.size)


def summary_of(found: tuple[Sequence[float], Any], shape: tuple[int, ...], dtype: str, count: int) -> Summary:
    """Return the summary that a `Pass` has found the numbers of."""
    (low, high, total, squares, zeros, nan, inf), bins = found
    if nan + inf == count:
        return _empty(shape, dtype, count, int(nan), int(inf))
    # By place, for that takes a third of the time; and added to 0, so that a zero has no sign.
    return Summary(count, shape, dtype, low + 0.0, high + 0.0, total, squares, int(zeros), int(nan), int(inf), bins)


def get_pass() -> Pass:
    """Return the pass over float32: the compiled one where Numba is installed."""
    global _pass
    if _pass is None:
        try:
            from .kernel import compiled_pass as found
        except ImportError:
            found = plain_pass
        _pass = found
    return _pass


def plain_pass(flat: Any, old: Any = None) -> tuple[list[float], list[int]]:
    """Go over a flat float32 array with NumPy; chunk by chunk, so that what is made in between stays in the cache."""
    low, high, total, squares, zeros, negative_zeros, nan, inf = np.inf, -np.inf, 0.0, 0.0, 0, 0, 0, 0
    keys = np.zeros(KEYS, dtype=np.int64)
    with np.errstate(all="ignore"):  # what is not finite is told at the end
        for at in range(0, len(flat), 65536):
            part = flat[at : at + 65536]
            if old is not None:
                part = part - old[at : at + 65536]
            is_finite = np.isfinite(part)
            if not is_finite.all():
                nans = int(np.count_nonzero(np.isnan(part)))
                nan, inf = nan + nans, inf + len(part) - int(np.count_nonzero(is_finite)) - nans
                part = part[is_finite]
                if not len(part):
                    continue
            low, high = min(low, float(part.min())), max(high, float(part.max()))
            wide = part.astype(np.float64)
            total += float(wide.sum())
            np.multiply(wide, wide, out=wide)  # a dot product would wake up all threads
            squares += float(wide.sum())
            bits = part.view(np.uint32)
            zeros += int(np.count_nonzero(bits == 0))
            negative_zeros += int(np.count_nonzero(bits == 0x80000000))
            keys += np.bincount(bits >> 23, minlength=KEYS)
    bins = _bins(keys, zeros, negative_zeros)
    return [low, high, total, squares, zeros + negative_zeros, nan, inf], bins


def _of_float32(flat: Any, shape: tuple[int, ...], dtype: str) -> Summary:
    if not len(flat):
        return _empty(shape, dtype)
    return summary_of((_pass or get_pass())(np.ascontiguousarray(flat)), shape, dtype, len(flat))


def _bins(keys: Any, zeros: int, negative_zeros: int) -> list[int]:
    """Return the counts of the bins from those of signs and exponents of float32.

    Args:
        keys: integers of shape (512,), negative numbers in the second half.
        zeros: how many of the first are zeros: they have the lowest exponent, as have numbers too small for one.
        negative_zeros: how many of the second.
    """
    half = BINS // 2
    found = np.concatenate([_magnitudes(keys[256:511])[::-1], _magnitudes(keys[:255])])
    found[half] -= zeros
    found[half - 1] -= negative_zeros
    numbers: list[int] = found.tolist()
    return numbers


def _magnitudes(keys: Any) -> Any:
    """Add the counts of 255 exponents up into the bins of one sign, the smallest magnitudes first."""
    first = 127 + LOWEST_EXPONENT
    last = first + BINS // 2 - 1
    return np.concatenate([[keys[: first + 1].sum()], keys[first + 1 : last], [keys[last:].sum()]])


def _of_float64(flat: Any, shape: tuple[int, ...], dtype: str) -> Summary:
    count = len(flat)
    nan = int(np.count_nonzero(np.isnan(flat)))
    inf = int(np.count_nonzero(np.isinf(flat)))
    if nan or inf:
        flat = flat[np.isfinite(flat)]
    if not len(flat):
        return _empty(shape, dtype, count, nan, inf)
    half = BINS // 2
    some = flat[flat != 0]
    exponents = np.clip(np.frexp(some)[1] - 1 - LOWEST_EXPONENT, 0, half - 1)
    places = np.where(some > 0, half + exponents, half - 1 - exponents)
    with np.errstate(over="ignore"):
        squares = float(np.square(flat).sum())
    return Summary(
        count=count,
        shape=shape,
        dtype=dtype,
        min=float(flat.min()) + 0.0,
        max=float(flat.max()) + 0.0,
        total=float(flat.sum()),
        squares=squares,
        zeros=len(flat) - len(some),
        nan=nan,
        inf=inf,
        bins=np.bincount(places, minlength=BINS).tolist(),
    )


def _empty(shape: tuple[int, ...], dtype: str, count: int = 0, nan: int = 0, inf: int = 0) -> Summary:
    """Return the summary of a tensor without a finite element."""
    return Summary(
        count=count,
        shape=shape,
        dtype=dtype,
        min=_NAN,
        max=_NAN,
        total=0.0,
        squares=0.0,
        zeros=0,
        nan=nan,
        inf=inf,
        bins=[0] * BINS,
    )


def _is_small_float(dtype: Any) -> bool:
    """Say whether a type is a float that float32 holds exactly: float16, and those of ml_dtypes."""
    return dtype == np.float16 or "float8" in dtype.name or dtype.name in ("bfloat16", "float4_e2m1fn")
