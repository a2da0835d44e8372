"""Kinds of PyTorch's tensors: what can be gone over as it is, and how the others are made so.

Owns the way from any kind of tensor to a plain one of floats or integers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import is_lazy

_SMALL = tuple(
    getattr(torch, name)
    for name in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
    if hasattr(torch, name)
)
"""Those that float32 holds exactly."""

_NAMES = {torch.float32: "float32"}
_PLAIN = (torch.Tensor, torch.nn.Parameter)

TOGETHER = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Those that are laid side by side on a device."""


def dtype_name(tensor: torch.Tensor) -> str:
    """Return the name of a tensor's type, for example `"float32"`."""
    return _NAMES.get(tensor.dtype) or str(tensor.dtype).removeprefix("torch.")


def is_plain(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is nothing but float32 in memory, as nearly all are."""
    is_usual = tensor.dtype is torch.float32 and type(tensor) in _PLAIN and tensor.layout is torch.strided
    return is_usual and tensor.is_cpu and not tensor.is_neg()


def lies_on_a_device(tensor: torch.Tensor) -> bool:
    """Say whether a tensor lies on a device as it is to be gone over there, as nearly all do that are on one."""
    if tensor.is_cpu or tensor.is_meta or tensor.dtype not in TOGETHER or tensor.layout is not torch.strided:
        return False
    return not (tensor.is_nested or tensor.is_neg() or hasattr(tensor, "to_local") or is_lazy(tensor))


def is_one_piece(tensor: torch.Tensor) -> bool:
    """Say whether a tensor has elements, and they lie side by side in memory, in whatever order."""
    if tensor.is_contiguous():
        return tensor.numel() > 0
    if tensor.dim() == 2:
        return tensor.T.is_contiguous()
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def as_dense(tensor: Any) -> torch.Tensor:
    """Return a tensor as a plain one of floats or integers."""
    if hasattr(tensor, "to_local"):  # a distributed tensor: the part that is here
        tensor = tensor.to_local()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        tensor = tensor.abs()
    if tensor.dtype in _SMALL:
        tensor = tensor.to(torch.float32)
    plain: torch.Tensor = tensor.resolve_neg() if tensor.is_neg() else tensor
    return plain
