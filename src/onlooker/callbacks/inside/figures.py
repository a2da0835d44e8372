"""The figures of `Inside.plot`, with matplotlib. Loaded only by it.

Owns the look: colours that mean the same in each figure, and what a reader must be told. The numbers are `sheets`'.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps, pyplot
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from onlooker.callbacks.curve_figure import close_where_no_window
from onlooker.core.summary import BINS, bin_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .sheets import Sheet
    from .timeline import TensorHistory

NOT_SEEN, NOTHING, NOT_FINITE, SICK = "0.85", "black", "magenta", "firebrick"
MOST_RIDGES = 16
ROW_HEIGHT, MOST_HEIGHT, LABEL_HEIGHT = 0.19, 7.0, 0.15
"""In inches: of a row, of a heat map that has so many that they have to be lower, and of what a name needs."""
MOST_NAME = 32
"""How many characters of a name are shown."""
_HALF = BINS // 2


def draw_layers(panels: Mapping[str, Sheet], sick: Sequence[str]) -> Figure:
    """Draw heat maps of layers by steps, one below the other.

    Args:
        panels: by kind: `"ratio"`, `"gradients"`, `"zeros"`.
        sick: the names of the layers that stand out at the last look, the worst first.
    """
    rows = [len(sheet.layers) for sheet in panels.values()]
    heights = [min(max(1.6, ROW_HEIGHT * count), MOST_HEIGHT) for count in rows]
    figure, grid = pyplot.subplots(
        len(panels), 1, figsize=(10, 1.1 * len(panels) + sum(heights)), layout="constrained", squeeze=False,
        height_ratios=heights,
    )  # fmt: skip
    for axes, height, (kind, sheet) in zip(grid.flat, heights, panels.items(), strict=True):
        _KINDS[kind](axes, sheet)
        _name_layers(axes, sheet, sick, math.ceil(LABEL_HEIGHT * len(sheet.layers) / height))
    grid[-1, 0].set_xlabel("step")
    close_where_no_window(figure)
    return figure


def _draw_ratio(axes: Axes, sheet: Sheet) -> None:
    # Symmetric around what is usual, which is white, as is what is not far from it: blue is too small, red too large.
    way = np.linspace(-1, 1, 256)
    colors = ListedColormap(colormaps["RdBu_r"](0.5 + 0.5 * np.sign(way) * np.abs(way) ** 1.8))
    zero, none = "no change at all", "no optimizer changes it, or not seen"
    mesh = _heat(axes, sheet, colors, LogNorm(1e-6, 1, clip=True), zero, none)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, aspect=12, ticks=[1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1])
    words = ["1e-6, stands still", "1e-5", "1e-4", "1e-3, usual", "1e-2", "1e-1", "1, leaps"]
    bar.ax.set_yticklabels(words, fontsize="small")
    axes.set_title("updates, relative to the weights", fontsize="medium", loc="left")


def _draw_gradients(axes: Axes, sheet: Sheet) -> None:
    # What is partly not finite has no color, and what is left of it, often huge, would take all colors from the others.
    some = sheet.values[np.isfinite(sheet.values) & (sheet.values > 0) & ~sheet.is_bad]
    low, high = (some.min(), some.max()) if len(some) else (1e-3, 1.0)
    low = min(max(low, high * 1e-10), high * 1e-4)  # what differs by less is not worth other colours
    mesh = _heat(
        axes, sheet, colormaps["viridis"], LogNorm(low, high, clip=True), "all zero", "no gradient, or not seen"
    )
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, aspect=12)
    bar.ax.tick_params(labelsize="small")
    axes.set_title("norm of the gradients: dark is small, yellow is large", fontsize="medium", loc="left")


def _draw_zeros(axes: Axes, sheet: Sheet) -> None:
    # Half of them is usual for ReLU, and pale.
    colors = ListedColormap(colormaps["Reds"](np.linspace(0, 1, 256) ** 3))
    mesh = _heat(axes, sheet, colors, Normalize(0, 1))
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, aspect=12, ticks=[0, 0.5, 0.9, 1])
    bar.ax.set_yticklabels(["0 %", "50 %", "90 %", "100 %, dead"], fontsize="small")
    axes.set_title("outputs that are exactly zero, of the layers that have some", fontsize="medium", loc="left")


_KINDS = {"ratio": _draw_ratio, "gradients": _draw_gradients, "zeros": _draw_zeros}


def _heat(axes: Axes, sheet: Sheet, colors: Any, norm: Any, nothing: str = "", missing: str = "not seen") -> Any:
    """Draw a sheet.

    Args:
        axes: where.
        sheet: what.
        colors: of the numbers, by `norm`.
        norm: from numbers to colours.
        nothing: what it is called when a number is 0, which then is black; "" where that is a number like others.
        missing: what it is called where there is no number.
    """
    axes.set_facecolor(NOT_SEEN)
    edges, down = sheet.edges(), np.arange(len(sheet.layers) + 1) - 0.5
    special = [(sheet.is_bad, NOT_FINITE, "NaN or infinite")]
    special.append((~sheet.is_bad & np.isnan(sheet.values), NOT_SEEN, missing))
    if nothing:
        special.append((~sheet.is_bad & (sheet.values == 0), NOTHING, nothing))
    hidden = ~np.isfinite(sheet.values) | np.logical_or.reduce([cells for cells, _, _ in special])
    mesh = axes.pcolormesh(edges, down, np.ma.masked_where(hidden, sheet.values), cmap=colors, norm=norm)
    patches = []
    for cells, color, words in special:
        if cells.any():
            axes.pcolormesh(edges, down, np.ma.masked_where(~cells, np.ones(cells.shape)), cmap=ListedColormap([color]))
            patches.append(Patch(color=color, label=words))
    if patches:
        axes.legend(
            handles=patches, fontsize="small", frameon=False, ncols=len(patches), loc="lower right",
            bbox_to_anchor=(1, 1), borderaxespad=0.2,
        )  # fmt: skip
    axes.invert_yaxis()  # inputs at the top
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    return mesh


def _name_layers(axes: Axes, sheet: Sheet, sick: Sequence[str], apart: int) -> None:
    """Write the names of layers next to their rows, those that stand out in red, and an arrow at the worst.

    Args:
        axes: where.
        sheet: of the layers.
        sick: those that stand out, the worst first.
        apart: how many rows there are from one name to the next at least. Those that stand out come first.
    """
    places = {layer: row for row, layer in enumerate(sheet.layers)}
    chosen: list[int] = []
    for row in [*(places[layer] for layer in sick if layer in places), *range(len(sheet.layers))]:
        if all(abs(row - other) >= apart for other in chosen):
            chosen.append(row)
    chosen.sort()
    names = [sheet.layers[row] for row in chosen]
    words = [f"▸ {_short(name)}" if sick and name == sick[0] else _short(name) for name in names]
    axes.set_yticks(chosen, words, fontsize="x-small" if len(sheet.layers) > 12 else "small")
    for label, layer in zip(axes.get_yticklabels(), names, strict=True):
        if layer in sick:
            label.set(color=SICK, fontweight="bold" if layer == sick[0] else "normal")


def _short(name: str) -> str:
    """Return a name without its middle, if it is long: the model stands at its beginning, and the layer at its end."""
    if len(name) <= MOST_NAME:
        return name
    first = MOST_NAME // 3
    return f"{name[:first]}…{name[first + 1 - MOST_NAME :]}"


def draw_ridges(title: str, history: TensorHistory) -> Figure:
    """Draw how the histogram of one tensor has changed: the earliest at the top, the latest in front.

    Args:
        title: what it shows.
        history: of the tensor.
    """
    chosen = np.unique(np.linspace(0, len(history) - 1, min(len(history), MOST_RIDGES)).round().astype(int))
    places, edges = _places(history.bins[chosen].sum(axis=0))
    figure, axes = pyplot.subplots(figsize=(8, 1.5 + 0.36 * max(len(chosen), 4)), layout="constrained")
    shares = [_shares(history, row, places) for row in chosen]
    highest = max([float(share.max()) for share in shares if len(share)] + [1e-9])
    colors = colormaps["viridis"](np.linspace(0.85, 0.1, len(chosen)))
    for at, (row, share) in enumerate(zip(chosen, shares, strict=True)):
        base = len(chosen) - at
        line = np.repeat(base + 1.8 * share / highest, 2)
        across = np.repeat(np.arange(len(share) + 1), 2)[1:-1]
        axes.fill_between(across, base, line, color=colors[at], alpha=0.85, linewidth=0, zorder=at)
        axes.plot(across, line, color="white", linewidth=0.8, zorder=at)
        axes.text(len(share) + 0.3, base, _note(history, row), fontsize="x-small", va="bottom")
    axes.set_yticks([len(chosen) - at for at in range(len(chosen))], [str(step) for step in history.steps[chosen]])
    axes.tick_params(axis="y", length=0, labelsize="small")
    axes.set_ylabel("step")
    axes.set_xticks(*_ticks(edges), fontsize="small")
    axes.set_xlabel("value, by powers of two; zeros are not drawn")
    axes.set_title(title, fontsize="medium", loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.axvline(edges.index(0.0), color="0.4", linewidth=0.8, linestyle=":", zorder=len(chosen))
    close_where_no_window(figure)
    return figure


def _places(bins: Any) -> tuple[list[int], list[float]]:
    """Return which bins are shown, and the values at their edges, with a single 0.0 where the signs meet."""
    magnitudes = bins[_HALF:] + bins[_HALF - 1 :: -1]
    total = magnitudes.sum() or 1
    shares = np.cumsum(magnitudes) / total
    first = int(np.searchsorted(shares, 0.002))  # the few that are smaller are left out
    last = int(np.flatnonzero(magnitudes).max()) if magnitudes.any() else first
    first = max(0, min(first, last) - 1)
    last = min(_HALF - 1, last + 1)
    negative = [_HALF - 1 - at for at in range(last, first - 1, -1)] if bins[:_HALF].any() else []
    positive = [_HALF + at for at in range(first, last + 1)] if bins[_HALF:].any() or not negative else []
    edges = [bin_bounds(one)[0] for one in negative] + [0.0] + [bin_bounds(one)[1] for one in positive]
    return negative + positive, edges


def _shares(history: TensorHistory, row: int, places: Sequence[int]) -> Any:
    of_row = history.bins[row].astype(np.float64)
    return of_row[list(places)] / (of_row.sum() or 1.0)


def _note(history: TensorHistory, row: int) -> str:
    if history.is_empty:
        return "empty: no elements"
    words = [f"{history.zero_share[row]:.0%} zero"] if history.zero_share[row] >= 0.005 else []
    words += [f"{history.nan[row]} NaN"] if history.nan[row] else []
    words += [f"{history.inf[row]} infinite"] if history.inf[row] else []
    return ", ".join(words)


def _ticks(edges: list[float]) -> tuple[list[int], list[str]]:
    """Return where the axis is labelled: zero, and every few powers of two, counted from the outside."""
    zero = edges.index(0.0)
    step = max(1, (len(edges) - 1) // 8)
    places = [zero, *range(zero + step, len(edges), step), *range(zero - step, -1, -step)]
    places.sort()
    return places, [_edge(edges[at]) for at in places]


def _edge(value: float) -> str:
    if math.isinf(value):
        return "more" if value > 0 else "less"
    return "0" if value == 0 else f"{value:.2g}"
