"""The loops over a block of float32 memory that stays in the nearest cache, compiled by Numba.

Each loop is what a compiler turns into vector instructions, but the one that counts. A number's bin is made of its sign
and exponent, six bits; those of two neighbours together are counted as one, which halves the only loop that has to go
number by number. That loop leaves the memory alone, so it is the time to have the next block fetched, and to copy what
is to be copied. Every operation on small integers says its type again, for Numba would widen it, and half of each
vector be wasted. All loops begin at 0: an index that might be negative would be looked at each time, and the loop not
be vectorised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onlooker.core.summary import BINS, LOWEST_EXPONENT

from .compiling import compiled, reassociated
from .instructions import VECTOR, copy_vector, fetch_ahead, unsigned_bits

_HALF = BINS // 2

_LOWEST = 127 + LOWEST_EXPONENT
"""The exponent, as a float32 stores it, of the first bin."""

LINE = 256
"""Counts for each key that comes second in a pair: as many as a byte has values, so that two keys as they lie in memory
are a place. A key has 64 values, so there is room for four tables, which stand in a line side by side. They are used in
turn, so that one count need not wait for the one before, even where all are alike."""


@reassociated
def sums_and_ends(values: Any, old: Any, differences: Any) -> Any:  # pragma: no cover - compiled
    """Return of floats, or of their differences, the sum, the sum of squares, and the ends of their bits.

    Of the bits as integers of both kinds the ends tell all: the largest and smallest float, whether there is a zero of
    either sign, and whether all are finite.

    Args:
        values: float32.
        old: None, or what is taken away from each.
        differences: gets the differences; None where there are none.
    """
    total, squares = 0.0, 0.0
    lowest, highest = np.uint32(0xFFFFFFFF), np.uint32(0)
    signed_lowest, signed_highest = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    for at in range(values.shape[0]):
        if old is None:
            number = values[at]
        else:
            number = differences[at] = values[at] - old[at]
        value = np.float64(number)
        total += value
        squares += value * value
        unsigned = unsigned_bits(number)
        signed = np.int32(unsigned)
        lowest, highest = min(lowest, unsigned), max(highest, unsigned)
        signed_lowest, signed_highest = min(signed_lowest, signed), max(signed_highest, signed)
    return total, squares, lowest, highest, signed_lowest, signed_highest


@compiled
def count_equal(unsigned: Any, wanted: Any) -> Any:  # pragma: no cover - compiled
    """Return how many floats have certain bits."""
    found = np.uint32(0)
    for at in range(unsigned.shape[0]):
        found = np.uint32(found + np.uint32(unsigned[at] == wanted))
    return found


@compiled
def find_keys(unsigned: Any, keys: Any) -> None:  # pragma: no cover - compiled
    """Find the key of each float, given by its bits: its place among 32 exponents, and 32 more where it is negative.

    In bytes, of which a vector holds most. The exponent's eight bits come after the sign's.
    """
    for at in range(unsigned.shape[0]):
        exponent = np.uint8(np.uint32(unsigned[at]) >> np.uint32(23))
        place = np.uint8(max(exponent, np.uint8(_LOWEST)) - np.uint8(_LOWEST))
        place = min(place, np.uint8(_HALF - 1))
        highest = np.uint8(np.uint32(unsigned[at]) >> np.uint32(24))
        sign = np.uint8(np.uint8(highest >> np.uint8(2)) & np.uint8(_HALF))
        keys[at] = np.uint8(place | sign)


@compiled
def count_pairs(  # pragma: no cover - compiled
    eights: Any, tables: Any, ahead: int, other: int, other_ahead: int, target: int
) -> None:
    """Count keys in pairs, and meanwhile fetch the next block, and copy.

    Args:
        eights: keys, eight at a time, which stand for 32 bytes of floats.
        tables: the counts so far.
        ahead: the address of the next floats.
        other: the address of other memory that belongs to these floats; 0 for none.
        other_ahead: that of what belongs to the next ones.
        target: where the other memory is copied to, a multiple of 32; 0 where it is not.
    """
    mask = np.uint64(0xFFFF)
    for at in range(eights.shape[0]):
        eight, place = eights[at], at * VECTOR
        fetch_ahead(ahead + place)
        if other:
            fetch_ahead(other_ahead + place)
            if target:
                copy_vector(other + place, target + place)
        tables[eight & mask] += np.uint32(1)
        tables[np.uint64((eight >> np.uint64(16)) & mask) + np.uint64(BINS)] += np.uint32(1)
        tables[np.uint64((eight >> np.uint64(32)) & mask) + np.uint64(2 * BINS)] += np.uint32(1)
        tables[np.uint64(eight >> np.uint64(48)) + np.uint64(3 * BINS)] += np.uint32(1)


@compiled
def count(keys: Any, by_key: Any) -> None:  # pragma: no cover - compiled
    """Count keys one by one, those in even places and those in odd ones apart."""
    twos = keys.shape[0] // 2 * 2
    for at in range(0, twos, 2):
        by_key[0, keys[at]] += np.uint32(1)
        by_key[1, keys[at + 1]] += np.uint32(1)
    for at in range(twos, keys.shape[0]):
        by_key[0, keys[at]] += np.uint32(1)


@compiled
def copy(source: Any, target: Any) -> None:  # pragma: no cover - compiled
    """Copy floats, however they lie."""
    for at in range(source.shape[0]):
        target[at] = source[at]


@compiled
def only_finite(values: Any, finite_values: Any) -> Any:  # pragma: no cover - compiled
    """Gather the finite ones of some floats, and return how many these are, and how many are NaN and infinite."""
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
def take_apart(tables: Any, by_key: Any) -> None:  # pragma: no cover - compiled
    """Add counts of pairs to the counts of keys. A pair's place is its first key, and its second times a line."""
    for second in range(BINS):
        in_line = np.uint32(0)
        for first in range(BINS):
            at = second * LINE + first
            count = tables[at] + tables[at + BINS] + tables[at + 2 * BINS] + tables[at + 3 * BINS]
            by_key[0, first] += count
            in_line += count
        by_key[1, second] += in_line
