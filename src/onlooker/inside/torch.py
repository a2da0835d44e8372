"""PyTorch's tensors. On the CPU they are looked at where they lie, on a device by `torch_device`; all together.

Owns what is looked at together, and what is kept of weights.
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
from .torch_device import Row, look_at, look_at_differences
from .torch_kinds import as_dense, dtype_name, is_one_piece, is_plain, lies_on_a_device

_memory: Any = None


def begin(key: Any, tensor: torch.Tensor) -> Summary | Row:
    """Return what a tensor looks like, or, on a device, the numbers from which it will be told.

    Of a distributed tensor it is this process's part.

    Raises:
        LookError: it is of a kind that cannot be looked at, such as one without memory.
    """
    return _begin_dense(_to_look_at(key, tensor), dtype_name(tensor))


def begin_all(tensors: Mapping[Any, torch.Tensor]) -> dict[Any, Summary | Row | Exception]:
    """Do what `begin` does with several tensors: those on the CPU are gone over together, and those on a device.

    Returns:
        For each what `begin` returns, or the error that it raises.
    """
    together = {key: one for key, one in tensors.items() if _get_memory() and is_plain(one) and is_one_piece(one)}
    found = _begun({key: tried(_to_look_at, key, one) for key, one in tensors.items() if key not in together}, tensors)
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
        return is_plain(tensor) and copy.shape == tensor.shape and copy.stride() == tensor.stride()


def keep_all(tensors: Mapping[Any, torch.Tensor], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return copies of several tensors, in the memory of earlier copies where those are of their kind.

    Args:
        tensors: by key.
        kept: earlier copies by the same keys, as far as there are any.

    Returns:
        For each its copy, or an error.
    """
    found: dict[Any, Any] = {}
    together: dict[Any, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
    for key, tensor in tensors.items():
        tensor, old = tensor.detach(), kept.get(key)
        if isinstance(old, Kept) and old.is_like(tensor):
            found[key], room = old, old.copy
        elif lies_on_a_device(tensor):
            found[key] = room = tried(_room, tensor, old)
        else:
            found[key] = tried(_copy, tensor, old)
            continue
        if isinstance(room, torch.Tensor):
            copies, originals = together.setdefault((tensor.device, tensor.dtype), ([], []))
            copies.append(room)
            originals.append(tensor)
    for copies, originals in together.values():
        torch._foreach_copy_(copies, originals)
    return found


def begin_difference(key: Any, tensor: torch.Tensor, kept: Any) -> Summary | Row:
    """Return what a tensor less what was kept of it looks like.

    Raises:
        LookError: it is of a kind that cannot be looked at, or no longer what was kept of it.
    """
    if isinstance(kept, Kept):
        tensor = tensor.detach()
        if not kept.is_like(tensor):
            raise LookError(f"{key!r} is no longer the tensor that was kept: its shape or its type has changed")
        found = get_pass()(_in_a_row(tensor), _in_a_row(kept.copy))
        return summary_of(found, tuple(tensor.shape), "float32", tensor.numel())
    return _begin_dense(_difference(key, tensor, kept), dtype_name(tensor))


def begin_difference_all(tensors: Mapping[Any, torch.Tensor], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    """Do what `begin_difference` does with several tensors, and what was kept of them by the same keys.

    Returns:
        For each what `begin_difference` returns, or the error that it raises.
    """
    together: dict[Any, torch.Tensor] = {}
    on_device: dict[Any, torch.Tensor] = {}
    found: dict[Any, Any] = {}
    for key, tensor in tensors.items():
        old = kept[key]
        if isinstance(old, Kept):
            if _get_memory() and old.is_like(tensor):
                together[key] = tensor
            else:
                found[key] = tried(begin_difference, key, tensor, old)
        elif lies_on_a_device(tensor) and _fits(old, tensor):
            on_device[key] = tensor.detach()
        else:
            found[key] = tried(_difference, key, tensor, old)
    found = _begun(found, tensors)
    if on_device:
        olds, dtypes = [kept[key] for key in on_device], [dtype_name(one) for one in on_device.values()]
        rows = tried(look_at_differences, list(on_device.values()), olds, dtypes)
        if isinstance(rows, Exception):
            rows = [tried(begin_difference, key, one, kept[key]) for key, one in on_device.items()]
        found.update(zip(on_device, rows, strict=True))
    return {**found, **_gone_over(together, [kept[key].address for key in together])}


def _to_look_at(key: Any, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as one of floats or integers that can be gone over.

    Raises:
        LookError: it is of a kind that cannot be looked at.
    """
    if is_lazy(tensor) or tensor.is_nested:
        kind = "has no values yet: it belongs to a lazy module" if is_lazy(tensor) else "is a nested tensor"
        raise LookError(f"{key!r} {kind}, so there is nothing to look at")
    dense = tensor.detach()
    if not (is_plain(dense) or lies_on_a_device(dense)):
        dense = as_dense(dense)
    if dense.is_meta:
        raise LookError(f"the tensor {key!r} has no memory (device 'meta'), so there is nothing to look at")
    return dense


def _difference(key: Any, tensor: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Return a tensor less what was kept of it, as one that can be gone over.

    Raises:
        LookError: it is of a kind that cannot be looked at, or no longer what was kept of it.
    """
    tensor = tensor.detach()
    if tensor.shape != kept.shape or tensor.dtype == torch.bool:
        raise LookError(f"{key!r} has no difference to what was kept of it")
    if tensor.is_complex():  # the magnitude of the difference, not the difference of the magnitudes
        return _to_look_at(key, torch.sub(tensor.to_dense(), kept.to_dense()))
    return _to_look_at(key, torch.sub(as_dense(tensor), as_dense(kept)))


def _begin_dense(dense: torch.Tensor, dtype: str) -> Summary | Row:
    """Do what `begin` does with a tensor that can be gone over."""
    if not dense.is_cpu:
        return look_at([dense], [dtype])[0]
    if not (_get_memory() and is_plain(dense) and is_one_piece(dense)):
        return summarise_array(dense.numpy(), dtype)
    summary = _gone_over({"": dense})[""]
    summary.dtype = dtype
    return summary


def _begun(found: dict[Any, Any], tensors: Mapping[Any, torch.Tensor]) -> dict[Any, Any]:
    """Replace tensors that can be gone over by what they look like, those on devices together; leave all else.

    Args:
        found: by key.
        tensors: what each was before.
    """
    on_device: dict[Any, torch.Tensor] = {}
    for key, dense in found.items():
        if isinstance(dense, torch.Tensor):
            if dense.is_cpu:
                found[key] = tried(_begin_dense, dense, dtype_name(tensors[key]))
            else:
                on_device[key] = dense
    dtypes = [dtype_name(tensors[key]) for key in on_device]
    rows = tried(look_at, list(on_device.values()), dtypes)
    if isinstance(rows, Exception):
        rows = [tried(_begin_dense, dense, dtype) for dense, dtype in zip(on_device.values(), dtypes, strict=True)]
    return {**found, **dict(zip(on_device, rows, strict=True))}


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


def _in_a_row(tensor: torch.Tensor) -> Any:
    """Return the memory of a tensor that is one piece, as NumPy's."""
    return tensor.as_strided((tensor.numel(),), (1,)).numpy()


def _copy(tensor: torch.Tensor, old: Any) -> Any:
    if is_plain(tensor) and is_one_piece(tensor):
        return Kept(tensor)
    if isinstance(old, torch.Tensor) and _fits(old, tensor):
        old.copy_(tensor)
        return old
    return tensor.clone()


def _room(tensor: torch.Tensor, old: Any) -> torch.Tensor:
    """Return memory for a copy of a tensor, in the same order if that can be: that of an earlier copy, or new."""
    if isinstance(old, torch.Tensor) and _fits(old, tensor) and old.stride() == tensor.stride():
        return old
    return torch.empty_like(tensor)


def _fits(kept: torch.Tensor, tensor: torch.Tensor) -> bool:
    return (kept.shape, kept.dtype, kept.device, kept.layout) == (
        tensor.shape,
        tensor.dtype,
        tensor.device,
        tensor.layout,
    )
