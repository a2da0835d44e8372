"""The passes over float32 arrays, compiled by Numba: five small loops over a block that stays in the cache.

Each loop is what a compiler turns into vector instructions, or, for the histogram, has no branch: sign and exponent of
a float32 are its nine highest bits, and count themselves into one of four tables in turn, so that one number does not
wait for the one before. Compiled at the first use, and kept in a cache on the disk.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from onlooker.core.summary import BINS, LOWEST_EXPONENT

KEYS = 512
"""Sign and exponent of a float32: its nine highest bits."""

BLOCK = 8192
"""Elements: 32 KiB, so that all loops but the first find them in the nearest cache."""

_compiled = numba.njit(nogil=True, cache=True)
_reassociated = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
# All loops begin at 0: an index that might be negative would be looked at each time, and the loop not be vectorised.


@_reassociated
def _sums(values: Any) -> Any:  # pragma: no cover - compiled
    total, squares = 0.0, 0.0
    for at in range(values.shape[0]):
        value = np.float64(values[at])
        total += value
        squares += value * value
    return total, squares


@_compiled
def _extremes(bits: Any) -> Any:  # pragma: no cover - compiled
    # As integers with the order of the floats: those of negative numbers run the other way.
    low = high = bits[0] ^ ((bits[0] >> np.int32(31)) & np.int32(0x7FFFFFFF))
    for at in range(bits.shape[0]):
        ordered = bits[at] ^ ((bits[at] >> np.int32(31)) & np.int32(0x7FFFFFFF))
        low = min(low, ordered)
        high = max(high, ordered)
    return low, high


@_compiled
def _zeros(bits: Any, zero: Any) -> Any:  # pragma: no cover - compiled
    found = np.int32(0)
    for at in range(bits.shape[0]):
        found += np.int32(bits[at] == zero)
    return found


@_compiled
def _count(bits: Any, tables: Any) -> None:  # pragma: no cover - compiled
    fours = bits.shape[0] // 4 * 4
    for at in range(0, fours, 4):
        tables[0, bits[at] >> np.uint32(23)] += np.uint32(1)
        tables[1, bits[at + 1] >> np.uint32(23)] += np.uint32(1)
        tables[2, bits[at + 2] >> np.uint32(23)] += np.uint32(1)
        tables[3, bits[at + 3] >> np.uint32(23)] += np.uint32(1)
    for at in range(fours, bits.shape[0]):
        tables[0, bits[at] >> np.uint32(23)] += np.uint32(1)


@_compiled
def _over(values: Any, signed: Any, unsigned: Any) -> Any:  # pragma: no cover - compiled
    tables = np.zeros((4, KEYS), dtype=np.uint32)
    total, squares, zeros, negative_zeros = 0.0, 0.0, 0, 0
    ends = np.array([0x7FFFFFFF, -0x80000000], dtype=np.int32)
    for begin in range(0, values.shape[0], BLOCK):
        end = min(begin + BLOCK, values.shape[0])
        of_block = _sums(values[begin:end])
        total += of_block[0]
        squares += of_block[1]
        bits = signed[begin:end]
        low, high = _extremes(bits)
        ends[0] = min(ends[0], low)
        ends[1] = max(ends[1], high)
        zeros += _zeros(bits, np.int32(0))
        negative_zeros += _zeros(bits, np.int32(-0x80000000))
        _count(unsigned[begin:end], tables)
    for which in range(2):
        ends[which] ^= (ends[which] >> np.int32(31)) & np.int32(0x7FFFFFFF)
    low, high = ends.view(np.float32)
    return low, high, total, squares, zeros, negative_zeros, tables[0] + tables[1] + tables[2] + tables[3]


@_compiled
def _bins(keys: Any, zeros: int, negative_zeros: int) -> Any:  # pragma: no cover - compiled
    bins = np.zeros(BINS, dtype=np.int64)
    half = BINS // 2
    for exponent in range(255):
        place = min(max(exponent - 127 - LOWEST_EXPONENT, 0), half - 1)
        bins[half + place] += keys[exponent]
        bins[half - 1 - place] += keys[256 + exponent]
    bins[half] -= zeros
    bins[half - 1] -= negative_zeros
    return bins


@_compiled
def _numbers(values: Any, signed: Any, unsigned: Any) -> Any:  # pragma: no cover - compiled
    low, high, total, squares, zeros, negative_zeros, keys = _over(values, signed, unsigned)
    bins = _bins(keys, zeros, negative_zeros)
    return low, high, total, squares, zeros + negative_zeros, bins, keys[255] + keys[511]


def compiled_pass(flat: Any) -> tuple[float, float, float, float, int, list[int], int]:
    """Go over a flat, contiguous float32 array of at least one and fewer than four thousand million elements."""
    low, high, total, squares, zeros, bins, not_finite = _numbers(flat, flat.view(np.int32), flat.view(np.uint32))
    return low, high, total, squares, zeros, bins.tolist(), not_finite


@_compiled
def _split(values: Any, old: Any, differences: Any) -> None:  # pragma: no cover - compiled
    for at in range(values.shape[0]):
        differences[at] = values[at] - old[at]
        old[at] = values[at]


@_compiled
def _only_finite(values: Any) -> Any:  # pragma: no cover - compiled
    finite, nan = 0, 0
    for at in range(values.shape[0]):
        value = values[at]
        if np.isfinite(value):
            values[finite] = value
            finite += 1
        elif np.isnan(value):
            nan += 1
    return finite, nan, values.shape[0] - finite - nan


@_compiled
def _over_differences(values: Any, old: Any) -> Any:  # pragma: no cover - compiled
    # What is not finite is left out block by block: after the pass, the old values are gone.
    tables = np.zeros((4, KEYS), dtype=np.uint32)
    total, squares, zeros, negative_zeros, nan, inf = 0.0, 0.0, 0, 0, 0, 0
    ends = np.array([0x7FFFFFFF, -0x80000000], dtype=np.int32)
    block = np.empty(min(BLOCK, values.shape[0]), dtype=np.float32)
    for begin in range(0, values.shape[0], BLOCK):
        end = min(begin + BLOCK, values.shape[0])
        count = end - begin
        _split(values[begin:end], old[begin:end], block[:count])
        of_block = _sums(block[:count])
        if not np.isfinite(of_block[1]):
            count, more_nan, more_inf = _only_finite(block[:count])
            nan += more_nan
            inf += more_inf
            if count == 0:
                continue
            of_block = _sums(block[:count])
        total += of_block[0]
        squares += of_block[1]
        bits = block[:count].view(np.int32)
        low, high = _extremes(bits)
        ends[0] = min(ends[0], low)
        ends[1] = max(ends[1], high)
        zeros += _zeros(bits, np.int32(0))
        negative_zeros += _zeros(bits, np.int32(-0x80000000))
        _count(block[:count].view(np.uint32), tables)
    for which in range(2):
        ends[which] ^= (ends[which] >> np.int32(31)) & np.int32(0x7FFFFFFF)
    low, high = ends.view(np.float32)
    bins = _bins(tables[0] + tables[1] + tables[2] + tables[3], zeros, negative_zeros)
    return low, high, total, squares, zeros + negative_zeros, bins, nan, inf


def compiled_difference(flat: Any, old: Any) -> tuple[float, float, float, float, int, list[int], int, int]:
    """Go over the differences of two flat, contiguous float32 arrays, and put the first into the second on the way."""
    low, high, total, squares, zeros, bins, nan, inf = _over_differences(flat, old)
    return low, high, total, squares, zeros, bins.tolist(), nan, inf
