"""Records: what a callback made and is worth keeping. Whoever has `keep(record)` gets them all.

Owns their shape only; keeping them is the sinks' business.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Record:
    """What all records have.

    Attributes:
        epoch: index of the epoch in which it was made, or None outside one.
        step: how many steps the run had made.
    """

    def __init__(self, *, epoch: int | None = None, step: int | None = None) -> None:
        self.epoch, self.step = epoch, step

    def __repr__(self) -> str:
        return f"{type(self).__name__}(epoch={self.epoch}, step={self.step})"


class Scalars(Record):
    """Numbers by name.

    Attributes:
        values: the numbers.
    """

    def __init__(self, values: Mapping[str, float], *, epoch: int | None = None, step: int | None = None) -> None:
        super().__init__(epoch=epoch, step=step)
        self.values = dict(values)


class Picture(Record):
    """A picture.

    Attributes:
        name: what it shows, for example `"digits"`.
        pixels: uint8 array of shape (height, width) or (height, width, 3).
        path: the file that it was also written to, or None.
    """

    def __init__(
        self, name: str, pixels: Any, *, path: str | None = None, epoch: int | None = None, step: int | None = None
    ) -> None:
        super().__init__(epoch=epoch, step=step)
        self.name, self.pixels, self.path = name, pixels, path
