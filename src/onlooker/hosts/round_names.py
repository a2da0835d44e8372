"""`RoundNames`: what boosters call their metrics, under the names that logs have everywhere.

A booster evaluates several data sets by several metrics in each round. Here one data set is the training's, one the
validation's, and one metric is the loss. Where a booster keeps its metrics is for its host's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from onlooker.core.errors import AttachError

from .follower import warn_of_number

Metrics = dict[str, float]

_TRAINING = ("train", "training", "learn", "dtrain")
"""What people call the data set that is trained on."""

_HIGHER_IS_BETTER = (
    "ams",
    "auc",
    "aucpr",
    "interval-regression-accuracy",
    "map",
    "ndcg",
    "pre",
    "accuracy",
    "f1",
    "r2",
    "precision",
    "recall",
    "kappa",
    "mcc",
)

_SCORE = "_score"
"""How scikit-learn's metrics end of which more is better."""


class RoundNames:
    """Sorts the metrics of a round.

    Args:
        training: the booster's name of the data set that is trained on; None takes the one that is called so.
        validation: the name of the data set whose values stand under `val_`; None takes the first of the others.
        loss: the metric that is called `loss`; None takes the first of which less is better.

    Example:
        >>> names = RoundNames()
        >>> names.sort({"train": {"auc": 0.9, "logloss": 0.4}, "eval": {"auc": 0.8, "logloss": 0.5}})
        ({'auc': 0.9, 'loss': 0.4}, {'auc': 0.8, 'loss': 0.5}, {})
    """

    def __init__(self, training: str | None = None, validation: str | None = None, loss: str | None = None) -> None:
        if training is not None and training == validation:
            raise AttachError(f"training and validation are both {training!r}; name two data sets, or leave one out")
        self._training, self._validation, self._loss = training, validation, loss
        self._no_numbers: set[str] = set()

    def check(self, data_sets: Iterable[str]) -> None:
        """Refuse names of data sets that are not there, for hosts that know them before the first round.

        Raises:
            AttachError: a data set that was named is not there.
        """
        known = list(data_sets)
        for given in (self._training, self._validation):
            if given is not None and given not in known:
                raise AttachError(f"no data set is called {given!r}; evaluated are: {', '.join(known) or 'none'}")

    def sort(
        self,
        results: Mapping[str, Mapping[str, Any]],
        is_higher_better: Callable[[str], bool] | Collection[str] = (),
        training: str | None = None,
    ) -> tuple[Metrics, Metrics, Metrics]:
        """Return the values of the training, of the validation, and all others as `<data set>_<metric>`.

        A value that is no number is left out, with a warning when it first comes.

        Args:
            results: by data set and metric, as the booster has them, in its order.
            is_higher_better: says it of a metric; or those of which it is known, beside the usual names.
            training: how the booster itself calls the data set that is trained on, where it says so.

        Raises:
            AttachError: a data set or a metric that was named is not there.
        """
        known = training if training in results else next((name for name in results if name.lower() in _TRAINING), None)
        training = self._training or (None if known == self._validation else known)
        validation = self._validation or next((name for name in results if name != training), None)
        self.check(results)
        metrics = list(dict.fromkeys(metric for values in results.values() for metric in values))
        if self._loss is not None and self._loss not in metrics:
            raise AttachError(f"no metric is called {self._loss!r}; evaluated are: {', '.join(metrics) or 'none'}")
        is_higher = is_higher_better if callable(is_higher_better) else _told_of(is_higher_better)
        loss = self._loss or next((metric for metric in metrics if not is_higher(metric)), None)

        def renamed(name: str | None) -> Metrics:
            values = {} if name is None else self._numbers_in(name, results[name])
            return {("loss" if metric == loss else metric): value for metric, value in values.items()}

        others = {
            f"{name}_{metric}": value
            for name in results
            if name not in (training, validation)
            for metric, value in renamed(name).items()
        }
        return renamed(training), renamed(validation), others

    def _numbers_in(self, name: str, values: Mapping[str, Any]) -> Metrics:
        found: Metrics = {}
        for metric, value in values.items():
            try:
                found[metric] = float(value + 0)  # adding refuses words, which float would read
            except (TypeError, ValueError):
                full_name = f"{name}_{metric}"
                if full_name not in self._no_numbers:
                    self._no_numbers.add(full_name)
                    warn_of_number(full_name, value)
        return found


def _told_of(names: Collection[str]) -> Callable[[str], bool]:
    return lambda metric: metric in names or _is_higher_better(metric)


def _is_higher_better(metric: str) -> bool:
    name = metric.lower().partition("@")[0].partition(":")[0]
    return name in _HIGHER_IS_BETTER or name.endswith(_SCORE)
