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

Found = list[tuple[list[float], Any]]
"""Of each piece its smallest and largest finite element, the sum, the sum of the squares, how many are zero, NaN and
infinite; and the bins, of shape (64,): to make lists of them takes as long as all else, and few are ever read."""


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
    nothing = [0] * len(lengths)
    rows = np.array((addresses, lengths, other_addresses or nothing, target_addresses or nothing), dtype=np.int64)
    firsts = None
    if max(lengths) > ROW:
        rows, firsts = _cut(rows)
    numbers, bins = work(rows, threads if sum(lengths) >= MUCH else 1)
    if firsts is not None:
        numbers, bins = _added(numbers, firsts), np.add.reduceat(bins, firsts)
    return [(some, row.copy()) for some, row in zip(numbers.tolist(), bins, strict=True)]


def _cut(pieces: Any) -> tuple[Any, Any]:
    """Cut pieces of memory into rows.

    Args:
        pieces: of shape (4, n): of each the address, the length, and the two other addresses, or 0.

    Returns:
        The rows, likewise; and of shape (n,) the first row of each piece.
    """
    counts = -(-pieces[1] // ROW)
    ends = counts.cumsum()
    firsts = ends - counts
    rows = np.repeat(pieces, counts, axis=1)
    begins = (np.arange(ends[-1]) - np.repeat(firsts, counts)) * ROW
    rows[1] = np.minimum(rows[1] - begins, ROW)
    for addresses in (rows[0], rows[2], rows[3]):
        addresses += np.where(addresses == 0, 0, begins * 4)
    return rows, firsts


def _added(numbers: Any, firsts: Any) -> Any:
    """Add up the numbers of the rows of each piece."""
    found = np.add.reduceat(numbers, firsts)
    found[:, 0] = np.fmin.reduceat(numbers[:, 0], firsts)  # a row with nothing finite has no extremes
    found[:, 1] = np.fmax.reduceat(numbers[:, 1], firsts)
    return found
