"""PyTorch's tensors on a device: their numbers are computed there, and nothing waits for them.

Owns the pass, and that the numbers of all tensors are fetched in one transfer.
"""

from __future__ import annotations

import torch

from onlooker.core.summary import BINS, LOWEST_EXPONENT, Summary

_HALF = BINS // 2


class Row:
    """The numbers of one tensor, still on its device.

    Args:
        tensor: a plain one, of floats or integers.
        dtype: what it was before it became plain.
    """

    def __init__(self, tensor: torch.Tensor, dtype: str) -> None:
        self.numbers, self.shape, self.dtype = _numbers(tensor), tuple(tensor.shape), dtype


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


def _numbers(tensor: torch.Tensor) -> torch.Tensor:
    """Return all numbers of one tensor, on its device: eight, then the bins. Nothing here waits.

    Where there is no float64, sums are of what is left after the mean is taken away: it may dwarf the spread.
    """
    wide = torch.float64 if _has_float64(tensor.device) else torch.float32
    flat = tensor.reshape(-1).to(torch.float32 if tensor.dtype != torch.float64 else wide)
    count = flat.numel()
    if not count:
        return torch.zeros(8 + BINS, dtype=wide, device=tensor.device)
    is_finite = torch.isfinite(flat)
    nan = torch.isnan(flat).sum()
    some = torch.where(is_finite, flat, torch.zeros((), dtype=flat.dtype, device=flat.device))
    inf = torch.full((), float("inf"), dtype=flat.dtype, device=flat.device)
    low, high = torch.where(is_finite, flat, inf).amin(), torch.where(is_finite, flat, -inf).amax()
    taken = torch.zeros((), dtype=wide, device=flat.device)
    rest = some.to(wide)
    if wide == torch.float32:
        taken = (some.sum() / is_finite.sum().clamp(min=1)).nan_to_num(0, 0, 0)
        rest = torch.where(is_finite, flat - taken, taken - taken)
    is_zero = is_finite & (flat == 0)
    exponents = (torch.frexp(some).exponent - 1 - LOWEST_EXPONENT).clamp(0, _HALF - 1)
    places = torch.where(some > 0, _HALF + exponents, _HALF - 1 - exponents)
    places = torch.where(is_finite & ~is_zero, places, torch.full_like(places, BINS))
    bins = torch.histc(places.to(torch.float32), bins=BINS + 1, min=0, max=BINS + 1)[:BINS]
    found = [is_finite.sum(), nan, is_zero.sum(), low, high, taken, rest.sum(), rest.square().sum()]
    return torch.cat([torch.stack([number.to(wide) for number in found]), bins.to(wide)])


def _has_float64(device: torch.device) -> bool:
    return device.type != "mps"


def _of_row(row: list[float], shape: tuple[int, ...], dtype: str) -> Summary:
    finite, nan, zeros, low, high, taken, rest, rest_squares = row[:8]
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
        total=finite * taken + rest,
        squares=rest_squares + taken * (2 * rest + finite * taken),
        zeros=int(zeros),
        nan=int(nan),
        inf=count - int(finite) - int(nan),
        bins=[int(number) for number in row[8:]],
    )
