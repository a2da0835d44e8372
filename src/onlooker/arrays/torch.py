"""PyTorch's tensors, as `Logs` needs them. Nothing here changes a tensor in place."""

from __future__ import annotations

import torch


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
