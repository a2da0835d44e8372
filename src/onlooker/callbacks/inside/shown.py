"""How the past is shown: as a table, and as figures. What draws is loaded when somebody asks.

Owns what goes into each. The looks are `table`'s and `figures`' business.
"""

from __future__ import annotations

from onlooker.core.errors import missing_extra

from .naming import checked_most
from .sheets import all_sheets
from .standing_out import layer_looks, worst_first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .past import Past
    from .standing_out import LayerLook
    from .timeline import TensorHistory


def table_of(past: Past, most: int | None) -> Any:
    """Return what `Inside.table` does.

    Raises:
        ValueError: `most` is no number of layers.
    """
    from .table import LayerTable

    layers = _layers_of(past)
    shown = layers[: checked_most(most)]
    return LayerTable(shown, past.latest_step, len(layers) - len(shown))


def figure_of_tensor(title: str, read: Callable[[], TensorHistory]) -> Any:
    """Return what `Inside.plot` does with a name.

    Args:
        title: what it is.
        read: returns its past.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    draw_ridges, _ = _figures()
    return draw_ridges(title, read())


def figure_of_layers(past: Past) -> Any:
    """Return what `Inside.plot` does without a name.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: there is nothing to draw yet.
    """
    _, draw_layers = _figures()
    sheets = all_sheets(past.timelines.histories)
    if not sheets:
        raise ValueError("there is nothing to draw: nothing was looked at yet that is drawn layer by layer")
    return draw_layers(sheets, [one.name for one in _layers_of(past) if one.stands_out])


def _layers_of(past: Past) -> list[LayerLook]:
    return worst_first(layer_looks(past.latest, past.beginnings))


def _figures() -> tuple[Any, Any]:
    try:
        from .figures import draw_layers, draw_ridges
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise missing_extra("plot", "matplotlib") from None
    return draw_ridges, draw_layers
