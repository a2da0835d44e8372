"""The figure of a training's curves, with matplotlib. Loaded only by `History.plot`.

Owns the look. Which curves belong together is `History`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Curves = Mapping[str, tuple[Sequence[int], Sequence[float]]]

MOST_MARKED_POINTS = 25
"""A curve of no more points shows each: with one or two there would be nothing else to see."""

COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:red")
BACKENDS_WITHOUT_WINDOW = frozenset(("agg", "cairo", "pdf", "pgf", "ps", "svg"))


def draw_curves(panels: Mapping[str, Curves]) -> Figure:
    """Draw one axes for each panel.

    Args:
        panels: by title, the curves of an axes: by label, the epochs and the values.
    """
    columns = min(3, len(panels) or 1)
    rows = -(-len(panels) // columns) or 1
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(0.6 + 3.7 * columns, 0.3 + 2.7 * rows), layout="constrained", squeeze=False
    )
    places = list(grid.flat)
    for axes, (title, curves) in zip(places, panels.items(), strict=False):
        _draw(axes, title, curves)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    close_where_no_window(figure)
    return figure


def close_where_no_window(figure: Figure) -> None:
    """Have pyplot forget a figure that it shows in no window; a notebook would show it twice."""
    backend = pyplot.get_backend().lower()
    if backend in BACKENDS_WITHOUT_WINDOW or "inline" in backend:
        pyplot.close(figure)


def _draw(axes: Axes, title: str, curves: Curves) -> None:
    for number, (label, (epochs, values)) in enumerate(curves.items()):
        axes.plot(
            epochs,
            values,
            color=COLORS[number % len(COLORS)],
            label=label,
            linewidth=1.8,
            marker="o" if len(values) <= MOST_MARKED_POINTS else None,
            markersize=3.5,
            zorder=3,
        )
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.grid(color="0.9", linewidth=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize="small")
