"""The past of all layers as rectangles of numbers: a row for each layer, a column for each time.

Owns how the timelines of a layer's weights are put together. How a sheet looks is `figures`' business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .choice import layer_of
from .timeline import TensorHistory

Histories = Mapping[str, TensorHistory]

LEAST_SHARE = 0.01
"""Of outputs that are zero, below which a layer is not worth a row."""


class Sheet:
    """Numbers of layers over a training.

    Attributes:
        layers: their names.
        steps: of shape (columns,): the step at which each column ends.
        values: of shape (layers, columns); NaN where nothing was seen.
        is_bad: of shape (layers, columns): whether there was something that was not finite.
    """

    def __init__(self, layers: list[str], steps: Any, values: Any, is_bad: Any) -> None:
        self.layers, self.steps, self.values, self.is_bad = layers, steps, values, is_bad

    def edges(self) -> Any:
        """Return where columns begin and end, as steps, of shape (columns + 1,)."""
        first = self.steps[0] - (self.steps[1] - self.steps[0] if len(self.steps) > 1 else 1)
        return np.concatenate([[first], self.steps])


def all_sheets(histories_of: Callable[[str], Histories]) -> dict[str, Sheet]:
    """Return the sheets for which there is something: `"ratio"`, `"gradients"` and `"zeros"`.

    Args:
        histories_of: returns, for what was looked at, the histories by name.
    """
    weights, gradients, updates, outputs = map(histories_of, ("weights", "gradients", "updates", "activations"))
    found = {}
    layers = list(dict.fromkeys(map(layer_of, weights)))
    if any(name in weights for name in updates):
        found["ratio"] = ratio_sheet(updates, weights)
    if gradients:
        found["gradients"] = norm_sheet(gradients, layers=layers)
    if outputs and (zeros := zero_sheet(outputs)).layers:
        found["zeros"] = zeros
    return found


def norm_sheet(histories: Histories, steps: Any = None, layers: Sequence[str] = ()) -> Sheet:
    """Return the norms of all that belongs to a layer together.

    Args:
        histories: by the name of the weight.
        steps: where the columns shall end; None for where the longest history has them.
        layers: in this order, also those that have none; others come behind.
    """
    steps = _longest(histories) if steps is None else steps
    layers = list(dict.fromkeys([*layers, *map(layer_of, histories)]))
    squares = np.full((len(layers), len(steps)), np.nan)
    is_bad = np.zeros(squares.shape, dtype=bool)
    for name, history in histories.items():
        row = layers.index(layer_of(name))
        squares[row] = _added(squares[row], np.square(_at(history, history.norm, steps)))
        is_bad[row] |= _at(history, history.nan + history.inf, steps) > 0
    return Sheet(layers, steps, np.sqrt(squares), is_bad)


def ratio_sheet(updates: Histories, weights: Histories) -> Sheet:
    """Return the norms of the updates to those of the weights that were updated."""
    both = [name for name in updates if name in weights]
    layers = list(dict.fromkeys(map(layer_of, weights)))
    above = norm_sheet({name: updates[name] for name in both}, layers=layers)
    below = norm_sheet({name: weights[name] for name in both}, above.steps, layers)
    with np.errstate(all="ignore"):
        values = above.values / below.values
    return Sheet(above.layers, above.steps, values, above.is_bad | below.is_bad)


def zero_sheet(outputs: Histories) -> Sheet:
    """Return which share of each layer's outputs was zero, of the layers that have put out zeros."""
    steps = _longest(outputs)
    some = {name: one for name, one in outputs.items() if (one.zero_share > LEAST_SHARE).any() or one.nan.any()}
    values = [_at(one, one.zero_share, steps) for one in some.values()]
    is_bad = [_at(one, one.nan + one.inf, steps) > 0 for one in some.values()]
    return Sheet(list(some), steps, np.array(values), np.array(is_bad))


def _longest(histories: Histories) -> Any:
    return max((one.steps for one in histories.values()), key=len)


def _at(history: TensorHistory, values: Any, steps: Any) -> Any:
    """Return the values of the rows in which steps lie; NaN before the first row and after the last."""
    rows = np.searchsorted(history.steps, steps)
    first = history.steps[0] - (history.steps[1] - history.steps[0] if len(history) > 1 else 1)
    found = np.asarray(values, dtype=np.float64)[np.minimum(rows, len(history) - 1)]
    found[(rows >= len(history)) | (steps <= first)] = np.nan
    return found


def _added(one: Any, other: Any) -> Any:
    """Add, where a missing value counts as none."""
    return np.where(np.isnan(one), other, np.where(np.isnan(other), one, one + other))
