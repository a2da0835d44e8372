"""PyTorch's tensors. On the CPU they are looked at where they lie; on a device their numbers are computed there.

Owns the way from any kind of tensor to one that can be looked at, and the pass on a device, which never waits: the
numbers of all tensors are put together and fetched in one transfer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from onlooker.core.errors import LookError
from onlooker.core.summary import BINS, LOWEST_EXPONENT, Summary

from .numpy import summarise_array, summarise_difference

_SMALL = tuple(
    getattr(torch, name)
    for name in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
    if hasattr(torch, name)
)
"""Those that float32 holds exactly."""

_NAMES = {torch.float32: "float32"}
_HALF = BINS // 2


class Row:
    """The numbers of one tensor, still on its device."""

    def __init__(self, numbers: torch.Tensor, shape: tuple[int, ...], dtype: str) -> None:
        self.numbers, self.shape, self.dtype = numbers, shape, dtype


def begin(key: Any, tensor: torch.Tensor) -> Summary | Row:
    """Return what a tensor looks like, or, on a device, the numbers from which it will be told.

    Of a distributed tensor it is this process's part.

    Raises:
        LookError: it is of a kind that cannot be looked at, such as one without memory.
    """
    dense, dtype = tensor.detach(), _dtype_name(tensor)
    if not _is_plain(dense):
        dense = _dense(dense)
    if dense.is_cpu:
        return summarise_array(dense.numpy(), dtype)
    if dense.is_meta:
        raise LookError(f"the tensor {key!r} has no memory (device 'meta'), so there is nothing to look at")
    with torch.no_grad():
        return Row(_row(dense), tuple(dense.shape), dtype)


class Kept:
    """What was kept of a tensor on the CPU, with what tells whether it is still the same.

    PyTorch counts the changes of a tensor, but not those through `tensor.data`: so some elements are compared, too.
    """

    __slots__ = ("array", "probe", "version")

    def __init__(self, tensor: torch.Tensor) -> None:
        self.array = np.array(tensor.numpy(), order="C")
        self.version = tensor._version
        self.probe = slice(None, None, self.array.size // 64 + 1)

    def is_like(self, tensor: torch.Tensor) -> bool:
        """Say whether the tensor can be kept in the same memory."""
        return self.array.shape == tensor.shape

    def refresh(self, tensor: torch.Tensor) -> None:
        """Take the tensor's values, unless they are the same as far as can be seen."""
        values = tensor.numpy()
        if self.version != tensor._version or not self._looks_same(values):
            np.copyto(self.array, values)
            self.version = tensor._version

    def _looks_same(self, values: Any) -> bool:
        return np.array_equal(values.reshape(-1)[self.probe], self.array.reshape(-1)[self.probe])


def keep(tensor: torch.Tensor, kept: Any) -> Any:
    """Return a copy of a tensor, in the memory of an earlier copy where that is of its kind."""
    tensor = tensor.detach()
    if _is_plain(tensor) and tensor.is_cpu and not tensor.is_inference():
        if isinstance(kept, Kept) and kept.is_like(tensor):
            kept.refresh(tensor)
            return kept
        return Kept(tensor)
    if isinstance(kept, torch.Tensor) and _fits(kept, tensor):
        kept.copy_(tensor)
        return kept
    return tensor.clone()


def begin_difference(key: Any, tensor: torch.Tensor, kept: Any) -> Summary | Row:
    """Return what a tensor less what was kept of it looks like; on the CPU, what is kept is the tensor afterwards.

    Raises:
        LookError: it is of a kind that cannot be looked at, or no longer what was kept of it.
    """
    tensor = tensor.detach()
    if isinstance(kept, Kept):
        if not _is_plain(tensor) or not kept.is_like(tensor):
            raise LookError(f"{key!r} is no longer the tensor that was kept: its shape or its type has changed")
        kept.version = tensor._version
        return summarise_difference(tensor.numpy(), kept.array)
    if tensor.shape != kept.shape or tensor.dtype == torch.bool:
        raise LookError(f"{key!r} has no difference to what was kept of it")
    with torch.no_grad():
        found = begin(key, torch.sub(_dense(tensor), _dense(kept)))
    found.dtype = _dtype_name(tensor)
    return found


def finish(rows: list[Row]) -> list[Summary]:
    """Fetch the numbers of several tensors, in one transfer for each device."""
    by_device: dict[torch.device, list[int]] = {}
    for place, row in enumerate(rows):
        by_device.setdefault(row.numbers.device, []).append(place)
    found: dict[int, Summary] = {}
    for places in by_device.values():
        fetched = torch.stack([rows[place].numbers for place in places]).cpu().tolist()
        for place, numbers in zip(places, fetched, strict=True):
            found[place] = _of_row(numbers, rows[place].shape, rows[place].dtype)
    return [found[place] for place in range(len(rows))]


def _dtype_name(tensor: torch.Tensor) -> str:
    return _NAMES.get(tensor.dtype) or str(tensor.dtype).removeprefix("torch.")


def _is_plain(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is nothing but float32 in memory, as nearly all are."""
    is_usual = tensor.dtype is torch.float32 and type(tensor) is torch.Tensor and tensor.layout is torch.strided
    return is_usual and not tensor.is_neg()


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


def _row(tensor: torch.Tensor) -> torch.Tensor:
    """Return all numbers of one tensor, on its device: ten, then the bins. Nothing here waits."""
    wide = torch.float64 if tensor.device.type != "mps" else torch.float32
    flat = tensor.reshape(-1).to(torch.float32 if tensor.dtype != torch.float64 else wide)
    count = flat.numel()
    if not count:
        return torch.zeros(7 + BINS, dtype=wide, device=tensor.device)
    is_finite = torch.isfinite(flat)
    nan = torch.isnan(flat).sum()
    some = torch.where(is_finite, flat, torch.zeros((), dtype=flat.dtype, device=flat.device))
    inf = torch.full((), float("inf"), dtype=flat.dtype, device=flat.device)
    low, high = torch.where(is_finite, flat, inf).amin(), torch.where(is_finite, flat, -inf).amax()
    total = some.sum(dtype=wide)
    squares = some.to(wide).square().sum() if wide == torch.float64 else some.square().sum()
    is_zero = is_finite & (flat == 0)
    exponents = (torch.frexp(some).exponent - 1 - LOWEST_EXPONENT).clamp(0, _HALF - 1)
    places = torch.where(some > 0, _HALF + exponents, _HALF - 1 - exponents)
    places = torch.where(is_finite & ~is_zero, places, torch.full_like(places, BINS))
    bins = torch.histc(places.to(torch.float32), bins=BINS + 1, min=0, max=BINS + 1)[:BINS]
    numbers = [is_finite.sum(), nan, is_zero.sum(), low, high, total, squares]
    return torch.cat([torch.stack([number.to(wide) for number in numbers]), bins.to(wide)])


def _of_row(row: list[float], shape: tuple[int, ...], dtype: str) -> Summary:
    finite, nan, zeros, low, high, total, squares = row[:7]
    count = 1
    for length in shape:
        count *= length
    is_there = finite > 0
    return Summary(
        count=count,
        shape=shape,
        dtype=dtype,
        min=low + 0.0 if is_there else float("nan"),
        max=high + 0.0 if is_there else float("nan"),
        total=total,
        squares=squares,
        zeros=int(zeros),
        nan=int(nan),
        inf=count - int(finite) - int(nan),
        bins=[int(number) for number in row[7:]],
    )
