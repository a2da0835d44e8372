"""Float32 memory, many pieces of it gone over together, by as many threads as the training itself may use.

Owns how the work is cut up; `torch_team` shares it out. The pass itself is `kernel`'s, which needs Numba; without it
this file cannot be imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .torch_team import work

ROW = 1 << 18
"""Elements: longer pieces are gone over in rows of this many, so that threads can share them."""

MUCH = 1 << 18
"""Elements: fewer than that, altogether, are not worth other threads."""

Found = list[tuple[list[float], list[int]]]
"""Of each piece its smallest and largest finite element, the sum, the sum of the squares, how many are zero, NaN and
infinite; and the bins."""


def go_over(
    addresses: Sequence[int],
    lengths: Sequence[int],
    other_addresses: Sequence[int] | None = None,
    target_addresses: Sequence[int] | None = None,
    threads: int = 1,
) -> Found:
    """Return what pieces of memory look like, or the differences to earlier copies of them.

    Args:
        addresses: where each piece begins.
        lengths: how many elements it has: one at least.
        other_addresses: where other memory begins that is as long, or 0; None for none.
        target_addresses: where a copy of that is made meanwhile, or 0 where it is an earlier copy of the piece itself:
            then the differences are gone over; None for 0 everywhere.
        threads: PyTorch's number of them, which may work, this one included. The numbers are the same with any.
    """
    rows = _Rows(lengths)
    given = [rows.addresses(one) for one in (addresses, other_addresses, target_addresses)]
    is_much = sum(lengths) >= MUCH
    numbers, bins = work(given[0], rows.lengths, given[1], given[2], threads if is_much else 1)
    if len(rows.firsts) < len(rows.lengths):
        numbers, bins = _added(numbers, rows.firsts), np.add.reduceat(bins, rows.firsts)
    return list(zip(numbers.tolist(), bins.tolist(), strict=True))


class _Rows:
    """Pieces of memory, the long ones cut.

    Attributes:
        lengths: of shape (n,): how many elements each row has.
        firsts: of shape (pieces,): the first row of each piece.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        lengths_of = np.array(lengths, dtype=np.int64)
        counts = -(-lengths_of // ROW)
        ends = counts.cumsum()
        self.firsts = ends - counts
        self._piece = np.repeat(np.arange(len(counts)), counts)
        begins = (np.arange(ends[-1]) - self.firsts[self._piece]) * ROW
        self.lengths = np.minimum(lengths_of[self._piece] - begins, ROW)
        self._bytes_before = begins * 4

    def addresses(self, of_pieces: Sequence[int] | None) -> Any:
        """Return where each row begins, given where each piece does; 0 where that is 0, or where there are none."""
        if of_pieces is None:
            return np.zeros_like(self.lengths)
        begin = np.array(of_pieces, dtype=np.int64)[self._piece]
        return np.where(begin == 0, 0, begin + self._bytes_before)


def _added(numbers: Any, firsts: Any) -> Any:
    """Add up the numbers of the rows of each piece."""
    found = np.add.reduceat(numbers, firsts)
    found[:, 0] = np.fmin.reduceat(numbers[:, 0], firsts)  # a row with nothing finite has no extremes
    found[:, 1] = np.fmax.reduceat(numbers[:, 1], firsts)
    return found
