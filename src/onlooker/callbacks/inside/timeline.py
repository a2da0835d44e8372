"""`Timeline`: what tensors looked like over a training, in memory that does not grow.

Owns the rows: when there are too many, neighbours are added up two and two, so that the whole training stays visible.
Which tensors have a timeline in common is `timelines`' business.
"""

from __future__ import annotations

import math
from struct import Struct

import numpy as np

from onlooker.core.summary import BINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from onlooker.core.summary import Summary

_COLUMNS = ("step", "looks", "count", "min", "max", "total", "squares", "zeros", "nan", "inf")
MOST_PENDING = 64
"""Summaries that are taken as they come, and put into arrays together: those of many tensors at each look, while they
are in the processor's cache; of few, those of several looks."""

_STEP, _LOOKS, _MIN, _MAX = 0, 1, 3, 4
_NUMBERS = Struct(f"{len(_COLUMNS)}d")
"""The numbers of a row: to pack them takes a third as long as to make an array of lists."""


class TensorHistory:
    """What one tensor looked like over a training. A row is a look, or several neighbouring ones added up.

    Attributes:
        steps: of shape (n,): the step of each row; of several looks, that of the last.
        looks: of shape (n,): how many looks each row is made of.
        mean: of shape (n,), as are the others: the mean of the finite elements.
        std: their standard deviation.
        norm: their Euclidean norm; of several looks, the root of the mean square of the norms.
        min: the smallest.
        max: the largest.
        zero_share: which share of the elements was exactly 0; NaN where there were none.
        nan: how many elements were NaN.
        inf: how many were infinite.
        bins: of shape (n, 64): how many were in each of the bins that `core.summary.bin_bounds` tells.
        is_empty: whether there were never any elements.
    """

    def __init__(self, numbers: Any, bins: Any) -> None:
        column = dict(zip(_COLUMNS, numbers.T, strict=True))
        finite = column["count"] - column["nan"] - column["inf"]
        with np.errstate(all="ignore"):
            self.steps, self.looks = column["step"].astype(np.int64), column["looks"].astype(np.int64)
            self.mean = column["total"] / finite
            self.std = np.sqrt(np.maximum(column["squares"] / finite - self.mean**2, 0.0))
            self.norm = np.where(finite > 0, np.sqrt(column["squares"] / column["looks"]), math.nan)
            self.min, self.max = column["min"].copy(), column["max"].copy()
            self.zero_share = column["zeros"] / column["count"]
            self.nan, self.inf = column["nan"].astype(np.int64), column["inf"].astype(np.int64)
        self.bins = bins.copy()
        self.is_empty = not column["count"].any()

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        span = f"steps {self.steps[0]} to {self.steps[-1]}" if len(self) else "nothing yet"
        return f"<TensorHistory of {int(self.looks.sum())} looks in {len(self)} rows, {span}>"


class Timeline:
    """The rows of several tensors that are looked at at the same steps.

    Args:
        keep: how many rows there are at most; an even number.
        names: of the tensors.
    """

    def __init__(self, keep: int, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._keep, self._places = keep, {name: place for place, name in enumerate(names)}
        self._looks_in_row = 1
        self._count = 0
        self._pending: list[tuple[int, list[Summary]]] = []
        self._numbers = np.zeros((min(16, keep), len(names), len(_COLUMNS)))
        self._bins = np.zeros((min(16, keep), len(names), BINS), dtype=np.int64)

    def add(self, step: int, summaries: Mapping[str, Summary]) -> None:
        """Take what the tensors looked like after a step, and leave others alone."""
        self._pending.append((step, [summaries[name] for name in self.names]))
        if len(self._pending) * len(self.names) >= MOST_PENDING:
            self._flush()

    def read(self, name: str) -> TensorHistory:
        """Return all rows of one tensor."""
        self._flush()
        place = self._places[name]
        return TensorHistory(self._numbers[: self._count, place], self._bins[: self._count, place])

    def part(self, names: Sequence[str]) -> Timeline:
        """Return a timeline of its own of some of the tensors."""
        self._flush()
        timeline, places = Timeline(self._keep, names), [self._places[name] for name in names]
        timeline._looks_in_row, timeline._count = self._looks_in_row, self._count
        timeline._numbers, timeline._bins = self._numbers[:, places], self._bins[:, places]
        return timeline

    def state_dict(self, name: str) -> dict[str, Any]:
        """Return the rows of one tensor, as arrays."""
        self._flush()
        place = self._places[name]
        return {
            "looks_in_row": self._looks_in_row,
            "numbers": self._numbers[: self._count, place].copy(),
            "bins": self._bins[: self._count, place].copy(),
        }

    @classmethod
    def from_states(cls, states: Mapping[str, dict[str, Any]], keep: int) -> Timeline:
        """Return what states of the same steps were made of, by name; with fewer rows, if so many are too many now."""
        timeline, some = cls(keep, tuple(states)), list(states.values())
        timeline._looks_in_row = int(some[0]["looks_in_row"])
        timeline._numbers = np.stack([state["numbers"] for state in some], axis=1)
        timeline._bins = np.stack([state["bins"] for state in some], axis=1).astype(np.int64)
        timeline._count = len(timeline._numbers)
        while timeline._count > keep:
            timeline._halve()
        return timeline

    def _flush(self) -> None:
        """Put what is pending into rows: several at once cost little more than one."""
        if not self._pending:
            return
        packed = [
            _NUMBERS.pack(step, 1, s.count, s.min, s.max, s.total, s.squares, s.zeros, s.nan, s.inf)
            for step, summaries in self._pending
            for s in summaries
        ]
        counts = np.concatenate([s.given_bins for _, summaries in self._pending for s in summaries], dtype=np.int64)
        shape = len(self._pending), len(self.names)
        numbers, bins = np.frombuffer(b"".join(packed)).reshape(*shape, -1), counts.reshape(*shape, BINS)
        self._pending.clear()
        at = 0
        while at < len(numbers):
            last = self._count - 1
            missing = self._looks_in_row - int(self._numbers[last, 0, _LOOKS]) if self._count else 0
            if missing > 0:
                taken = slice(at, at + missing)
                both = np.concatenate([self._numbers[last : last + 1], numbers[taken]])
                self._numbers[last] = _added(both[None])[0]
                self._bins[last] += bins[taken].sum(axis=0)
                at += missing
            elif self._count == self._keep:
                self._halve()
            else:
                self._grow()
                count = min(len(numbers) - at, len(self._numbers) - self._count) if self._looks_in_row == 1 else 1
                self._numbers[self._count : self._count + count] = numbers[at : at + count]
                self._bins[self._count : self._count + count] = bins[at : at + count]
                self._count += count
                at += count

    def _grow(self) -> None:
        """Make room for one more row at least."""
        if self._count == len(self._numbers):
            rows = min(max(8 * self._count, 8), self._keep)  # where nothing was written, zeros take no memory
            self._numbers = _with_room(self._numbers, rows)
            self._bins = _with_room(self._bins, rows)

    def _halve(self) -> None:
        half, odd = divmod(self._count, 2)
        numbers, bins = self._numbers[: self._count].copy(), self._bins[: self._count].copy()
        self._looks_in_row *= 2
        self._count = half + odd
        self._numbers[:half] = _added(numbers[: 2 * half].reshape(half, 2, *numbers.shape[1:]))
        self._bins[:half] = bins[: 2 * half].reshape(half, 2, *bins.shape[1:]).sum(axis=1)
        if odd:
            self._numbers[half], self._bins[half] = numbers[-1], bins[-1]


def _with_room(array: Any, rows: int) -> Any:
    """Return a copy of an array with more rows."""
    found = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    found[: len(array)] = array
    return found


def _added(groups: Any) -> Any:
    """Add up groups of rows, given as shape (n, rows in a group, tensors, columns)."""
    found = groups.sum(axis=1)
    found[..., _STEP] = groups[:, -1, :, _STEP]
    found[..., _MIN] = np.fmin.reduce(groups[..., _MIN], axis=1)
    found[..., _MAX] = np.fmax.reduce(groups[..., _MAX], axis=1)
    return found
