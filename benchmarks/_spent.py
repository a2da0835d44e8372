"""How long is spent in some functions, chunk by chunk: for what is too small a share to be seen in a step's time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any


class Spent:
    """Adds up the time in some methods while it is entered. They must not call each other.

    Args:
        methods: classes, and names of their methods.
    """

    def __init__(self, *methods: tuple[type, str]) -> None:
        self._methods = methods
        self._originals: list[tuple[type, str, Any]] = []
        self._seconds = 0.0
        self._chunks: list[float] = []

    def __enter__(self) -> Spent:
        for owner, name in self._methods:
            original = getattr(owner, name)
            self._originals.append((owner, name, original))
            setattr(owner, name, self._timed(original))
        return self

    def __exit__(self, *_: object) -> None:
        while self._originals:
            setattr(*self._originals.pop())

    def in_chunks(self, batches: Iterable[Any], chunk: int) -> Iterator[Any]:
        """Hand batches on, and take note of what was spent over each so many of them."""
        for number, batch in enumerate(batches):
            if number and number % chunk == 0:
                self._chunks.append(self._seconds)
                self._seconds = 0.0
            yield batch

    def seconds(self, warm_up: int) -> float:
        """Return what was spent in a chunk: the median, without the first ones."""
        return statistics.median(self._chunks[warm_up:])

    def _timed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def timed(*given: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return original(*given, **named)
            finally:
                self._seconds += time.perf_counter() - begin

        return timed
