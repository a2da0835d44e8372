"""PyTorch's tensors on a GPU, gone over where they lie by Triton's compiled code: one launch for all of one type.

Owns which tensors can be, how they are cut into tiles, and the launches. The pass itself is in `triton_kernel`. Triton
comes with PyTorch on Linux; where it is missing, or cannot compile, `torch_groups` does the same with PyTorch's own
operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from onlooker.core.errors import warn

from .torch_groups import NUMBERS, PLACES, Part
from .torch_tables import kept_on

TILE = 2**15
"""Elements that one program goes over: few enough to keep a GPU busy with a small model, many enough for its line of
results to be little beside them."""

_STEP = 2**9
"""Elements at a time: with more, a program needs so many registers that fewer of them run beside each other."""

_SOME_LINES = 32
_PLAIN = (torch.Tensor, torch.nn.Parameter)

_kernel: Any = None
_is_broken = False


class Lines(NamedTuple):
    """The lines of a tensor's tiles, one after another.

    Attributes:
        table: of all tensors that were gone over together, of float64, on their device.
        first: the number of this tensor's first line.
        tiles: how many it has.
        length: how many elements the tensor has.
    """

    table: torch.Tensor
    first: int
    tiles: int
    length: int


def is_possible(tensors: Sequence[torch.Tensor]) -> bool:
    """Say whether tensors on one device can be gone over so: on a GPU, those of PyTorch's own class."""
    if not tensors[0].is_cuda or _is_broken or _get_kernel() is None:
        return False
    return all(type(tensor) in _PLAIN for tensor in tensors)


def go_over(tensors: Sequence[torch.Tensor], olds: Sequence[torch.Tensor] | None = None) -> list[Lines] | None:
    """Go over several tensors, or their differences to others, on their device; nothing waits.

    Args:
        tensors: of one device and one type in `TOGETHER`, each one piece of memory and not empty.
        olds: what is taken away from each, of the same length and type and in the same order; None for nothing.

    Returns:
        What `join` takes, for each tensor. None, with a word, if Triton cannot compile.
    """
    lengths, device, dtype = [tensor.numel() for tensor in tensors], tensors[0].device, tensors[0].dtype
    counts = [-(-length // TILE) for length in lengths]
    table = torch.empty((sum(counts), _get_kernel().LINE), dtype=torch.float64, device=device)
    if len(tensors) == 1:
        first, other, tiles = tensors[0], tensors[0] if olds is None else olds[0], table
    else:
        first = _addresses(device, tensors)
        other = first if olds is None else _addresses(device, olds)
        tiles = kept_on(device, ("tiles", TILE, *lengths), lambda: _tiles(lengths))
    if not _is_launched(_launch_tiles, (tiles, first, other, table, lengths[0]), dtype, olds is not None):
        return None
    found, at = [], 0
    for length, count in zip(lengths, counts, strict=True):
        found.append(Lines(table, at, count, length))
        at += count
    return found


def join(some: Sequence[Lines]) -> list[Part]:
    """Join the lines of several tensors on one device, from whatever calls of `go_over`, in one launch."""
    width = NUMBERS + PLACES
    numbers = torch.empty((len(some), width), dtype=torch.float64, device=some[0].table.device)
    if not _is_launched(_launch_lines, some, numbers):
        for place, one in enumerate(some):
            lines = one.table[one.first : one.first + one.tiles, :width]
            torch.cat([lines[:, :2].amax(0), lines[:, 2:].sum(0)], out=numbers[place])
    return [Part(numbers, place, one.length, 0) for place, one in enumerate(some)]


def _is_launched(launch: Callable[..., None], *given: Any) -> bool:
    """Launch something; if that cannot be, say so, and never go over tensors so again."""
    try:
        launch(*given)
    except Exception as error:
        _give_up(error)
        return False
    return True


def _give_up(error: Exception) -> None:
    global _is_broken
    _is_broken = True
    shown = " ".join(str(error).split())
    warn(
        f"Triton cannot compile here ({type(error).__name__}: {shown:.200}), so looking at what is on the GPU takes "
        f"many more operations"
    )


def _launch_tiles(given: tuple[Any, ...], dtype: torch.dtype, is_difference: bool) -> None:
    kernel, tiles, lines = _get_kernel(), given[0], given[3]
    with torch.cuda.device_of(lines):
        kernel.over_tiles[(len(lines),)](
            *given,
            kind=getattr(kernel.tl, str(dtype).removeprefix("torch.")),
            is_difference=is_difference,
            is_single=tiles is lines,
            size=TILE,
            step=_STEP,
        )


def _launch_lines(some: Sequence[Lines], numbers: torch.Tensor) -> None:
    table = some[0].table
    size = table.element_size() * table.shape[1]
    spans = [number for one in some for number in (one.table.data_ptr() + one.first * size, one.tiles)]
    with torch.cuda.device_of(numbers):
        over_lines = _get_kernel().over_lines[(len(some),)]
        table_of_spans = kept_on(numbers.device, ("spans", *spans), lambda: spans)
        over_lines(table_of_spans, numbers, width=numbers.shape[1], some=_SOME_LINES)


def _addresses(device: torch.device, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return where tensors are, on their device; mostly that is where they were at the last look."""
    found = [tensor.data_ptr() for tensor in tensors]
    return kept_on(device, ("addresses", *found), lambda: found)


def _tiles(lengths: list[int]) -> list[tuple[int, int, int]]:
    """Return of each tile the number of its tensor, where it begins in that, and how many elements it has."""
    return [
        (number, start, min(TILE, length - start))
        for number, length in enumerate(lengths)
        for start in range(0, length, TILE)
    ]


def _get_kernel() -> Any:
    """Return the module with the compiled pass; None without Triton."""
    global _kernel, _is_broken
    if _kernel is None and not _is_broken:
        try:
            from . import triton_kernel as found
        except ImportError:
            _is_broken = True
        except Exception as error:  # of a Triton that does not go with the rest of the installation
            _give_up(error)
        else:
            _kernel = found
    return _kernel
