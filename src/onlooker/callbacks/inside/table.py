"""The table of layers, with rich. Loaded only by `Inside.table`.

Owns the look. What stands out is `standing_out`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onlooker.core.summary import Summary

    from .standing_out import LayerLook


def layer_table(layers: Sequence[LayerLook], step: int | None, left_out: int = 0) -> Table:
    """Return a table with a row for each layer.

    Args:
        layers: in the order in which they are shown.
        step: at which they were looked at.
        left_out: how many more there are.
    """
    caption = f"and {left_out} more layers" if left_out else None
    table = Table(
        title=f"Inside, at step {step}",
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    # In a narrow terminal the numbers are wrapped; which layer it is, and what stands out, stays.
    table.add_column("layer", overflow="fold", min_width=8)
    for title in ("weights", "gradient norm", "update / weights", "outputs", "zeros"):
        table.add_column(title, justify="right")
    table.add_column("what stands out", min_width=11)
    for layer in layers:
        style = "bold red" if layer.weight >= 1e6 else "yellow" if layer.weight else ""
        table.add_row(
            Text(layer.name, style),
            _spread(layer.weights),
            _number(None if layer.gradients is None else layer.gradients.norm),
            _number(layer.ratio),
            _spread(layer.outputs),
            "" if layer.outputs is None else f"{layer.outputs.zero_share:.0%}",
            Text("; ".join(layer.remarks), style),
        )
    return table


def _spread(summary: Summary | None) -> str:
    return "" if summary is None else f"{summary.mean:.2g} ± {summary.std:.2g}"


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.2g}"
