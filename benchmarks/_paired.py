"""How two pieces of work are compared on a machine that others use too: in small chunks that alternate.

A chunk takes a few milliseconds. Each chunk of the candidate is divided by the mean of the baseline's chunks just
before and just after it, so that whatever slows the machine for longer than that slows both. The figure is the median
of these ratios, with its quartiles. There are two clocks: the wall's, and the CPU time of this process (all its
threads), in which the time that others took from us does not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Seconds = tuple[float, float]
"""By the wall's clock and by the process's."""


def now() -> Seconds:
    return time.perf_counter(), time.process_time()


def since(begin: Seconds) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    return wall - begin[0], cpu - begin[1]


def timed(work: Callable[[], Any]) -> Seconds:
    begin = now()
    work()
    return since(begin)


class Ratios:
    """The ratios of one candidate to the baseline, chunk by chunk."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Seconds, Seconds]] = []

    def add(self, before: Seconds, candidate: Seconds, after: Seconds) -> None:
        self._pairs.append((candidate, ((before[0] + after[0]) / 2, (before[1] + after[1]) / 2)))

    def summary(self, per_chunk: int = 1) -> dict[str, Any]:
        """The figures as they are written down.

        Args:
            per_chunk: how many times a chunk does the work, for the absolute times.
        """
        clocks = {}
        for number, clock in enumerate(("wall", "cpu")):
            ratios = [candidate[number] / base[number] for candidate, base in self._pairs if base[number] > 0]
            low, median, high = statistics.quantiles(ratios, n=4)
            clocks[clock] = {"ratio": round(median, 4), "quartiles": [round(low, 4), round(high, 4)]}
        cpu_s = statistics.median(candidate[1] for candidate, _ in self._pairs)
        wall_s, base_s = (statistics.median(base[clock] for _, base in self._pairs) for clock in (0, 1))
        return {
            **clocks,
            "chunks": len(self._pairs),
            "us": round(cpu_s / per_chunk * 1e6, 3),
            "baseline_us": round(base_s / per_chunk * 1e6, 3),
            "baseline_wall_us": round(wall_s / per_chunk * 1e6, 3),
        }


def compare(
    baseline: Callable[[], Any], candidates: dict[str, Callable[[], Any]], rounds: int, warm_up: int = 5
) -> dict[str, Ratios]:
    """Run every candidate once a round, each between two chunks of the baseline.

    Args:
        baseline: runs one chunk.
        candidates: run one chunk of as much work, by name.
        rounds: how many chunks of each.
        warm_up: how many rounds run before, uncounted.
    """
    found = {name: Ratios() for name in candidates}
    for number in range(-warm_up, rounds):
        before = timed(baseline)
        for name, work in candidates.items():
            taken, after = timed(work), timed(baseline)
            if number >= 0:
                found[name].add(before, taken, after)
            before = after
    return found


class Alternating:
    """Batches for a training that owns its loop: a loader which, between chunks of batches, runs the baseline.

    The candidate's time is from when the first batch of a chunk is handed out to when the batch after the chunk is
    asked for. So a trainer that hides its loop is compared in chunks too, and its setting up is not counted.

    Args:
        batches: handed out again and again.
        baseline: runs as many batches as a chunk has.
        chunk: how many batches a chunk has.
        chunks: how many chunks there are.
        warm_up: how many chunks run before, uncounted.
        settle: called at the end of each chunk of the candidate, to wait for what it has begun.
    """

    def __init__(
        self,
        batches: list[Any],
        baseline: Callable[[], Any],
        chunk: int = 50,
        chunks: int = 100,
        warm_up: int = 4,
        settle: Callable[[], Any] = lambda: None,
    ) -> None:
        self.ratios = Ratios()
        self.chunk = chunk
        self._batches = batches
        self._baseline = baseline
        self._chunks = chunks
        self._warm_up = warm_up
        self._settle = settle

    def __len__(self) -> int:
        return self.chunk * (self._chunks + self._warm_up)

    def __iter__(self) -> Iterator[Any]:
        before = timed(self._baseline)
        for number in range(-self._warm_up, self._chunks):
            begin = now()
            yield from self._next_chunk()
            self._settle()
            taken = since(begin)
            after = timed(self._baseline)
            if number >= 0:
                self.ratios.add(before, taken, after)
            before = after

    def _next_chunk(self) -> Iterable[Any]:
        batches = self._batches
        return [batches[number % len(batches)] for number in range(self.chunk)]
