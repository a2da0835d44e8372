"""Kinds of PyTorch's tensors: what can be gone over as it is, how the others are made so, and what has no numbers.

Owns the way from any kind of tensor to a plain one of floats or integers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import is_lazy

from onlooker.core.errors import LookError

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

_LOWEST = 1 << 40
"""Below that an address may be no more than a place within memory that was freed. Addresses are rarely that low."""

_of_transforms: Any = getattr(torch._C, "_functorch", None)
_get_level: Any = getattr(_of_transforms, "maybe_current_level", lambda: None)
is_wrapped: Any = getattr(_of_transforms, "is_functorch_wrapped_tensor", lambda tensor: False)
_is_batched: Any = getattr(_of_transforms, "is_legacy_batchedtensor", lambda tensor: False)


def is_in_transform() -> bool:
    """Say whether this is within a transform of `torch.func`, where a tensor stands for others."""
    return _get_level() is not None


def is_recorded() -> bool:
    """Say whether what is called now is not done but recorded: compiled, or captured in a graph of a GPU's work."""
    return torch.compiler.is_compiling() or (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())


def is_of_transform(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is one of a transform, or one of many gradients that autograd computes at once."""
    return _get_level() is not None or is_wrapped(tensor) or _is_batched(tensor)


def is_freed(tensor: torch.Tensor) -> bool:
    """Say whether a tensor's memory was given back, as offloading does: whoever reads it ends the process."""
    is_known = tensor.is_cpu or tensor.is_cuda or tensor.is_xpu
    if not is_known or type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        return False
    try:
        address = tensor.data_ptr()
    except RuntimeError:  # it has no memory of its own, as one that is sparse
        return False
    return address < _LOWEST and tensor.numel() > 0 and address == tensor.storage_offset() * tensor.element_size()


def refuse(key: Any, tensor: torch.Tensor) -> None:
    """Refuse a tensor that has no numbers to look at.

    Raises:
        LookError: it has none; the message says why.
    """
    here = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    if is_lazy(tensor):
        reason = "has no values yet: it belongs to a lazy module"
    elif tensor.is_nested:
        reason = "is a nested tensor"
    elif is_of_transform(tensor):
        reason = "is within a transform of torch.func, such as vmap or grad, as is all that is called there"
    elif is_freed(here):
        reason = "has no memory: its storage was freed"
    else:
        return
    raise LookError(f"{key!r} {reason}, so there is nothing to look at")


def dtype_name(tensor: torch.Tensor) -> str:
    """Return the name of a tensor's type, for example `"float32"`."""
    dtype = tensor.dtype
    name = _NAMES.get(dtype)
    if name is None:
        name = _NAMES[dtype] = str(dtype).removeprefix("torch.")
    return name


def is_plain(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is nothing but float32 in memory, as nearly all are."""
    is_usual = tensor.dtype is torch.float32 and type(tensor) in _PLAIN and tensor.layout is torch.strided
    if not (is_usual and tensor.is_cpu) or tensor.is_neg():
        return False
    try:
        return tensor.data_ptr() >= _LOWEST or not is_freed(tensor)
    except RuntimeError:  # it is one of a transform of `torch.func`
        return False


def is_usual_on_gpu(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is one of floats in a GPU's memory, with nothing unusual to it, as nearly all are there."""
    if not (type(tensor) in _PLAIN and tensor.is_cuda and tensor.dtype in TOGETHER and tensor.layout is torch.strided):
        return False
    if tensor.is_neg() or tensor.is_nested:
        return False
    try:
        return tensor.data_ptr() >= _LOWEST or not (tensor.numel() and is_freed(tensor))
    except RuntimeError:  # it is one of a transform of `torch.func`
        return False


def lies_on_a_device(tensor: torch.Tensor) -> bool:
    """Say whether a tensor lies on a device as it is to be gone over there, as nearly all do that are on one."""
    if is_usual_on_gpu(tensor):
        return True
    if tensor.is_cpu or tensor.is_meta or tensor.dtype not in TOGETHER or tensor.layout is not torch.strided:
        return False
    is_unusual = tensor.is_nested or tensor.is_neg() or hasattr(tensor, "to_local") or is_lazy(tensor)
    return not (is_unusual or is_freed(tensor) or is_of_transform(tensor))


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
