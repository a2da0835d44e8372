"""Copies of PyTorch's tensors, in memory that is used again.

Owns what kind of copy a tensor gets, and which copies are made together, or while something else is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from . import tried
from .torch_kinds import is_one_piece, is_plain, lies_on_a_device, refuse

Copy = tuple[torch.Tensor, torch.Tensor]
"""Memory in which a copy is to be made, and the tensor that is to be copied."""


class Kept:
    """A copy of a tensor of float32 on the CPU, in the same order in memory; it is yet to be filled."""

    __slots__ = ("address", "copy")

    def __init__(self, tensor: torch.Tensor) -> None:
        self.copy = torch.empty_like(tensor, memory_format=torch.preserve_format)
        self.address = self.copy.data_ptr()

    def is_like(self, tensor: torch.Tensor) -> bool:
        """Say whether a tensor is of the same shape, and lies in memory in the same order."""
        copy = self.copy
        return is_plain(tensor) and copy.shape == tensor.shape and copy.stride() == tensor.stride()


def fits(kept: torch.Tensor, tensor: torch.Tensor) -> bool:
    """Say whether memory that was kept is for a tensor of this shape and kind."""
    return (kept.shape, kept.dtype, kept.device, kept.layout) == (
        tensor.shape,
        tensor.dtype,
        tensor.device,
        tensor.layout,
    )


def find_rooms(tensors: Mapping[Any, torch.Tensor], kept: Mapping[Any, Any]) -> tuple[dict[Any, Any], list[Copy]]:
    """Find memory for copies of tensors: that of earlier copies where it fits.

    Returns:
        For each what is kept, of unusual ones with the copy made, or an error; and the copies that are yet to be made.
    """
    found: dict[Any, Any] = {}
    waiting: list[Copy] = []
    for key, tensor in tensors.items():
        tensor, old = tensor.detach(), kept.get(key)
        if isinstance(old, Kept) and old.is_like(tensor):
            found[key] = old
        elif is_plain(tensor) and is_one_piece(tensor):
            found[key] = tried(Kept, tensor)
        elif lies_on_a_device(tensor):
            found[key] = tried(_room, tensor, old)
        else:
            found[key] = tried(_copied, key, tensor, old)
            continue
        room = found[key]
        if not isinstance(room, Exception):
            waiting.append((room.copy if isinstance(room, Kept) else room, tensor))
    return found, waiting


def share_out(waiting: list[Copy], lengths: list[int]) -> tuple[list[int], list[int], list[Copy]]:
    """Choose for each of several lengths a copy on the CPU that has as many elements.

    Returns:
        For each the addresses of the original and of the copy, or 0 where there is none; and the copies that are left.
    """
    left: list[Copy] = []
    by_length: dict[int, list[Copy]] = {}
    for copy in waiting:
        (by_length.setdefault(copy[0].numel(), []) if copy[0].is_cpu else left).append(copy)
    sources, targets = [0] * len(lengths), [0] * len(lengths)
    for place, length in enumerate(lengths):
        if by_length.get(length):
            room, original = by_length[length].pop()
            sources[place], targets[place] = original.data_ptr(), room.data_ptr()
    return sources, targets, left + [copy for copies in by_length.values() for copy in copies]


def copy_all(copies: list[Copy]) -> None:
    """Make copies, those of one kind together."""
    together: dict[Any, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
    for room, original in copies:
        rooms, originals = together.setdefault((room.device, room.dtype), ([], []))
        rooms.append(room)
        originals.append(original)
    for rooms, originals in together.values():
        torch._foreach_copy_(rooms, originals)


def _room(tensor: torch.Tensor, old: Any) -> torch.Tensor:
    """Return memory for a copy of a tensor, in the same order if that can be: that of an earlier copy, or new."""
    if isinstance(old, torch.Tensor) and fits(old, tensor) and old.stride() == tensor.stride():
        return old
    return torch.empty_like(tensor)


def _copied(key: Any, tensor: torch.Tensor, old: Any) -> torch.Tensor:
    """Return a copy of an unusual tensor.

    Raises:
        LookError: it has no numbers.
    """
    refuse(key, tensor)
    if isinstance(old, torch.Tensor) and fits(old, tensor):
        old.copy_(tensor)
        return old
    return tensor.clone()
