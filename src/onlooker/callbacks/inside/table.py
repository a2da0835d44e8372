"""The table of layers, with rich. Loaded only by `Inside.table`.

Owns the look. What stands out is `standing_out`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.jupyter import JupyterMixin
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from onlooker.core.summary import Summary

    from .standing_out import LayerLook

NO_NUMBER = "–"
"""For what was looked at and has no number: nothing was finite, or there was nothing."""

LEAST_WORDS = 24
"""How many characters what stands out has at least; numbers for which there is no room are left out."""

MOST_NAME = 32
"""How many characters of a layer's name stand in a line, where there is no room for more."""

LEFT_OUT_FIRST = ("weights", "outputs", "zeros", "update / weights", "gradient norm")


class LayerTable(JupyterMixin):
    """A table with a row for each layer, for rich to print. It takes as many columns as there is room for.

    Args:
        layers: in the order in which they are shown.
        step: at which they were looked at; None before the first look.
        left_out: how many more layers there are.
    """

    def __init__(self, layers: Sequence[LayerLook], step: int | None, left_out: int = 0) -> None:
        self._layers, self._step, self._left_out = layers, step, left_out
        self._columns: dict[str, list[str]] = {
            "weights": [_spread(layer.weights) for layer in layers],
            "gradient norm": [_number(None if layer.gradients is None else layer.gradients.norm) for layer in layers],
            "update / weights": [_number(None if layer.updates is None else layer.ratio) for layer in layers],
            "outputs": [_spread(layer.outputs) for layer in layers],
            "zeros": [_share(layer.outputs) for layer in layers],
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what is printed."""
        yield self._table(options.max_width)

    def _table(self, width: int) -> Table:
        name_width = min(max([5, *(len(layer.name) for layer in self._layers)]), MOST_NAME)
        shown = self._fitting(width - 2 - (name_width + 2) - LEAST_WORDS)
        table = Table(
            title=f"Inside, at step {self._step}" if self._step is not None else "Inside: nothing was looked at yet",
            caption="\n".join(self._notes([title for title in self._columns if title not in shown])) or None,
            title_justify="left",
            caption_justify="left",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        table.add_column("layer", overflow="fold", min_width=min(name_width, max(8, width // 3)))
        for title in shown:
            table.add_column(_heading(title), justify="right", no_wrap=True)
        table.add_column("what stands out")
        for at, layer in enumerate(self._layers):
            style = "bold red" if layer.is_not_finite else "yellow" if layer.stands_out else ""
            cells = [self._columns[title][at] for title in shown]
            table.add_row(Text(layer.name, style), *cells, Text("; ".join(layer.remarks), style))
        return table

    def _fitting(self, room: int) -> list[str]:
        """Return the titles of those columns of numbers for which there is room, which are whole then."""
        widths = {
            title: 2 + max(map(len, [*_heading(title).split("\n"), *cells])) for title, cells in self._columns.items()
        }
        for title in LEFT_OUT_FIRST:
            if sum(widths.values()) <= room:
                break
            del widths[title]
        return list(widths)

    def _notes(self, no_room: Sequence[str]) -> list[str]:
        notes = []
        if self._left_out:
            notes.append(f"and {self._left_out} more layers: table(most=None) shows all")
        if any(layer.stands_out for layer in self._layers):
            notes.append("sorted by what stands out, which may be so because of another layer")
        if no_room:
            notes.append(f"no room for: {', '.join(no_room)}")
        return notes


def _heading(title: str) -> str:
    """Return a title in two lines, where it has several words."""
    return title.replace("update / weights", "update /\nweights").replace("gradient norm", "gradient\nnorm")


def _spread(summary: Summary | None) -> str:
    if summary is None:
        return ""
    return f"{summary.mean:.2g} ± {summary.std:.2g}" if summary.finite else NO_NUMBER


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return NO_NUMBER if value != value else f"{value:.2g}"


def _share(summary: Summary | None) -> str:
    if summary is None:
        return ""
    return f"{summary.zero_share:.0%}" if summary.finite else NO_NUMBER
