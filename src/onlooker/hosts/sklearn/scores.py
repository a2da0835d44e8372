"""`Scores`: the user's metrics over all rows of a stage, each scored once, and over each batch by itself.

F1, recall, R² or ROC-AUC of an epoch are no means over its batches, so that predictions are collected until the stage
ends. Who predicts, and which rows, is for `Measures` and the two ways.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from onlooker.core.errors import LogError

Metric = Callable[[Any, Any], Any]


class Scores:
    """The metrics of one stage: of an epoch's training, or of a validation.

    Args:
        metrics: functions of targets and predictions, by name.
        has_batches: whether somebody listens to the ends of batches, so that their own values are needed.
    """

    def __init__(self, metrics: Mapping[str, Metric], has_batches: bool) -> None:
        self.names = tuple(metrics)
        self._metrics, self._has_batches = metrics, has_batches
        self._targets: list[Any] = []
        self._predictions: list[Any] = []

    def take(self, targets: Any, predictions: Any) -> dict[str, float]:
        """Take the targets and predictions of a batch. Return its own values, where they are needed.

        A metric that a few rows leave undefined, as ROC-AUC of rows with one label, has no value in that batch.

        Raises:
            LogError: a metric returned something that is no number.
        """
        self._targets.append(targets)
        self._predictions.append(predictions)
        if not self._has_batches:
            return {}
        values = {}
        for name, metric in self._metrics.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)  # it would come with nearly every small batch
                try:
                    value = metric(targets, predictions)
                except ValueError:  # if it is not for the rows, it comes again over all of them, and is raised there
                    continue
                except Exception as error:
                    self._tell_whose(error, name)
                    raise
            number = _number(name, value)
            if number == number:
                values[name] = number
        return values

    def of_all(self) -> dict[str, float]:
        """Return what the metrics say of all rows taken; nothing where there were none.

        Raises:
            LogError: a metric returned something that is no number.
        """
        if not self._predictions:
            return {}
        targets = None if self._targets[0] is None else _joined(self._targets)
        predictions = _joined(self._predictions)
        values = {}
        for name, metric in self._metrics.items():
            try:
                value = metric(targets, predictions)
            except Exception as error:
                self._tell_whose(error, name)
                raise
            values[name] = _number(name, value)
        return values

    def _tell_whose(self, error: Exception, name: str) -> None:
        rows = sum(len(part) for part in self._predictions)
        error.add_note(f"in metrics[{name!r}], called with the targets and the predictions of {rows} rows")


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _number(name: str, value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        found = f"an array of shape {array.shape}" if array.ndim else f"{value!r:.60}, a {type(value).__qualname__}"
        raise LogError(f"metrics[{name!r}] returned {found}; expected a single number")
    return float(array.item())
