"""PyTorch's tensors. On the CPU they are looked at where they lie, all together; on a device by `torch_device`.

Owns the way from any kind of tensor to one that can be looked at, and what is kept of weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from onlooker.core.errors import LookError
from onlooker.core.summary import Summary

from . import tried
from .numpy import get_pass, summarise_array, summary_of
from .torch_device import Row

_SMALL = tuple(
    getattr(torch, name)
    for name in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
    if hasattr(torch, name)
)
"""Those that float32 holds exactly."""

_NAMES = {torch.float32: "float32"}
_PLAIN = (torch.Tensor, torch.nn.Parameter)
_memory: Any = None


def begin(key: Any, tensor: torch.Tensor) -> Summary | Row:
    """Return what a tensor looks like, or, on a device, the numbers from which it will be told.

    Of a distributed tensor it is this process's part.

    Raises:
        LookError: it is of a kind that cannot be looked at, such as one without memory.
    """
    if is_lazy(tensor) or tensor.is_nested:
        kind = "has no values yet: it belongs to a lazy module" if is_lazy(tensor) else "is a nested tensor"
        raise LookError(f"{key!r} {kind}, so there is nothing to look at")
    dense, dtype = tensor.detach(), _dtype_name(tensor)
    if not _is_plain(dense):
        dense = _dense(dense)
    if dense.is_cpu:
        if _get_memory() and _is_plain(dense) and _is_one_piece(dense):
            summary = _gone_over({key: dense})[key]
            summary.dtype = dtype
            return summary
        return summarise_array(dense.numpy(), dtype)
    if dense.is_meta:
        raise LookError(f"the tensor {key!r} has no memory (device 'meta'), so there is nothing to look at")
    with torch.no_grad():
        return Row(dense, dtype)


def begin_all(tensors: Mapping[Any, torch.Tensor]) -> dict[Any, Summary | Row | Exception]:
    """Do what `begin` does with several tensors: those on the CPU are gone over together, by all threads.

    Returns:
        For each what `begin` returns, or the error that it raises.
    """
    together = {key: one for key, one in tensors.items() if _get_memory() and _is_plain(one) and _is_one_piece(one)}
    found = {key: tried(begin, key, one) for key, one in tensors.items() if key not in together}
    return {**found, **_gone_over(together)}


class Kept:
    """A copy of a tensor of float32 on the CPU, in the same order in memory."""

    __slots__ = ("address", "copy")

    def __init__(self, tensor: torch.Tensor) -> None:
        self.copy = tensor.clone(memory_format=torch.preserve_format)
        self.address = self.copy.data_ptr()

    def is_like(self, tensor: torch.Tensor) -> bool:
        """Say whether a tensor is of the same shape, and lies in memory in the same order."""
        copy = self.copy
        return _is_plain(tensor) and copy.shape == tensor.shape and copy.stride() == tensor.stride()


def keep_all(tensors: Mapping[Any, torch.Tensor], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return copies of several tensors, in the memory of earlier copies where those are of their kind.

    Args:
        tensors: by key.
        kept: earlier copies by the same keys, as far as there are any.

    Returns:
        For each its copy, or an error.
    """
    found: dict[Any, Any] = {}
    copies, originals = [], []
    for key, tensor in tensors.items():
        tensor, old = tensor.detach(), kept.get(key)
        if isinstance(old, Kept) and old.is_like(tensor):
            found[key] = old
            copies.append(old.copy)
            originals.append(tensor)
        else:
            found[key] = tried(_copy, tensor, old)
    if copies:
        torch._foreach_copy_(copies, originals)
    return found


def begin_difference(key: Any, tensor: torch.Tensor, kept: Any) -> Summary | Row:
    """Return what a tensor less what was kept of it looks like.

    Raises:
        LookError: it is of a kind that cannot be looked at, or no longer what was kept of it.
    """
    tensor = tensor.detach()
    if isinstance(kept, Kept):
        if not kept.is_like(tensor):
            raise LookError(f"{key!r} is no longer the tensor that was kept: its shape or its type has changed")
        found = get_pass()(_in_a_row(tensor), _in_a_row(kept.copy))
        return summary_of(found, tuple(tensor.shape), "float32", tensor.numel())
    if tensor.shape != kept.shape or tensor.dtype == torch.bool:
        raise LookError(f"{key!r} has no difference to what was kept of it")
    with torch.no_grad():
        if tensor.is_complex():  # the magnitude of the difference, not the difference of the magnitudes
            summary = begin(key, torch.sub(tensor.to_dense(), kept.to_dense()))
        else:
            summary = begin(key, torch.sub(_dense(tensor), _dense(kept)))
    summary.dtype = _dtype_name(tensor)
    return summary


def begin_difference_all(tensors: Mapping[Any, torch.Tensor], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    """Do what `begin_difference` does with several tensors, and what was kept of them by the same keys.

    Returns:
        For each what `begin_difference` returns, or the error that it raises.
    """
    together: dict[Any, torch.Tensor] = {}
    for key, tensor in tensors.items():
        old = kept[key]
        if _get_memory() and isinstance(old, Kept) and old.is_like(tensor):
            together[key] = tensor
    found = {key: tried(begin_difference, key, one, kept[key]) for key, one in tensors.items() if key not in together}
    return {**found, **_gone_over(together, [kept[key].address for key in together])}


def _gone_over(tensors: Mapping[Any, torch.Tensor], old_addresses: list[int] | None = None) -> dict[Any, Summary]:
    """Return what plain tensors, each one piece, look like, or the differences to their copies."""
    if not tensors:
        return {}
    lengths = [one.numel() for one in tensors.values()]
    addresses = [one.data_ptr() for one in tensors.values()]
    rows = _get_memory().go_over(addresses, lengths, old_addresses, threads=torch.get_num_threads())
    return {
        key: summary_of(row, tuple(one.shape), "float32", length)
        for (key, one), row, length in zip(tensors.items(), rows, lengths, strict=True)
    }


def _dtype_name(tensor: torch.Tensor) -> str:
    return _NAMES.get(tensor.dtype) or str(tensor.dtype).removeprefix("torch.")


def _get_memory() -> Any:
    """Return the module that goes over memory; None without Numba."""
    global _memory
    if _memory is None:
        try:
            from . import memory as found
        except ImportError:
            return None
        _memory = found
    return _memory


def _is_plain(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is nothing but float32 in memory, as nearly all are."""
    is_usual = tensor.dtype is torch.float32 and type(tensor) in _PLAIN and tensor.layout is torch.strided
    return is_usual and tensor.is_cpu and not tensor.is_neg()


def _is_one_piece(tensor: torch.Tensor) -> bool:
    """Say whether a tensor has elements, and they lie side by side in memory, in whatever order."""
    if tensor.is_contiguous():
        return tensor.numel() > 0
    if tensor.dim() == 2:
        return tensor.T.is_contiguous()
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def _in_a_row(tensor: torch.Tensor) -> Any:
    """Return the memory of a tensor that is one piece, as NumPy's."""
    return tensor.as_strided((tensor.numel(),), (1,)).numpy()


def _copy(tensor: torch.Tensor, old: Any) -> Any:
    if _is_plain(tensor) and _is_one_piece(tensor):
        return Kept(tensor)
    if isinstance(old, torch.Tensor) and _fits(old, tensor):
        old.copy_(tensor)
        return old
    return tensor.clone()


def _fits(kept: torch.Tensor, tensor: torch.Tensor) -> bool:
    return (kept.shape, kept.dtype, kept.device, kept.layout) == (
        tensor.shape,
        tensor.dtype,
        tensor.device,
        tensor.layout,
    )


def _dense(tensor: Any) -> torch.Tensor:
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
