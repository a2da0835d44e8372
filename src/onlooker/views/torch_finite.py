"""Says whether tensors of PyTorch are finite: a quick look at many, and the exact one where that finds something.

Owns what is asked of the device: one number for all tensors of one device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch._subclasses import FakeTensor
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from onlooker.inside.torch_kinds import is_wrapped


def is_float(tensor: object) -> bool:
    """Say whether a thing is a tensor that can hold NaN."""
    return (
        isinstance(tensor, torch.Tensor)
        and not (tensor.is_nested or is_lazy(tensor) or _is_empty_shell(tensor))
        and not is_wrapped(tensor)  # what is within comes by itself
        and (tensor.is_floating_point() or tensor.is_complex())
        and tensor.layout is torch.strided
        and tensor.element_size() > 1  # isfinite knows no float8
    )


def _is_empty_shell(tensor: torch.Tensor) -> bool:
    """Say whether there are no numbers in a tensor, only a shape. A subclass may keep its own, whatever its device."""
    is_plain = type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter
    return isinstance(tensor, FakeTensor) or (is_plain and tensor.is_meta)


def floats(tree: Any) -> list[torch.Tensor]:
    """Return the tensors that can hold NaN in any tuples, lists and dicts; of sparse and nested ones their values."""
    found = [_values(one) for one in tree_leaves(tree)]
    return [one for one in found if is_float(one)]


def _values(one: Any) -> Any:
    if not isinstance(one, torch.Tensor):
        return one
    if one.is_nested:
        return one.values()
    return one._values() if one.layout is torch.sparse_coo else one


@torch.no_grad()
def is_finite(tensor: torch.Tensor) -> bool:
    """Say whether all elements are finite. Waits for the device."""
    return bool(torch.isfinite(tensor).all())


@torch.no_grad()
def not_finite(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of those tensors that are not finite. All that is well costs one transfer for each device."""
    found = {name: one.detach() for name, whole in tensors.items() for one in floats(whole) if one.numel()}
    lost: set[str] = set()
    for group in _by_device(found):
        if _is_suspect([found[name] for name in group]):
            flags = torch.stack([torch.isfinite(found[name]).all() for name in group]).tolist()
            lost.update(name for name, is_well in zip(group, flags, strict=True) if not is_well)
    return [name for name in found if name in lost]


def _by_device(tensors: Mapping[str, torch.Tensor]) -> list[list[str]]:
    """Return the names of tensors in groups, one for each device."""
    groups: dict[torch.device, list[str]] = {}
    for name, one in tensors.items():
        groups.setdefault(one.device, []).append(name)
    return list(groups.values())


def _is_suspect(tensors: list[torch.Tensor]) -> bool:
    """Say whether one of the tensors may be not finite: their sum is not, though that may just be an overflow."""
    sums = [_sum(one) for one in tensors]
    total = float(torch.stack(sums).sum())
    return total - total != 0.0


def _sum(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.sum(dtype=torch.float32 if tensor.element_size() < 8 else torch.float64).float()
