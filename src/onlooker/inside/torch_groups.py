"""PyTorch's tensors on a device, side by side: a few operations for a whole group of them, and nothing that waits.

Owns the pass over a group, and how tensors are laid out in groups. Elements stand in rows of one length. All is
computed for each row, then joined for each tensor: it takes as many operations for a hundred tensors as for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from onlooker.core.summary import BINS, LOWEST_EXPONENT

from .torch_tables import kept_on

ROW = 1024
"""Elements. Each tensor's last row is filled up; and within one, bins are counted by many threads in one place."""

ROWS = 4096
"""Of a group, at most: 4 million elements, and about 100 MB for what is made of them in between. That is little enough
for a device's cache, much enough for an operation to take longer than its launch, and float32 counts as far."""

PLACES = BINS + 4
"""Where elements are counted, from the smallest to the largest: negative infinity, the negative bins, zero, the
positive bins, infinity, and NaN."""

NUMBERS = 4
"""What precedes the counts: the smallest finite element with its sign changed, the largest, and two sums, over what is
left after a number was taken away: of that, and of its squares. What was taken away stands at the end, or was zero."""

_JOINED = 2**18
"""How many places a table of all tensors' rows may have."""

_INFINITE = float("inf")


class Part(NamedTuple):
    """Where the numbers of a tensor are, or of a part of a large one.

    Attributes:
        numbers: of all tensors of a group, of shape (tensors, numbers), on the device.
        place: the tensor's in that.
        length: how many elements it has.
        padding: how many NaN were added to fill its last row.
    """

    numbers: torch.Tensor
    place: int
    length: int
    padding: int


class _Stretch(NamedTuple):
    """What of a tensor goes into a group with others."""

    number: int
    start: int
    length: int
    rows: int


def go_over(flats: Sequence[torch.Tensor], olds: Sequence[torch.Tensor] | None = None) -> list[list[Part]]:
    """Compute the numbers of several tensors, or of their differences, on their device.

    Args:
        flats: of one device and one type of floats that `torch.cat` takes; each can be viewed in one dimension.
        olds: what is taken away from each, of the same lengths and types; None for nothing.

    Returns:
        For each tensor its parts; none where it is empty.
    """
    flats, olds = [flat.view(-1) for flat in flats], None if olds is None else [old.view(-1) for old in olds]
    found: list[list[Part]] = [[] for _ in flats]
    stretches: list[_Stretch] = []
    most = ROWS * ROW
    for number, flat in enumerate(flats):
        count = flat.numel()
        alone = count - count % most
        for start in range(0, alone, most):  # these need not be moved
            rows = _widened(flat.narrow(0, start, most).view(ROWS, ROW))
            if olds is not None:
                rows = rows - _widened(olds[number].narrow(0, start, most).view(ROWS, ROW))
            found[number].append(Part(_numbers(rows, None), 0, most, 0))
        if count > alone:
            stretches.append(_Stretch(number, alone, count - alone, -(-(count - alone) // ROW)))
    for group in _groups(stretches):
        rows = _side_by_side(flats, group)
        if olds is not None:
            rows = rows - _side_by_side(olds, group)
        numbers = _numbers(rows, [one.rows for one in group])
        for place, one in enumerate(group):
            found[one.number].append(Part(numbers, place, one.length, one.rows * ROW - one.length))
    return found


def has_float64(device: torch.device) -> bool:
    """Say whether a device computes in double precision."""
    return device.type != "mps"


def _groups(stretches: list[_Stretch]) -> Iterator[list[_Stretch]]:
    """Share stretches out among groups, those of like length together: so the table of their rows has few holes."""
    group: list[_Stretch] = []
    rows = 0
    for one in sorted(stretches, key=lambda stretch: -stretch.rows):
        is_full = rows + one.rows > ROWS or (group and (len(group) + 1) * group[0].rows > _JOINED)
        if group and is_full:
            yield group
            group, rows = [], 0
        group.append(one)
        rows += one.rows
    if group:
        yield group


def _side_by_side(flats: Sequence[torch.Tensor], group: list[_Stretch]) -> torch.Tensor:
    """Return the elements of a group in rows, filled up with NaN; after those of several, one row of nothing else."""
    first = flats[group[0].number]
    empty = torch.full((ROW,), float("nan"), dtype=first.dtype, device=first.device)
    paddings: dict[int, torch.Tensor] = {}
    laid: list[torch.Tensor] = []
    for one in group:
        flat = flats[one.number]
        laid.append(flat.narrow(0, one.start, one.length) if one.start else flat)
        if padding := one.rows * ROW - one.length:
            if padding not in paddings:
                paddings[padding] = empty.narrow(0, 0, padding)
            laid.append(paddings[padding])
    if len(group) > 1:
        laid.append(empty)
    return _widened(torch.cat(laid).view(-1, ROW))


def _widened(rows: torch.Tensor) -> torch.Tensor:
    return rows if rows.dtype == torch.float64 else rows.to(torch.float32)


def _numbers(rows: torch.Tensor, lengths: list[int] | None) -> torch.Tensor:
    """Return all numbers of the tensors in a group.

    Args:
        rows: of float32 or float64.
        lengths: how many of them each tensor has; None where all are of one.

    Returns:
        Of shape (tensors, `NUMBERS` + `PLACES`), and one more where sums are of what is left after the mean is taken
        away: without float64 it may dwarf the spread.
    """
    if lengths is not None and len(lengths) == 1:
        lengths = None
    wide = torch.float64 if has_float64(rows.device) else torch.float32
    counts = _joined_counts(_counted(rows), lengths)
    low = rows.nan_to_num(_INFINITE, _INFINITE, _INFINITE).amin(1)
    high = rows.nan_to_num(-_INFINITE, -_INFINITE, -_INFINITE).amax(1)
    some = rows.nan_to_num(0.0, 0.0, 0.0)
    taken: list[torch.Tensor] = []
    if wide == torch.float32:
        finite = counts.narrow(1, 1, PLACES - 3).sum(1, keepdim=True)
        total = _table(some.sum(1, keepdim=True), lengths).sum(1)
        taken.append((total / finite.clamp(min=1)).nan_to_num(0.0, 0.0, 0.0))
        some = torch.where(torch.isfinite(rows), rows - _for_each_row(taken[0], lengths), 0.0)
    some = some.to(wide)
    found = torch.stack([-low.to(wide), high.to(wide), some.sum(1), torch.linalg.vector_norm(some, dim=1).square()], 1)
    table = _table(found, lengths)
    ends, sums = table.narrow(2, 0, 2).amax(1), table.narrow(2, 2, 2).sum(1)
    return torch.cat([ends, sums, counts.to(wide), *taken], 1)


def _counted(rows: torch.Tensor) -> torch.Tensor:
    """Return how many elements are in each place, of shape (rows, `PLACES`)."""
    bounds = kept_on(rows.device, ("bounds", rows.dtype), lambda: _bounds(rows), rows.dtype)
    places = torch.bucketize(rows, bounds)
    one = torch.ones((), dtype=torch.int32, device=rows.device)
    counts = torch.zeros((len(rows), PLACES), dtype=torch.int32, device=rows.device)
    return counts.scatter_add_(1, places, one.expand(places.shape))


def _bounds(rows: torch.Tensor) -> list[float]:
    """Return the largest number of each place but that of NaN, which is past all."""
    kind = torch.finfo(rows.dtype)
    # Where there is no float64, numbers too small for an exponent are zero, too.
    smallest = kind.smallest_normal * (kind.eps if has_float64(rows.device) else 1.0)
    powers = [2.0 ** (LOWEST_EXPONENT + number) for number in range(1, BINS // 2)]
    positive = [power * (1 - kind.eps / 2) for power in powers]
    negative = [-power for power in reversed(powers)]
    return [-_INFINITE, *negative, -smallest, 0.0, *positive, kind.max, _INFINITE]


def _joined_counts(counts: torch.Tensor, lengths: list[int] | None) -> torch.Tensor:
    """Add up the counts of the rows of each tensor."""
    if lengths is None:
        return counts.sum(0, keepdim=True)
    owners = _owners(counts.device, lengths)
    joined = torch.zeros((len(lengths), PLACES), dtype=counts.dtype, device=counts.device)
    return joined.index_add_(0, owners, counts.narrow(0, 0, len(owners)))


def _table(found: torch.Tensor, lengths: list[int] | None) -> torch.Tensor:
    """Return what was found of each row, by tensors: of shape (tensors, most rows, numbers). Holes are an empty row."""
    if lengths is None:
        return found.unsqueeze(0)

    def make() -> list[list[int]]:
        most, at, table = max(lengths), 0, []
        for length in lengths:
            table.append([*range(at, at + length), *[sum(lengths)] * (most - length)])
            at += length
        return table

    table = kept_on(found.device, ("table", *lengths), make)
    return found.index_select(0, table.view(-1)).view(*table.shape, -1)


def _for_each_row(of_tensors: torch.Tensor, lengths: list[int] | None) -> torch.Tensor:
    """Return what each tensor has, once for each of its rows."""
    if lengths is None:
        return of_tensors
    of_rows = of_tensors.index_select(0, _owners(of_tensors.device, lengths))
    return torch.cat([of_rows, of_rows.new_zeros((1, 1))])


def _owners(device: torch.device, lengths: list[int]) -> torch.Tensor:
    """Return which tensor each row is of, but the empty one at the end."""

    def make() -> list[int]:
        return [number for number, length in enumerate(lengths) for _ in range(length)]

    return kept_on(device, ("owners", *lengths), make)
