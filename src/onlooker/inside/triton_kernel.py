"""The pass over tensors on a GPU, compiled by Triton: the numbers of many in one launch, joined in another.

Owns the computing. One program goes over one tile, which is a part of one tensor, and leaves a line of numbers. Later
one program for each tensor joins the lines of its tiles, always in the same order, so that the sums are the same in
each run. The columns of a line are `torch_groups`': four numbers, and the counts of the places.
"""

from __future__ import annotations

import triton
import triton.language as tl

from onlooker.core.summary import BINS, LOWEST_EXPONENT

from .torch_groups import NUMBERS, PLACES

LINE = 128
"""Columns of a line, a power of two. Those that are left over are for what is past the end of a tile."""
assert NUMBERS + PLACES < LINE

_COLUMNS = tl.constexpr(LINE)
_HALF = tl.constexpr(BINS // 2)
_LOWEST = tl.constexpr(LOWEST_EXPONENT)
_FIRST = tl.constexpr(NUMBERS)  # the first place: that of negative infinity
_PAST = tl.constexpr(LINE - 1)


@triton.jit(do_not_specialize=["length"])
def over_tiles(
    tiles,
    tensors,
    others,
    lines,
    length,
    kind: tl.constexpr,
    is_difference: tl.constexpr,
    is_single: tl.constexpr,
    size: tl.constexpr,
    step: tl.constexpr,
):  # pragma: no cover - compiled
    """Go over one tile, some elements at a time.

    Args:
        tiles: int64, of each the tensor's number, where it begins in that, and how many elements it has.
        tensors: int64, the address of each tensor.
        others: the same, of what is taken away from each.
        lines: float64, `LINE` for each tile: where the numbers go.
        length: of the tensor, where it is a single one.
        kind: the type of the elements.
        is_difference: whether there are others.
        is_single: whether tensors and others are one tensor each, instead of addresses, and there is no list of tiles.
        size: how many elements a tile has, but for a tensor's last one.
        step: how many are gone over at a time, a power of two.
    """
    tile = tl.program_id(0).to(tl.int64)
    if is_single:
        start = tile * size
        count = tl.minimum(length - start, size)
        first = tensors + start
        other = others + start
    else:
        number, start, count = tl.load(tiles + 3 * tile), tl.load(tiles + 3 * tile + 1), tl.load(tiles + 3 * tile + 2)
        first = tl.load(tensors + number).to(tl.pointer_type(kind)) + start
        other = tl.load(others + number).to(tl.pointer_type(kind)) + start
    is_double: tl.constexpr = kind == tl.float64
    wide: tl.constexpr = tl.float64 if is_double else tl.float32
    integer: tl.constexpr = tl.int64 if is_double else tl.int32
    mantissa: tl.constexpr = 52 if is_double else 23
    largest: tl.constexpr = 0x7FF if is_double else 0xFF
    infinite = float("inf")
    low = tl.full([step], infinite, wide)
    high = tl.full([step], -infinite, wide)
    total = tl.zeros([step], tl.float64)
    squares = tl.zeros([step], tl.float64)
    counts = tl.zeros([_COLUMNS], tl.int32)
    for at in range(0, count, step):
        offsets = at + tl.arange(0, step)
        is_there = offsets < count
        values = tl.load(first + offsets, mask=is_there, other=0.0).to(wide)
        if is_difference:
            values -= tl.load(other + offsets, mask=is_there, other=0.0).to(wide)
        bits = values.to(integer, bitcast=True)
        exponents = ((bits >> mantissa) & largest).to(tl.int32)
        is_zero = (bits << 1) == 0
        is_finite = is_there & (exponents != largest)
        magnitudes = tl.minimum(tl.maximum(exponents - (largest // 2 + _LOWEST), 0), _HALF - 1)
        is_negative = bits < 0
        places = tl.where(is_negative, _HALF - magnitudes, _HALF + 2 + magnitudes)
        places = tl.where(is_zero, _HALF + 1, places)
        not_finite = tl.where(values != values, 2 * _HALF + 3, tl.where(is_negative, 0, 2 * _HALF + 2))
        places = tl.where(exponents == largest, not_finite, places)
        counts += tl.histogram(tl.where(is_there, _FIRST + places, _PAST), _COLUMNS)
        low = tl.minimum(low, tl.where(is_finite, values, infinite))
        high = tl.maximum(high, tl.where(is_finite, values, -infinite))
        some = tl.where(is_finite, values, 0.0).to(tl.float64)
        total += some
        squares += some * some
    columns = tl.arange(0, _COLUMNS)
    line = counts.to(tl.float64)
    line = tl.where(columns == 0, -tl.min(low, 0).to(tl.float64), line)
    line = tl.where(columns == 1, tl.max(high, 0).to(tl.float64), line)
    line = tl.where(columns == 2, tl.sum(total, 0), line)
    line = tl.where(columns == 3, tl.sum(squares, 0), line)
    tl.store(lines + tile * _COLUMNS + columns, line)


@triton.jit
def over_lines(spans, found, width: tl.constexpr, some: tl.constexpr):  # pragma: no cover - compiled
    """Join the lines of one tensor's tiles, some at a time.

    Args:
        spans: int64, of each tensor the address of its first line, and how many it has.
        found: float64, `width` for each tensor: where the numbers go.
        width: how many columns of a line count.
        some: a power of two.
    """
    number = tl.program_id(0).to(tl.int64)
    first, count = tl.load(spans + 2 * number).to(tl.pointer_type(tl.float64)), tl.load(spans + 2 * number + 1)
    columns = tl.arange(0, _COLUMNS)
    sums = tl.zeros([_COLUMNS], tl.float64)
    high = tl.full([_COLUMNS], -float("inf"), tl.float64)
    for at in range(0, count, some):
        rows = at + tl.arange(0, some)
        is_there = (rows < count)[:, None] & (columns < width)[None, :]
        places = first + rows[:, None] * _COLUMNS + columns[None, :]
        sums += tl.sum(tl.load(places, mask=is_there, other=0.0), 0)
        high = tl.maximum(high, tl.max(tl.load(places, mask=is_there, other=-float("inf")), 0))
    tl.store(found + number * width + columns, tl.where(columns < 2, high, sums), mask=columns < width)
