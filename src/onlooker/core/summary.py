"""`Summary`: what a tensor looks like, in a dozen numbers and a histogram, so that it need not be kept.

Owns the definition, the bins, and how summaries are added up and read. How one is computed from a tensor of some
library is `inside`'s business. Standard library only, and cheap: whoever reads a record can have it.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

BINS = 64
"""Half of them for negative numbers, half for positive ones."""

LOWEST_EXPONENT = -28
"""The first bin of each sign holds what is smaller than two to the power of one more; the last what is 8 or more."""

_HALF = BINS // 2
_NAN = float("nan")
_NAMES = ("bins", "count", "dtype", "inf", "max", "min", "nan", "shape", "squares", "total", "zeros")


def bin_bounds(index: int) -> tuple[float, float]:
    """Return the smallest and the largest number that a bin is for, as a half-open range of magnitudes with a sign.

    The bins are the same for all tensors and all steps: by sign and power of two. Zeros, NaN and infinities are in
    none.

    Args:
        index: from 0, the most negative numbers, to `BINS - 1`, the largest.

    Example:
        >>> bin_bounds(63), bin_bounds(60), bin_bounds(32), bin_bounds(0)
        ((8.0, inf), (1.0, 2.0), (0.0, 7.450580596923828e-09), (-inf, -8.0))
    """
    if index < _HALF:
        low, high = bin_bounds(BINS - 1 - index)
        return -high, -low
    exponent = LOWEST_EXPONENT + index - _HALF
    low = 0.0 if index == _HALF else math.ldexp(1.0, exponent)
    return low, math.inf if index == BINS - 1 else math.ldexp(1.0, exponent + 1)


class Summary:
    """What a tensor looks like. Those of parts, steps or ranks can be added up: `a + b` is the summary of both.

    `min`, `max`, `mean`, `std` and `norm` are over the finite elements, and NaN where there are none. Complex numbers
    count by their magnitude, truth values as 0 and 1.

    `mean` and `std` are made of two sums. That is what lets summaries be added up, and what limits `std` where the mean
    dwarfs the spread: its square is right to within 1e-12 of the mean square, or two millionths of itself. So it is
    good to a thousandth of itself while the mean is less than ten thousand times as large, and a constant may show up
    to 1e-6 of itself as its spread.

    Attributes:
        count: how many elements there are.
        shape: of the tensor; None for a sum of tensors of several shapes.
        dtype: of the tensor, for example `"float32"`; `"mixed"` for a sum of several.
        min: the smallest element.
        max: the largest.
        total: the sum of the elements.
        squares: the sum of their squares.
        zeros: how many are exactly 0.
        nan: how many are NaN.
        inf: how many are infinite.
        given_bins: what `bins` is made of when it is read: a list, or what has a `tolist`, such as an array.

    Example:
        >>> import onlooker as ol, numpy
        >>> summary = ol.summary(numpy.array([0.0, 3.0, -4.0], dtype="float32"))
        >>> summary.norm, summary.zero_share, summary.min
        (5.0, 0.3333333333333333, -4.0)
        >>> (summary + summary).count
        6
    """

    __slots__ = ("count", "dtype", "given_bins", "inf", "max", "min", "nan", "shape", "squares", "total", "zeros")

    def __init__(
        self,
        count: int,
        shape: tuple[int, ...] | None,
        dtype: str,
        min: float,
        max: float,
        total: float,
        squares: float,
        zeros: int,
        nan: int,
        inf: int,
        bins: Any,
    ) -> None:
        self.count, self.shape, self.dtype = count, shape, dtype
        self.min, self.max = min, max
        self.total, self.squares = total, squares
        self.zeros, self.nan, self.inf = zeros, nan, inf
        self.given_bins = bins

    @property
    def bins(self) -> Sequence[int]:
        """How many elements are in each of the `BINS` bins that `bin_bounds` tells. They become a list when read."""
        bins: Any = self.given_bins
        if not isinstance(bins, list):
            bins = self.given_bins = bins.tolist() if hasattr(bins, "tolist") else list(bins)
        found: list[int] = bins
        return found

    @property
    def finite(self) -> int:
        """How many elements are finite."""
        return self.count - self.nan - self.inf

    @property
    def mean(self) -> float:
        """The mean."""
        return self.total / self.finite if self.finite else _NAN

    @property
    def std(self) -> float:
        """The standard deviation, over all elements: the divisor is their number."""
        if not self.finite:
            return _NAN
        if math.isinf(self.squares):
            return math.inf
        return math.sqrt(max(self.squares / self.finite - self.mean * self.mean, 0.0))

    @property
    def norm(self) -> float:
        """The Euclidean norm."""
        return math.sqrt(self.squares) if self.finite else _NAN

    @property
    def rms(self) -> float:
        """The root of the mean square: the norm that does not grow with the size."""
        return math.sqrt(self.squares / self.finite) if self.finite else _NAN

    @property
    def zero_share(self) -> float:
        """Which share of the elements is exactly 0; NaN where there are none."""
        return self.zeros / self.count if self.count else _NAN

    def quantile(self, share: float) -> float:
        """Return about the number below which a share of the finite elements lies.

        Right up to the width of a bin: what is returned and the true quantile have the same sign and differ by less
        than a factor of two, where the magnitude is between 7.5e-9 and 8. `quantile(0)` and `quantile(1)` are exact.

        Args:
            share: from 0 to 1.

        Raises:
            ValueError: it is not.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"quantile({share!r}): expected a share from 0 to 1")
        if not self.finite:
            return _NAN
        wanted, passed = share * self.finite, 0.0
        for index, count in self._ordered():
            if count and passed + count >= wanted:
                return self._within(index, (wanted - passed) / count)
            passed += count
        return self.max

    def _ordered(self) -> list[tuple[int | None, int]]:
        """Return the bins from the smallest numbers to the largest, the zeros between as bin None."""
        bins: list[tuple[int | None, int]] = list(enumerate(self.bins))
        return [*bins[:_HALF], (None, self.zeros), *bins[_HALF:]]

    def _within(self, index: int | None, share: float) -> float:
        """Return a number at a share of a bin, as if magnitudes were spread evenly over the powers."""
        if index is None:
            return 0.0
        low, high = bin_bounds(index)
        low, high = max(low, self.min), min(high, self.max)
        smaller, larger = sorted((abs(low), abs(high)))
        if smaller == 0.0 or math.isinf(larger):
            return low + share * (high - low)
        way = share if low >= 0 else 1 - share
        return math.copysign(smaller * (larger / smaller) ** way, high if low >= 0 else low)

    def __add__(self, other: object) -> Summary:
        if not isinstance(other, Summary):
            return NotImplemented
        return Summary(
            count=self.count + other.count,
            shape=self.shape if self.shape == other.shape else None,
            dtype=self.dtype if self.dtype == other.dtype else "mixed",
            min=_extreme(min, self.min, other.min),
            max=_extreme(max, self.max, other.max),
            total=self.total + other.total,
            squares=self.squares + other.squares,
            zeros=self.zeros + other.zeros,
            nan=self.nan + other.nan,
            inf=self.inf + other.inf,
            bins=[a + b for a, b in zip(self.bins, other.bins, strict=True)],
        )

    def __radd__(self, other: object) -> Summary:
        return self if other == 0 else NotImplemented  # what `sum` begins with

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and _comparable(self) == _comparable(other)

    def __reduce__(self) -> tuple[Any, ...]:
        return Summary.from_dict, (self.as_dict(),)  # plain data, whatever the bins were given as

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Take back what pickles of earlier versions hold: the slots' values, of which one was called `bins`."""
        for name, value in state[1].items():
            setattr(self, "given_bins" if name == "bins" else name, value)

    def __repr__(self) -> str:
        bad = f", {self.nan} NaN, {self.inf} infinite" if self.nan or self.inf else ""
        shape = "×".join(map(str, self.shape)) if self.shape else str(self.count)
        name = f"<Summary of {shape} {self.dtype}"
        if not self.count:
            return f"{name}: empty>"
        if not self.finite:
            return f"{name}: nothing finite{bad}>"
        magnitude = " by magnitude" if self.dtype.startswith("complex") else ""
        return (
            f"{name}{magnitude}: {self.min:.3g} to {self.max:.3g}, mean {self.mean:.3g} ± "
            f"{self.std:.3g}, norm {self.norm:.3g}, {self.zero_share:.0%} zero{bad}>"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes as plain data, for JSON."""
        found = {name: getattr(self, name) for name in _NAMES}
        return found | {"shape": None if self.shape is None else list(self.shape), "bins": list(self.bins)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Summary:
        """Return what `as_dict` was made of."""
        shape = values["shape"]
        return cls(**{**values, "shape": None if shape is None else tuple(shape)})


def _extreme(choose: Any, first: float, second: float) -> float:
    """Choose between two extremes, of which one may be missing."""
    if first != first:
        return second
    return first if second != second else float(choose(first, second))


def _comparable(summary: Summary) -> dict[str, Any]:
    """Return the attributes such that NaN equals NaN."""
    return {name: repr(value) if value != value else value for name, value in summary.as_dict().items()}
