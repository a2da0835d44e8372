"""PyTorch's tensors on a device: their numbers are computed there, and nothing waits for them.

Owns which tensors are gone over together, and that the numbers of all are fetched in one transfer. The pass is in
`torch_groups`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from onlooker.core.summary import BINS, Summary

from .torch_groups import NUMBERS, PLACES, Part, go_over, has_float64
from .torch_kinds import TOGETHER, is_one_piece

LITTLE = 2**16
"""Elements: up to so many it is cheaper to copy a tensor that comes alone, and to look at it with others later."""

_FLOAT32_HOLDS = (torch.bool, torch.uint8, torch.int8, torch.int16)
_HALF = BINS // 2
_ZERO, _INFINITE, _NAN = _HALF + 1, PLACES - 2, PLACES - 1


class Row:
    """The numbers of one tensor, still on its device.

    Args:
        tensor: a plain one, of floats or integers.
        dtype: what it was before it became plain.

    Attributes:
        tensor: as long as it was not gone over.
        parts: where its numbers are, once it was.
    """

    __slots__ = ("dtype", "parts", "shape", "tensor")

    def __init__(self, tensor: torch.Tensor, dtype: str) -> None:
        self.tensor: torch.Tensor | None = tensor
        self.shape, self.dtype = tuple(tensor.shape), dtype
        self.parts: list[Part] = []


def look_at(tensors: Sequence[torch.Tensor], dtypes: Sequence[str]) -> list[Row]:
    """Compute the numbers of several tensors. Nothing here waits, and afterwards they may be changed.

    Args:
        tensors: plain ones, of floats or integers, on any devices.
        dtypes: what each was before it became plain.
    """
    rows = [Row(tensor, dtype) for tensor, dtype in zip(tensors, dtypes, strict=True)]
    if len(rows) == 1 and tensors[0].numel() <= LITTLE:
        rows[0].tensor = tensors[0].clone()
    else:
        _go_over(rows)
    return rows


def look_at_differences(
    tensors: Sequence[torch.Tensor], kept: Sequence[torch.Tensor], dtypes: Sequence[str]
) -> list[Row]:
    """Compute the numbers of what several tensors are now less what was kept of them.

    Args:
        tensors: of the types in `TOGETHER`.
        kept: for each, one of the same shape and type on the same device.
        dtypes: what each is called.
    """
    rows = [Row(tensor, dtype) for tensor, dtype in zip(tensors, dtypes, strict=True)]
    _go_over(rows, kept)
    return rows


def finish(rows: list[Row]) -> list[Summary]:
    """Fetch the numbers of several tensors, in one transfer for each device."""
    _go_over([row for row in rows if row.tensor is not None])
    by_device: dict[torch.device, dict[int, torch.Tensor]] = {}
    for row in rows:
        for part in row.parts:
            by_device.setdefault(part.numbers.device, {})[id(part.numbers)] = part.numbers
    fetched: dict[int, list[tuple[list[float], list[int]]]] = {}
    for groups in by_device.values():
        table, at = torch.cat(list(groups.values())).cpu(), 0
        counts = table[:, NUMBERS : NUMBERS + PLACES].to(torch.int64).tolist()
        others = torch.cat([table[:, :NUMBERS], table[:, NUMBERS + PLACES :]], 1).tolist()
        both = list(zip(others, counts, strict=True))
        for name, group in groups.items():
            fetched[name] = both[at : at + len(group)]
            at += len(group)
    return [_summary(row, [fetched[id(part.numbers)][part.place] for part in row.parts]) for row in rows]


def _go_over(rows: Sequence[Row], kept: Sequence[torch.Tensor] | None = None) -> None:
    """Find the numbers of rows, or of their differences to what was kept: those of a device and type together."""
    alike: dict[tuple[torch.device, torch.dtype], tuple[list[Row], list[torch.Tensor], list[torch.Tensor]]] = {}
    for place, row in enumerate(rows):
        tensor = row.tensor
        assert tensor is not None
        if tensor.dtype not in TOGETHER:
            is_wide = tensor.dtype not in _FLOAT32_HOLDS and has_float64(tensor.device)
            tensor = tensor.to(torch.float64 if is_wide else torch.float32)
        some, flats, olds = alike.setdefault((tensor.device, tensor.dtype), ([], [], []))
        some.append(row)
        if kept is None:
            flats.append(_in_a_row(tensor))
        else:
            one_way = _in_a_row if tensor.stride() == kept[place].stride() else _in_order
            flats.append(one_way(tensor))
            olds.append(one_way(kept[place]))
    for some, flats, olds in alike.values():
        for row, parts in zip(some, go_over(flats, None if kept is None else olds), strict=True):
            row.parts, row.tensor = parts, None


def _in_a_row(tensor: torch.Tensor) -> torch.Tensor:
    """Return the elements of a tensor in one dimension; as they lie in memory where they are one piece."""
    if not tensor.is_contiguous() and is_one_piece(tensor):
        return tensor.as_strided((tensor.numel(),), (1,))
    return tensor.reshape(-1)


def _in_order(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1)


def _summary(row: Row, found: list[tuple[list[float], list[int]]]) -> Summary:
    """Add up the numbers of a tensor's parts, and their counts."""
    low, high, total, squares, finite = float("inf"), -float("inf"), 0.0, 0.0, 0
    counts = found[0][1] if len(found) == 1 else [sum(some) for some in zip(*(one for _, one in found), strict=True)]
    for part, (numbers, places) in zip(row.parts, found, strict=True):
        some = part.length + part.padding - places[0] - places[_INFINITE] - places[_NAN]
        taken = numbers[NUMBERS] if len(numbers) > NUMBERS else 0.0
        low, high = min(low, -numbers[0]), max(high, numbers[1])
        total += some * taken + numbers[2]
        squares += numbers[3] + (taken * (2 * numbers[2] + some * taken) if taken else 0.0)
        finite += some
    counts = counts or [0] * PLACES
    return Summary(
        count=sum(part.length for part in row.parts),
        shape=row.shape,
        dtype=row.dtype,
        min=low + 0.0 if finite else float("nan"),
        max=high + 0.0 if finite else float("nan"),
        total=total,
        squares=squares,
        zeros=counts[_ZERO],
        nan=counts[_NAN] - sum(part.padding for part in row.parts),
        inf=counts[0] + counts[_INFINITE],
        bins=counts[1:_ZERO] + counts[_ZERO + 1 : _INFINITE],
    )
