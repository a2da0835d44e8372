"""PyTorch's tensors on a device: their numbers are computed there, and nothing waits for them.

Owns which tensors are gone over together, and that the numbers of all are fetched in one transfer. The pass is in
`torch_triton`, or, where there is no Triton, in `torch_groups`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from onlooker.core.summary import BINS, Summary

from . import torch_triton
from .numpy import summary_of
from .torch_groups import NUMBERS, PLACES, Part, go_over, has_float64
from .torch_kinds import TOGETHER, is_one_piece

LITTLE = 2**16
"""Elements: up to so many it is cheaper to copy a tensor that comes alone, and to look at it with others later."""

_FLOAT32_HOLDS = (torch.bool, torch.uint8, torch.int8, torch.int16)
_ZERO, _INFINITE = BINS // 2 + 1, PLACES - 2
_OTHERS = [0, _ZERO, _INFINITE, PLACES - 1]
"""The places that are no bins: negative infinity, zero, infinity and NaN."""

_NAN = float("nan")

_Line = tuple[list[float], list[int], Any, float]
"""Of a part the four numbers, the counts of the other places, those of the bins, and what was taken away before."""


class Row:
    """The numbers of one tensor, still on its device.

    Args:
        tensor: a plain one, of floats or integers.
        dtype: what it was before it became plain.

    Attributes:
        tensor: as long as it was not gone over.
        lines: what `torch_triton` has found of it, until it is joined.
        parts: where its numbers are, after that, or as soon as `torch_groups` has gone over it; none if it is empty.
    """

    __slots__ = ("dtype", "lines", "parts", "shape", "tensor")

    def __init__(self, tensor: torch.Tensor, dtype: str) -> None:
        self.tensor: torch.Tensor | None = tensor
        self.shape, self.dtype = tuple(tensor.shape), dtype
        self.lines: torch_triton.Lines | None = None
        self.parts: list[Part] = []


@torch.no_grad()
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


@torch.no_grad()
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


class Sent:
    """The numbers of several tensors, under way from their devices.

    Args:
        rows: the tensors'.
        tables: for each device the numbers of a row's parts, its groups one after another, and what is waited for;
            None for what is there at once.
        places: where in the tables a group begins: by its identity the number of the table, and that of the line.
    """

    def __init__(
        self,
        rows: list[Row],
        tables: list[tuple[torch.Tensor, torch.cuda.Event | None]],
        places: dict[int, tuple[int, int]],
    ) -> None:
        self.rows, self.tables, self.places = rows, tables, places


@torch.no_grad()
def send(rows: list[Row]) -> Sent:
    """Begin to bring the numbers of several tensors here, in one transfer for each device. Nothing waits on a GPU."""
    _go_over([row for row in rows if row.tensor is not None])
    _join(rows)
    by_device: dict[torch.device, dict[int, torch.Tensor]] = {}
    for row in rows:
        for part in row.parts:
            by_device.setdefault(part.numbers.device, {})[id(part.numbers)] = part.numbers
    tables, places = [], {}
    for number, groups in enumerate(by_device.values()):
        at = 0
        for name, group in groups.items():
            places[name] = number, at
            at += len(group)
        tables.append(_sent(torch.cat(list(groups.values()))))
    return Sent(rows, tables, places)


def finish_sent(sent: Sent) -> list[Summary]:
    """Return what tensors look like whose numbers were sent; wait for them if they are not here yet."""
    tables = []
    for table, event in sent.tables:
        if event is not None:
            event.synchronize()
        here = table.cpu()
        numbers, counts = here[:, :NUMBERS].tolist(), here[:, NUMBERS : NUMBERS + PLACES].to(torch.int64)
        bins = torch.cat([counts[:, 1:_ZERO], counts[:, _ZERO + 1 : _INFINITE]], 1).numpy()
        taken = [0.0] * len(here) if here.shape[1] == NUMBERS + PLACES else here[:, -1].tolist()
        tables.append(list(zip(numbers, counts[:, _OTHERS].tolist(), bins, taken, strict=True)))
    found = []
    for row in sent.rows:
        summary = None
        for part in row.parts:
            number, at = sent.places[id(part.numbers)]
            of_part = _summary(row, part, tables[number][at + part.place])
            summary = of_part if summary is None else summary + of_part
        found.append(_of_nothing(row) if summary is None else summary)
    return found


def finish(rows: list[Row]) -> list[Summary]:
    """Fetch the numbers of several tensors, in one transfer for each device."""
    return finish_sent(send(rows))


def _sent(table: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event | None]:
    """Begin to bring a table here where that need not be waited for, into memory that cannot be moved."""
    if not (table.is_cuda and torch.cuda.is_initialized()):
        return table, None
    here = torch.empty(table.shape, dtype=table.dtype, device="cpu", pin_memory=True)
    here.copy_(table, non_blocking=True)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(table.device))
    return here, event


def _go_over(rows: Sequence[Row], kept: Sequence[torch.Tensor] | None = None) -> None:
    """Find the numbers of rows, or of their differences to what was kept: those of a device and type together."""
    alike: dict[tuple[torch.device, torch.dtype], tuple[list[Row], list[torch.Tensor], list[torch.Tensor]]] = {}
    for place, row in enumerate(rows):
        tensor = row.tensor
        assert tensor is not None
        if not tensor.numel():
            row.tensor = None
            continue
        if tensor.dtype not in TOGETHER:
            is_wide = tensor.dtype not in _FLOAT32_HOLDS and has_float64(tensor.device)
            tensor = tensor.to(torch.float64 if is_wide else torch.float32)
        some, pieces, olds = alike.setdefault((tensor.device, tensor.dtype), ([], [], []))
        some.append(row)
        if kept is None:
            pieces.append(_as_piece(tensor))
        else:
            one_way = _as_piece if tensor.stride() == kept[place].stride() else torch.Tensor.contiguous
            pieces.append(one_way(tensor))
            olds.append(one_way(kept[place]))
    for some, pieces, olds in alike.values():
        given = (pieces, None if kept is None else olds)
        lines = torch_triton.go_over(*given) if torch_triton.is_possible(pieces) else None
        if lines is not None:
            for row, line in zip(some, lines, strict=True):
                row.lines, row.tensor = line, None
        else:
            for row, parts in zip(some, go_over(*given), strict=True):
                row.parts, row.tensor = parts, None


def _join(rows: list[Row]) -> None:
    """Find the numbers of rows that `torch_triton` has gone over, those on one device together."""
    by_device: dict[torch.device, list[tuple[Row, torch_triton.Lines]]] = {}
    for row in rows:
        if row.lines is not None:
            by_device.setdefault(row.lines.table.device, []).append((row, row.lines))
    for some in by_device.values():
        for (row, _), part in zip(some, torch_triton.join([lines for _, lines in some]), strict=True):
            row.parts, row.lines = [part], None


def _as_piece(tensor: torch.Tensor) -> torch.Tensor:
    """Return the elements of a tensor as one piece of memory; as they lie there where they are one."""
    if tensor.is_contiguous():
        return tensor
    return tensor.as_strided((tensor.numel(),), (1,)) if is_one_piece(tensor) else tensor.contiguous()


def _of_nothing(row: Row) -> Summary:
    return summary_of(([0.0] * 7, [0] * BINS), row.shape, row.dtype, 0)


def _summary(row: Row, part: Part, line: _Line) -> Summary:
    """Return what a part of a tensor looks like."""
    (low, high, total, squares), (negative, zeros, positive, nan), bins, taken = line
    nan, inf = nan - part.padding, negative + positive
    finite = part.length - nan - inf
    if taken:
        total, squares = finite * taken + total, squares + taken * (2 * total + finite * taken)
    low, high = (0.0 - low, high + 0.0) if finite else (_NAN, _NAN)  # so that a zero has no sign
    # A summary that is kept must not keep the bins of all others.
    return Summary(part.length, row.shape, row.dtype, low, high, total, squares, zeros, nan, inf, bins.copy())
