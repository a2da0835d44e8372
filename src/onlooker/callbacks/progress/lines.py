"""One line for each epoch: for files, pipes and notebooks, where nothing can be drawn anew. Plain ASCII, no colors."""

from __future__ import annotations

import sys

from .layout import counted, duration, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO


class Lines:
    """Prints a line whenever something has ended.

    Args:
        stream: where to; None for `sys.stdout`, as it is by then.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def epoch(
        self, epoch: int, total: int | None, took_s: float, left_s: float | None, values: Mapping[str, float]
    ) -> None:
        """Say that an epoch has ended."""
        left = [] if not left_s else [f"({duration(left_s)} left)"]
        self._print(f"epoch {counted(epoch + 1, total)}", _took(took_s), *_shown(values), *left)

    def stage(self, kind: str, batches: int, took_s: float, values: Mapping[str, float]) -> None:
        """Say that an evaluation or a prediction has ended."""
        self._print(kind, f"{batches} {'batch' if batches == 1 else 'batches'}", _took(took_s), *_shown(values))

    def end(self, text: str) -> None:
        """Say why a training has ended early."""
        self._print(text)

    def _print(self, *parts: str) -> None:
        print(*parts, sep="  ", file=sys.stdout if self._stream is None else self._stream, flush=True)


def _shown(values: Mapping[str, float]) -> list[str]:
    return [f"{name} {number(value)}" for name, value in values.items()]


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
