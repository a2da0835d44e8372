"""The pass over float32 memory, compiled by Numba: a few small loops over a block that stays in the nearest cache.

Each loop is what a compiler turns into vector instructions, but the last. A number's bin is made of its sign and
exponent, six bits; those of two neighbours together are counted as one, which halves the only loop that has to go
number by number. Every operation on small integers says its type again, for Numba would widen it, and half of each
vector be wasted. Compiled at the first use, and kept in a cache on the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from onlooker.core.summary import BINS, LOWEST_EXPONENT

BLOCK = 32768
"""Elements: 128 KiB, so that the loops after the first find them, and what they make of them, in a core's own cache."""

BLOCK_OF_DIFFERENCES = 8192
"""Elements, where there are two arrays to be read, and a third one to be written."""

FEW = 16384
"""Elements: below that, counting in pairs gains less than it costs to take the pairs apart."""

NUMBERS = 7
"""Of each piece: the smallest and the largest finite element, the sum and the sum of squares of these, and how many
elements are zero, NaN and infinite."""

_LOWEST = 127 + LOWEST_EXPONENT
"""The exponent, as a float32 stores it, of the first bin."""

_HALF = BINS // 2
_NOT_FINITE = np.uint32(0x7F800000)


def cached(compiler: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """Return what compiles a function: kept on the disk, where there is a place for that."""

    def compile_it(function: Any) -> Any:
        try:
            return compiler(*given, cache=True, **options)(function)
        except RuntimeError:  # neither the package nor the user's home can be written to
            return compiler(*given, **options)(function)

    return compile_it


compiled = cached(numba.njit, nogil=True)
_reassociated = cached(numba.njit, nogil=True, fastmath={"reassoc", "contract", "nsz"})
# All loops begin at 0: an index that might be negative would be looked at each time, and the loop not be vectorised.


@_reassociated
def _sums_and_ends(values: Any, unsigned: Any, signed: Any) -> Any:  # pragma: no cover - compiled
    # Of the bits as integers of both kinds the ends tell all: the largest and smallest float, whether there is a zero
    # of either sign, and whether all are finite.
    total, squares = 0.0, 0.0
    lowest, highest = np.uint32(0xFFFFFFFF), np.uint32(0)
    signed_lowest, signed_highest = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    for at in range(values.shape[0]):
        value = np.float64(values[at])
        total += value
        squares += value * value
        lowest, highest = min(lowest, unsigned[at]), max(highest, unsigned[at])
        signed_lowest, signed_highest = min(signed_lowest, signed[at]), max(signed_highest, signed[at])
    return total, squares, lowest, highest, signed_lowest, signed_highest


@compiled
def _count_equal(unsigned: Any, wanted: Any) -> Any:  # pragma: no cover - compiled
    found = np.uint32(0)
    for at in range(unsigned.shape[0]):
        found = np.uint32(found + np.uint32(unsigned[at] == wanted))
    return found


@compiled
def _find_keys(unsigned: Any, keys: Any) -> None:  # pragma: no cover - compiled
    # The upper half of a float32 has sign and exponent, and halves are twice as many in a vector.
    for at in range(unsigned.shape[0]):
        upper = np.uint16(np.uint32(unsigned[at]) >> np.uint32(16))
        exponent = np.uint16(np.uint16(upper & np.uint16(0x7FFF)) >> np.uint16(7))
        place = np.uint16(max(exponent, np.uint16(_LOWEST)) - np.uint16(_LOWEST))
        place = min(place, np.uint16(_HALF - 1))
        sign = np.uint16(np.uint16(upper >> np.uint16(15)) << np.uint16(5))
        keys[at] = np.uint8(np.uint16(place | sign))


@compiled
def _pair(keys: Any, pairs: Any) -> None:  # pragma: no cover - compiled
    for at in range(pairs.shape[0]):
        both = keys[at]
        pairs[at] = np.uint16(np.uint16(both & np.uint16(0x3F)) | np.uint16(np.uint16(both >> np.uint16(2)) & 0xFC0))


@intrinsic
def _fetch_ahead(typing_context: Any, address: Any) -> Any:
    """Have a line of the nearest cache filled from an address, without waiting for it; any address will do."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer, pointer = ir.IntType(32), builder.inttoptr(arguments[0], cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, integer, integer, integer])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        is_write, nearest, is_data = integer(0), integer(3), integer(1)
        builder.call(prefetch, [pointer, is_write, nearest, is_data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@compiled
def _count_pairs(fours: Any, tables: Any, ahead: int, old_ahead: int) -> None:  # pragma: no cover - compiled
    # Into two tables in turn, so that one count need not wait for the one before. It leaves the memory alone: where two
    # arrays are to be read, this is the time to have the next blocks fetched. Eight numbers are 32 bytes.
    mask = np.uint64(0xFFFF)
    for at in range(fours.shape[0]):
        four = fours[at]
        if old_ahead:
            _fetch_ahead(ahead + at * 32)
            _fetch_ahead(old_ahead + at * 32)
        tables[0, four & mask] += np.uint32(1)
        tables[1, (four >> np.uint64(16)) & mask] += np.uint32(1)
        tables[0, (four >> np.uint64(32)) & mask] += np.uint32(1)
        tables[1, four >> np.uint64(48)] += np.uint32(1)


@compiled
def _count(keys: Any, by_key: Any) -> None:  # pragma: no cover - compiled
    twos = keys.shape[0] // 2 * 2
    for at in range(0, twos, 2):
        by_key[0, keys[at]] += np.uint32(1)
        by_key[1, keys[at + 1]] += np.uint32(1)
    for at in range(twos, keys.shape[0]):
        by_key[0, keys[at]] += np.uint32(1)


@compiled
def _subtract(values: Any, old: Any, differences: Any) -> None:  # pragma: no cover - compiled
    for at in range(values.shape[0]):
        differences[at] = values[at] - old[at]


@compiled
def _only_finite(values: Any, finite_values: Any) -> Any:  # pragma: no cover - compiled
    finite, nan = 0, 0
    for at in range(values.shape[0]):
        value = values[at]
        if np.isfinite(value):
            finite_values[finite] = value
            finite += 1
        elif np.isnan(value):
            nan += 1
    return finite, nan, values.shape[0] - finite - nan


@compiled
def _take_apart(tables: Any, by_key: Any) -> None:  # pragma: no cover - compiled
    # A pair's number is its first key, and its second times 64.
    for second in range(BINS):
        in_row = np.uint32(0)
        for first in range(BINS):
            count = tables[0, second * BINS + first] + tables[1, second * BINS + first]
            by_key[0, first] += count
            in_row += count
        by_key[1, second] += in_row


@compiled
def _go_over(values: Any, old: Any, room: Any, numbers: Any, bins: Any) -> None:  # pragma: no cover - compiled
    block, keys, pairs, tables, by_key = room
    is_large = values.shape[0] >= FEW
    by_key[:] = 0
    if is_large:
        tables[:] = 0
    lowest, highest = np.uint32(0xFFFFFFFF), np.uint32(0)
    signed_lowest, signed_highest = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    total, squares, zeros, negative_zeros, nan, inf = 0.0, 0.0, 0, 0, 0, 0
    length = BLOCK_OF_DIFFERENCES if old.shape[0] else BLOCK
    for begin in range(0, values.shape[0], length):
        part = values[begin : min(begin + length, values.shape[0])]
        if old.shape[0]:
            _subtract(part, old[begin : begin + part.shape[0]], block[: part.shape[0]])
            part = block[: part.shape[0]]
        unsigned, signed = part.view(np.uint32), part.view(np.int32)
        sums = _sums_and_ends(part, unsigned, signed)
        if (sums[3] & np.uint32(0x7FFFFFFF)) >= _NOT_FINITE or sums[5] >= np.int32(_NOT_FINITE):
            count, more_nan, more_inf = _only_finite(part, block)
            nan += more_nan
            inf += more_inf
            if count == 0:
                continue
            part = block[:count]
            unsigned, signed = part.view(np.uint32), part.view(np.int32)
            sums = _sums_and_ends(part, unsigned, signed)
        total += sums[0]
        squares += sums[1]
        lowest, highest = min(lowest, sums[2]), max(highest, sums[3])
        signed_lowest, signed_highest = min(signed_lowest, sums[4]), max(signed_highest, sums[5])
        if sums[2] == np.uint32(0):
            zeros += _count_equal(unsigned, np.uint32(0))
        if sums[4] == np.int32(-0x80000000):
            negative_zeros += _count_equal(unsigned, np.uint32(0x80000000))
        _find_keys(unsigned, keys[: part.shape[0]])
        in_pairs = part.shape[0] // 8 * 8 if is_large else 0
        if in_pairs:
            _pair(keys[:in_pairs].view(np.uint16), pairs[: in_pairs // 2])
            ahead = np.int64(begin + length) * 4
            old_ahead = old.ctypes.data + ahead if old.shape[0] else 0
            _count_pairs(pairs[: in_pairs // 2].view(np.uint64), tables, values.ctypes.data + ahead, old_ahead)
        _count(keys[in_pairs : part.shape[0]], by_key)
    if is_large:
        _take_apart(tables, by_key)
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
        np.empty(BLOCK // 2, dtype=np.uint16),
        np.empty((2, BINS * BINS), dtype=np.uint32),
        np.empty((2, BINS), dtype=np.uint32),
    )


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """Make a pointer of an address, which only compiled code can follow."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@compiled
def over_address(  # pragma: no cover - compiled
    address: int, length: int, old_address: int, room: Any, numbers: Any, bins: Any
) -> None:
    """Go over float32 memory that is in one piece and not empty.

    Args:
        address: where it begins.
        length: how many elements it has; fewer than four thousand million.
        old_address: 0, or where an earlier copy begins: then the differences to it are gone over.
        room: what `make_room` has made; its contents are lost.
        numbers: of shape (7,), float64: gets the numbers.
        bins: of shape (64,), int64: gets the bins.
    """
    values = numba.carray(pointer(address), (length,), np.float32)
    old = numba.carray(pointer(old_address), (length * np.int64(old_address != 0),), np.float32)
    _go_over(values, old, room, numbers, bins)


@compiled
def _over_piece(address: int, length: int, old_address: int) -> Any:  # pragma: no cover - compiled
    numbers, bins = np.empty(NUMBERS, dtype=np.float64), np.empty(BINS, dtype=np.int64)
    over_address(address, length, old_address, make_room(), numbers, bins)
    return numbers, bins


def compiled_pass(flat: Any, old: Any = None) -> tuple[list[float], list[int]]:
    """Go over one flat, contiguous float32 array that is not empty; see `numpy.Pass`."""
    numbers, bins = _over_piece(flat.ctypes.data, len(flat), 0 if old is None else old.ctypes.data)
    return numbers.tolist(), bins.tolist()
