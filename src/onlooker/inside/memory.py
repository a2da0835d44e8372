"""Float32 memory, many pieces of it gone over together, by as many threads as the training itself may use.

Owns how the work is cut up and shared. The pass itself is `kernel`'s, which needs Numba; without it this file cannot be
imported.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from onlooker.core.summary import BINS

from .kernel import over_memory

ROW = 1 << 20
"""Elements: longer pieces are gone over in rows of this many, so that threads can share them."""

JOB = 1 << 17
"""Elements: less than that is not worth waking up a thread."""

MOST_THREADS = 8
"""So many wait for the memory, not for each other."""

Found = list[tuple[list[float], list[int]]]
"""Of each piece its smallest and largest finite element, the sum, the sum of the squares, how many are zero, NaN and
infinite; and the bins."""


def go_over(
    addresses: Sequence[int], lengths: Sequence[int], old_addresses: Sequence[int] | None = None, threads: int = 1
) -> Found:
    """Return what pieces of memory look like, or the differences to earlier copies of them.

    Args:
        addresses: where each piece begins.
        lengths: how many elements it has: one at least.
        old_addresses: where each copy begins; None to look at the pieces themselves.
        threads: how many may work, this one included. The numbers are the same with any.
    """
    rows = _Rows(addresses, lengths, old_addresses)
    numbers, bins = np.empty((len(rows.lengths), 7)), np.empty((len(rows.lengths), BINS), dtype=np.int64)
    given = rows.addresses, rows.lengths, rows.old_addresses
    _share(rows.jobs(threads), threads, lambda first, last: over_memory(*given, first, last, numbers, bins))
    if len(rows.firsts) < len(rows.lengths):
        numbers, bins = _added(numbers, rows.firsts), np.add.reduceat(bins, rows.firsts)
    return list(zip(numbers.tolist(), bins.tolist(), strict=True))


class _Rows:
    """Pieces of memory, the long ones cut.

    Attributes:
        addresses: of shape (n,): where each row begins.
        lengths: how many elements it has.
        old_addresses: where its copy begins, or 0.
        firsts: of shape (pieces,): the first row of each piece.
    """

    def __init__(self, addresses: Sequence[int], lengths: Sequence[int], old_addresses: Sequence[int] | None) -> None:
        rows: list[tuple[int, int, int]] = []
        firsts: list[int] = []
        for address, length, old in zip(addresses, lengths, old_addresses or [0] * len(lengths), strict=True):
            firsts.append(len(rows))
            rows += [
                (address + begin * 4, min(ROW, length - begin), old and old + begin * 4)
                for begin in range(0, length, ROW)
            ]
        self.addresses, self.lengths, self.old_addresses = np.array(rows, dtype=np.int64).T.copy()
        self.firsts = np.array(firsts)

    def jobs(self, threads: int) -> deque[tuple[int, int]]:
        """Cut the rows into runs of about the same length: two for each thread, so that none waits long for another."""
        wanted = max(JOB, int(self.lengths.sum()) // (2 * threads) + 1)
        jobs, first, length = deque[tuple[int, int]](), 0, 0
        for row, of_row in enumerate(self.lengths.tolist()):
            length += of_row
            if length >= wanted:
                jobs.append((first, row + 1))
                first, length = row + 1, 0
        if length:
            jobs.append((first, len(self.lengths)))
        return jobs


def _added(numbers: Any, firsts: Any) -> Any:
    """Add up the numbers of the rows of each piece."""
    found = np.add.reduceat(numbers, firsts)
    found[:, 0] = np.fmin.reduceat(numbers[:, 0], firsts)  # a row with nothing finite has no extremes
    found[:, 1] = np.fmax.reduceat(numbers[:, 1], firsts)
    return found


# ---------------------------------------------------------------------------------------------------- threads

_crew: ThreadPoolExecutor | None = None


def _share(jobs: deque[tuple[int, int]], threads: int, work: Callable[[int, int], None]) -> None:
    """Do all jobs, here and in other threads: the compiled work holds no lock of Python's."""

    def work_on() -> None:
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                return
            work(*job)

    helpers = _hire(work_on, min(threads, len(jobs), MOST_THREADS) - 1)
    work_on()
    for helper in helpers:
        if not helper.cancel():
            helper.result()


def _hire(work: Callable[[], None], count: int) -> list[Future[None]]:
    """Have some threads do work; none where none can be had, as when Python shuts down."""
    global _crew
    if count < 1:
        return []
    try:
        if _crew is None:
            _crew = ThreadPoolExecutor(MOST_THREADS - 1, thread_name_prefix="onlooker-inside")
        return [_crew.submit(work) for _ in range(count)]
    except RuntimeError:
        return []


def _dismiss() -> None:
    """Forget the threads: in a process that was forked they do not run."""
    global _crew
    _crew = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_dismiss)
