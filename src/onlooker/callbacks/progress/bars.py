"""The live display on a terminal, with rich.

Owns the terminal while it is up: what others print meanwhile appears above it, and it is taken down whatever happens.
It has no thread: it is drawn anew when it is told to, so nothing is read or locked behind a training's back, and worker
processes that are forked meanwhile find no lock held.
"""

from __future__ import annotations

import atexit
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich import get_console
from rich.console import Console, Group
from rich.errors import LiveError
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from .layout import Line

STYLES = {
    "": "",
    "label": "bold",
    "done": "green",
    "rest": "bright_black",
    "tail": "cyan",
    "name": "dim",
    "value": "",
    "alarm": "bold red",
    "stopped": "yellow",
    "interrupted": "yellow",
    "failed": "red",
}

_shown: list[Bars] = []


class Bars:
    """A live display of some lines.

    Args:
        stream: where to; None for `sys.stdout`.
        is_stale: says whether whoever shows it is gone without having taken it down.

    Raises:
        LiveError: another live display has the terminal.
    """

    is_stale: Callable[[], bool]

    def __init__(self, stream: Any, is_stale: Callable[[], bool]) -> None:
        for other in [bars for bars in _shown if bars.is_stale()]:
            other.close()
        if _shown or _is_live(sys.stdout) or _is_live(sys.stderr):
            raise LiveError("another live display has the terminal")
        # rich's own console where it will do, so that what goes through `rich.print` appears above the bars too.
        is_usual = stream is None and _is_terminal(sys.stdout)
        self._console = get_console() if is_usual else Console(file=stream, force_terminal=True)
        self.is_stale = is_stale
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            vertical_overflow="crop",
            # What goes to a file must go on going there.
            redirect_stdout=_is_terminal(sys.stdout),
            redirect_stderr=_is_terminal(sys.stderr),
        )
        before = (sys.stdout, sys.stderr)
        self._live.start()
        _shown.append(self)
        atexit.register(self.close)  # a trainer that closes nothing must not leave a terminal without a cursor
        self._moved: list[tuple[Any, Any]] = []
        for old, new in zip(before, (sys.stdout, sys.stderr), strict=True):
            for handler in _log_handlers(old):
                handler.setStream(new)
                self._moved.append((handler, old))

    @property
    def width(self) -> int:
        """How many characters a line can have, now."""
        return self._console.width

    @property
    def is_ascii(self) -> bool:
        """Whether it cannot show more than ASCII."""
        return not self._console.encoding.lower().startswith("utf")

    def show(self, lines: Iterable[Line]) -> None:
        """Show lines in place of those before."""
        self._live.update(Group(*map(_text, lines)), refresh=True)

    def close(self) -> None:
        """Leave the last lines on the screen and give the terminal back."""
        if self not in _shown:
            return
        try:
            for stream in (sys.stdout, sys.stderr):
                if _is_live(stream):
                    stream.flush()  # a line that was begun would be lost
            for handler, before in self._moved:
                handler.setStream(before)
        finally:
            self._live.stop()
            _shown.remove(self)
            atexit.unregister(self.close)


def _text(line: Line) -> Text:
    text = Text(no_wrap=True, overflow="crop")
    for part, role in line:
        text.append(part, STYLES[role])
    return text


def _log_handlers(stream: Any) -> Iterator[Any]:
    """Yield the handlers of logging that write to a stream itself, past whoever puts himself in its place."""
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                yield handler


def _is_live(stream: Any) -> bool:
    """Say whether a live display of rich has put itself in a stream's place."""
    return hasattr(stream, "rich_proxied_file")


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()
