"""The pass over float32 memory, compiled by Numba: block by block, for a core's nearest caches.

Owns what a pass finds, and how it is put together of what `blocks` finds of each block.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from onlooker.core.summary import BINS

from .blocks import LINE, copy, count, count_equal, count_pairs, find_keys, only_finite, sums_and_ends, take_apart
from .compiling import compiled
from .instructions import VECTOR, pointer, wait_for_copies

BLOCK = 4096
"""Elements: 16 KiB, so that the loops after the first find them, and what they make of them, in a core's own cache."""

FEW = 16384
"""Elements: below that, counting in pairs gains less than it costs to take the pairs apart."""

NUMBERS = 7
"""Of each piece: the smallest and the largest finite element, the sum and the sum of squares of these, and how many
elements are zero, NaN and infinite."""

_HALF = BINS // 2
_NOT_FINITE = np.uint32(0x7F800000)


@compiled
def _go_over(  # pragma: no cover - compiled
    values: Any, other: Any, target: Any, room: Any, numbers: Any, bins: Any
) -> None:
    block, keys, tables, by_key = room
    is_large = values.shape[0] >= FEW
    by_key[:] = 0
    if is_large:
        tables[:] = 0
    lowest, highest = np.uint32(0xFFFFFFFF), np.uint32(0)
    signed_lowest, signed_highest = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    total, squares, zeros, negative_zeros, nan, inf = 0.0, 0.0, 0, 0, 0, 0
    address, other_address, target_address = values.ctypes.data, other.ctypes.data, target.ctypes.data
    for begin in range(0, values.shape[0], BLOCK):
        end, here, ahead = min(begin + BLOCK, values.shape[0]), begin * 4, (begin + BLOCK) * 4
        part = values[begin:end]
        if other.shape[0] and not target.shape[0]:
            sums = sums_and_ends(part, other[begin:end], block[: end - begin])
            part = block[: end - begin]
        else:
            sums = sums_and_ends(part, None, None)
        if (sums[3] & np.uint32(0x7FFFFFFF)) >= _NOT_FINITE or sums[5] >= np.int32(_NOT_FINITE):
            finite, more_nan, more_inf = only_finite(part, block)
            nan += more_nan
            inf += more_inf
            part = block[:finite]
            if finite:
                sums = sums_and_ends(part, None, None)
        copied = 0
        if part.shape[0]:
            total += sums[0]
            squares += sums[1]
            lowest, highest = min(lowest, sums[2]), max(highest, sums[3])
            signed_lowest, signed_highest = min(signed_lowest, sums[4]), max(signed_highest, sums[5])
            unsigned = part.view(np.uint32)
            if sums[2] == np.uint32(0):
                zeros += count_equal(unsigned, np.uint32(0))
            if sums[4] == np.int32(-0x80000000):
                negative_zeros += count_equal(unsigned, np.uint32(0x80000000))
            find_keys(unsigned, keys[: part.shape[0]])
            in_pairs = part.shape[0] // 8 * 8 if is_large else 0
            if in_pairs:
                is_copied = target.shape[0] and target_address % VECTOR == 0
                copied = in_pairs if is_copied else 0
                count_pairs(
                    keys[:in_pairs].view(np.uint64),
                    tables,
                    address + ahead,
                    other_address + here if other.shape[0] else 0,
                    other_address + ahead,
                    target_address + here if is_copied else 0,
                )
            count(keys[in_pairs : part.shape[0]], by_key)
        if target.shape[0]:
            copy(other[begin + copied : end], target[begin + copied : end])
    if target.shape[0]:
        wait_for_copies()
    if is_large:
        take_apart(tables, by_key)
    ends = np.empty(2, dtype=np.uint32)
    # Of negative numbers the largest bits are the smallest number.
    ends[0] = highest if highest >= np.uint32(0x80000000) else lowest
    ends[1] = np.uint32(signed_highest) if signed_highest >= 0 else lowest
    of_floats = ends.view(np.float32)
    numbers[0], numbers[1], numbers[2], numbers[3] = of_floats[0], of_floats[1], total, squares
    numbers[4], numbers[5], numbers[6] = zeros + negative_zeros, nan, inf
    for place in range(_HALF):
        bins[_HALF + place] = by_key[0, place] + by_key[1, place]
        bins[_HALF - 1 - place] = by_key[0, _HALF + place] + by_key[1, _HALF + place]
    bins[_HALF] -= zeros
    bins[_HALF - 1] -= negative_zeros


@compiled
def make_room() -> Any:  # pragma: no cover - compiled
    """Return the memory in which a thread works."""
    return (
        np.empty(BLOCK, dtype=np.float32),
        np.empty(BLOCK, dtype=np.uint8),
        np.empty(BINS * LINE, dtype=np.uint32),
        np.empty((2, BINS), dtype=np.uint32),
    )


@compiled
def over_address(  # pragma: no cover - compiled
    address: int, length: int, other_address: int, target_address: int, room: Any, numbers: Any, bins: Any
) -> None:
    """Go over float32 memory that is in one piece and not empty, and perhaps over other memory of the same length.

    Args:
        address: where it begins.
        length: how many elements it has; fewer than four thousand million.
        other_address: where other memory begins, or 0 for none.
        target_address: where a copy of the other memory is to be made meanwhile; 0 where the other memory is an earlier
            copy itself: then the differences to it are gone over.
        room: what `make_room` has made; its contents are lost.
        numbers: of shape (7,), float64: gets the numbers.
        bins: of shape (64,), int64: gets the bins.
    """
    values = numba.carray(pointer(address), (length,), np.float32)
    other = numba.carray(pointer(other_address), (length * np.int64(other_address != 0),), np.float32)
    target = numba.carray(pointer(target_address), (length * np.int64(target_address != 0),), np.float32)
    _go_over(values, other, target, room, numbers, bins)


@compiled
def _over_piece(address: int, length: int, old_address: int) -> Any:  # pragma: no cover - compiled
    numbers, bins = np.empty(NUMBERS, dtype=np.float64), np.empty(BINS, dtype=np.int64)
    over_address(address, length, old_address, 0, make_room(), numbers, bins)
    return numbers, bins


def compiled_pass(flat: Any, old: Any = None) -> tuple[list[float], list[int]]:
    """Go over one flat, contiguous float32 array that is not empty; see `numpy.Pass`."""
    numbers, bins = _over_piece(flat.ctypes.data, len(flat), 0 if old is None else old.ctypes.data)
    return numbers.tolist(), bins.tolist()
