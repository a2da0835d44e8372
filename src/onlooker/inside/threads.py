"""Threads that help with work which holds no lock of Python's, for as long as a process lives.

Owns the threads, and where they run: a helper that wakes up on the processor of the thread that woke it waits for that
one, for some milliseconds, while another processor has nothing to do.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")

MOST_THREADS = 8
"""So many wait for the memory, not for each other."""


def share(jobs: deque[Job], threads: int, work: Callable[[Job], object]) -> None:
    """Do all jobs, in this thread and others; return when they are done.

    Args:
        jobs: taken from the left, each by one thread.
        threads: how many may work, this one included.
        work: does one job.
    """

    def work_on() -> None:
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                return
            work(job)

    helpers = _crew.hire(work_on, min(threads, len(jobs), MOST_THREADS) - 1)
    work_on()
    for helper in helpers:
        if not helper.cancel():  # it has begun
            helper.result()


class _Crew:
    """The helpers of this process."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._ids: list[int] = []
        self._kept_off: int | None = None  # the processor that they are kept off, and how many they were then
        self._count = 0

    def hire(self, work: Callable[[], None], count: int) -> list[Future[None]]:
        """Have some helpers do work; none where none can be had, as when Python shuts down."""
        if count < 1:
            return []
        try:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(MOST_THREADS - 1, "onlooker-inside", self._note)
            self._spread()
            return [self._pool.submit(work) for _ in range(count)]
        except RuntimeError:
            return []

    def _note(self) -> None:
        self._ids.append(threading.get_native_id())

    def _spread(self) -> None:
        """Keep the helpers off the processor that this thread is on, where the system lets one say so."""
        if _find_processor is None:
            return
        here = _find_processor()
        if (here, len(self._ids)) == (self._kept_off, self._count):
            return
        self._kept_off, self._count = here, len(self._ids)
        others = os.sched_getaffinity(0) - {here}
        for one in self._ids if others else ():
            try:
                os.sched_setaffinity(one, others)
            except OSError:  # what a container forbids, and a thread that is gone
                return


def _processor_finder() -> Callable[[], int] | None:
    """Return the function of the system that tells which processor a thread is on, where there is one."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.CDLL(None), "sched_getcpu", None)


def _begin_anew() -> None:
    """Forget the helpers: in a process that was forked they do not run."""
    global _crew
    _crew = _Crew()


_find_processor = _processor_finder()
_crew = _Crew()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
