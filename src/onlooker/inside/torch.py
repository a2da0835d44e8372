"""PyTorch's tensors. On the CPU they are looked at where they lie, on a device by `torch_device`; all together.

Owns what is looked at together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from onlooker.core.errors import LookError
from onlooker.core.summary import Summary

from . import tried
from .numpy import get_pass, summarise_array, summary_of
from .torch_copies import Copy, Kept, copy_all, find_rooms, fits, share_out
from .torch_device import Row, look_at, look_at_differences
from .torch_kinds import (
    as_dense,
    dtype_name,
    is_in_transform,
    is_one_piece,
    is_plain,
    is_usual_on_gpu,
    lies_on_a_device,
    refuse,
)

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
    return _begin_all(tensors, [])[0]


def begin_and_keep_all(
    tensors: Mapping[Any, torch.Tensor], originals: Mapping[Any, torch.Tensor], kept: Mapping[Any, Any]
) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Do what `begin_all` does with some tensors and `keep_all` with others: on the CPU both at the same time.

    Returns:
        What `begin_all` returns, and what `keep_all` returns.
    """
    copies, waiting = find_rooms(originals, kept)
    found, left = _begin_all(tensors, waiting)
    copy_all(left)
    return found, copies


def keep_all(tensors: Mapping[Any, torch.Tensor], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return copies of several tensors, in the memory of earlier copies where those are of their kind.

    Args:
        tensors: by key.
        kept: earlier copies by the same keys, as far as there are any.

    Returns:
        For each its copy, or an error.
    """
    copies, waiting = find_rooms(tensors, kept)
    copy_all(waiting)
    return copies


def begin_difference(key: Any, tensor: torch.Tensor, kept: Any) -> Summary | Row:
    """Return what a tensor less what was kept of it looks like.

    Raises:
        LookError: it is of a kind that cannot be looked at, or no longer what was kept of it.
    """
    if isinstance(kept, Kept):
        tensor = tensor.detach()
        if not kept.is_like(tensor):
            refuse(key, tensor)
            changed = "its shape, type or order in memory has changed"
            raise LookError(f"{key!r} is no longer the tensor that was kept: {changed}")
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
        elif lies_on_a_device(tensor) and fits(old, tensor):
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


def _begin_all(tensors: Mapping[Any, torch.Tensor], waiting: list[Copy]) -> tuple[dict[Any, Any], list[Copy]]:
    """Do what `begin_all` does, and meanwhile make copies.

    Args:
        tensors: by key.
        waiting: the copies to be made.

    Returns:
        What `begin_all` returns, and the copies that could not be made meanwhile.
    """
    is_possible, together, found = not is_in_transform(), {}, {}
    for key, one in tensors.items():
        if is_possible and is_usual_on_gpu(one):
            found[key] = one
        elif is_possible and is_plain(one) and is_one_piece(one) and _get_memory():
            together[key] = one
        else:
            found[key] = tried(_to_look_at, key, one)
    found = _begun(found, tensors)
    sources, targets, left = share_out(waiting, [one.numel() for one in together.values()])
    return {**found, **_gone_over(together, sources, targets)}, left


def _to_look_at(key: Any, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as one of floats or integers that can be gone over.

    Raises:
        LookError: it is of a kind that cannot be looked at.
    """
    refuse(key, tensor)
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
    refuse(key, tensor)
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


def _gone_over(
    tensors: Mapping[Any, torch.Tensor], others: list[int] | None = None, targets: list[int] | None = None
) -> dict[Any, Summary]:
    """Return what plain tensors, each one piece, look like, or the differences to their copies.

    Args:
        tensors: by key.
        others: an address for each, as in `memory.go_over`.
        targets: another.
    """
    if not tensors:
        return {}
    lengths = [one.numel() for one in tensors.values()]
    addresses = [one.data_ptr() for one in tensors.values()]
    rows = _get_memory().go_over(addresses, lengths, others, targets, threads=torch.get_num_threads())
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
