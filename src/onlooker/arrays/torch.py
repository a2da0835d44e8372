"""PyTorch's tensors, as `Logs` needs them. Nothing here changes a tensor in place."""

from __future__ import annotations

from typing import Any

import torch

_FLOAT32_BYTES = 4


def has_type(kind: type) -> bool:
    """Say whether a type is one of tensors."""
    return issubclass(kind, torch.Tensor)


def read(array: torch.Tensor) -> float | None:
    """Return the one number of a tensor; None if reading it would wait for a device.

    Raises:
        RuntimeError: it has more or fewer than one element.
        TypeError: its number is complex.
    """
    return array.item() if array.is_cpu else None  # float(array) would warn where it has a gradient


def snapshot(array: torch.Tensor) -> torch.Tensor:
    """Return a detached copy of shape (), in float64, or float32 where the device has no float64.

    Raises:
        RuntimeError: it has more or fewer than one element.
    """
    dtype = torch.float32 if array.device.type == "mps" else torch.float64
    return array.detach().reshape(()).to(dtype, copy=True)


def add(total: torch.Tensor, array: torch.Tensor, weight: float) -> torch.Tensor:
    """Return `total + array * weight`, on the device."""
    return torch.add(total, array, alpha=weight)


def add_all(total: torch.Tensor | float, arrays: list[torch.Tensor], weights: list[float]) -> torch.Tensor:
    """Return a total plus tensors times their weights, in this order, on the device."""
    for array, weight in zip(arrays, weights, strict=True):
        total = add(total, array, weight) if isinstance(total, torch.Tensor) else array * weight + total
    return total  # type: ignore[return-value]  # a tensor, as there is at least one array


def can_stay(array: torch.Tensor) -> bool:
    """Return False: a tensor may be changed in place."""
    return False


def is_gone(array: torch.Tensor) -> bool:
    """Return False: whoever has a tensor can read it."""
    return False


def device(array: torch.Tensor) -> object:
    """Return where the tensor is: values in one place are fetched together."""
    return array.device, array.dtype


def fetch(arrays: list[torch.Tensor]) -> list[float]:
    """Bring tensors of shape () from one device in one transfer."""
    if len(arrays) == 1:
        return [float(arrays[0].item())]
    numbers: list[float] = torch.stack(arrays).tolist()
    return numbers


def copied(array: torch.Tensor) -> torch.Tensor:
    """Return a detached copy, on the same device."""
    return array.detach().clone()


def as_numpy(array: torch.Tensor, copy: bool) -> Any:
    """Return a tensor as NumPy's array: its own memory, where it is on the CPU and NumPy knows its kind.

    Args:
        array: on any device. Sparse and quantised ones become dense; of a distributed one it is this process's part.
        copy: whether a copy, in any case.

    Raises:
        TypeError: it has no memory, or is of a kind that is no array.
    """
    if array.is_nested:
        raise TypeError("it is a nested tensor, whose rows differ in length")
    if array.is_meta:
        raise TypeError("it has no memory (device 'meta')")
    here = (array.to_local() if hasattr(array, "to_local") else array).detach().cpu()
    try:
        values = _dense(here).numpy()
    except RuntimeError as error:  # of subclasses that hold their numbers elsewhere, and of types without numbers
        raise TypeError(f"it is a {type(array).__qualname__}: {error}") from error
    return values.copy("K") if copy and array.is_cpu else values


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as one whose type and layout NumPy knows; itself where that is so."""
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype is torch.complex32:
        tensor = tensor.to(torch.complex64)
    elif tensor.dtype is not torch.float16 and tensor.is_floating_point() and tensor.element_size() < _FLOAT32_BYTES:
        tensor = tensor.to(torch.float32)
    return tensor.resolve_conj().resolve_neg()
