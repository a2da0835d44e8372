"""PyTorch's tensors. On the CPU they are looked at where they lie; on a device their numbers are computed there.

Owns the way from any kind of tensor to one that can be looked at, and the pass on a device, which never waits: the
numbers of all tensors are put together and fetched in one transfer.
"""

from __future__ import annotations

from typing import Any

import torch

from onlooker.core.errors import LookError
from onlooker.core.summary import BINS, LOWEST_EXPONENT, Summary

from .numpy import summarise_array

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
    dense = tensor.detach()
    dtype = _NAMES.get(tensor.dtype) or str(tensor.dtype).removeprefix("torch.")
    is_plain = dense.dtype is torch.float32 and type(dense) is torch.Tensor and dense.layout is torch.strided
    if not is_plain or dense.is_neg():
        dense = _dense(dense)
    if dense.is_cpu:
        return summarise_array(dense.numpy(), dtype)
    if dense.is_meta:
        raise LookError(f"the tensor {key!r} has no memory (device 'meta'), so there is nothing to look at")
    with torch.no_grad():
        return Row(_row(dense), tuple(dense.shape), dtype)


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
