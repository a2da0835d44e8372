"""PyTorch's tensors on a GPU, gone over where they lie by Triton's compiled code: two launches for all of one type.

Owns which tensors can be, how they are cut into tiles, and the launches. The pass itself is in `triton_kernel`. Triton
comes with PyTorch on Linux; where it is missing, or cannot compile, `torch_groups` does the same with PyTorch's own
operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

_kernel: Any = None
_is_broken = False


def is_possible(device: torch.device) -> bool:
    """Say whether tensors on a device can be gone over so."""
    return device.type == "cuda" and not _is_broken and _get_kernel() is not None


def go_over(tensors: Sequence[torch.Tensor], olds: Sequence[torch.Tensor] | None = None) -> list[list[Part]] | None:
    """Compute the numbers of several tensors, or of their differences, on their device; nothing waits.

    Args:
        tensors: of one device and one type in `TOGETHER`, each one piece of memory.
        olds: what is taken away from each, of the same length and type and in the same order; None for nothing.

    Returns:
        For each tensor its part; none where it is empty. None, with a word, if Triton cannot compile.
    """
    global _is_broken
    lengths = [tensor.numel() for tensor in tensors]
    places = [place for place, length in enumerate(lengths) if length]
    found: list[list[Part]] = [[] for _ in tensors]
    if not places:
        return found
    some, device = [lengths[place] for place in places], tensors[0].device
    addresses = _addresses(device, [tensors[place] for place in places])
    others = addresses if olds is None else _addresses(device, [olds[place] for place in places])
    tiles = kept_on(device, ("tiles", TILE, *some), lambda: _tiles(some))
    spans = kept_on(device, ("spans", TILE, *some), lambda: _spans(some))
    lines = torch.empty((len(tiles), _get_kernel().LINE), dtype=torch.float64, device=device)
    numbers = torch.empty((len(some), NUMBERS + PLACES), dtype=torch.float64, device=device)
    try:
        _launch(tensors[0].dtype, olds is not None, (tiles, addresses, others, lines), (lines, spans, numbers))
    except Exception as error:
        _is_broken = True
        shown = " ".join(str(error).split())
        warn(
            f"Triton cannot compile here ({type(error).__name__}: {shown:.200}), so looking at what is on the GPU "
            f"takes many more operations"
        )
        return None
    for number, place in enumerate(places):
        found[place].append(Part(numbers, number, lengths[place], 0))
    return found


def _launch(dtype: torch.dtype, is_difference: bool, first: tuple[Any, ...], second: tuple[Any, ...]) -> None:
    kernel, (tiles, spans) = _get_kernel(), (first[0], second[1])
    kind = getattr(kernel.tl, str(dtype).removeprefix("torch."))
    with torch.cuda.device_of(tiles):
        kernel.over_tiles[(len(tiles),)](*first, kind=kind, is_difference=is_difference, step=_STEP)
        kernel.over_lines[(len(spans),)](*second, width=NUMBERS + PLACES, some=_SOME_LINES)


def _addresses(device: torch.device, tensors: list[torch.Tensor]) -> torch.Tensor:
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


def _spans(lengths: list[int]) -> list[tuple[int, int]]:
    """Return of each tensor the number of its first tile, and how many it has."""
    counts = [-(-length // TILE) for length in lengths]
    return [(sum(counts[:number]), count) for number, count in enumerate(counts)]


def _get_kernel() -> Any:
    """Return the module with the compiled pass; None without Triton."""
    global _kernel, _is_broken
    if _kernel is None and not _is_broken:
        try:
            from . import triton_kernel as found
        except ImportError:
            _is_broken = True
        else:
            _kernel = found
    return _kernel
