"""`WarmStart`: trains an epoch by one more `fit` of an estimator that goes on from where it is.

An ensemble grows by some trees, an iterative estimator makes some iterations. Owns the parameters that say so, and puts
them back at the end.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from onlooker.core.errors import DataError, warn
from onlooker.hosts.declared.sklearn import WARM_START
from onlooker.hosts.follower import Follower

from .measures import Measures
from .partial_fit import find_classes
from .rows import Rows


class WarmStart:
    """One call of `fit` for each epoch.

    Args:
        estimator: what is trained.
        rows: the data; their batches are those in which they are predicted.
        measures: what is logged of them.
        classes: checked against the labels; `fit` finds them itself, and knows no others.
        per_epoch: how many trees, rounds or iterations an epoch adds.
        predicts: whether predictions may be computed for the logs of the training.

    Attributes:
        declaration: what this way gives.
        steps: how many steps an epoch has: one.
        classes: all labels, or None for what is no classifier.

    Raises:
        TypeError: the estimator has nothing that can be added to, or begins anew in each fit.
        DataError: a label is missing in `classes`, or in the data.
    """

    declaration = WARM_START
    steps = 1

    def __init__(
        self, estimator: Any, rows: Rows, measures: Measures, classes: Any, per_epoch: int, predicts: bool
    ) -> None:
        self._estimator, self._measures, self._per_epoch, self._predicts = estimator, measures, per_epoch, predicts
        self._rows = rows
        self.classes = find_classes(estimator, rows.y, classes)
        if self.classes is not None and rows.y is not None:
            _check_none_is_lacking(type(estimator).__name__, rows.y, self.classes)
        params = estimator.get_params(deep=False)
        self._is_histogram = any(kind.__name__ == "BaseHistGradientBoosting" for kind in type(estimator).__mro__)
        self._size = next((name for name in ("n_estimators", "max_iter") if name in params), "")
        if not self._size:
            raise TypeError(
                f"{type(estimator).__name__} has warm_start, but neither n_estimators nor max_iter, so that there is "
                f"nothing that an epoch could add"
            )
        if params.get("solver") == "liblinear":
            raise TypeError(
                f"{type(estimator).__name__} begins anew in each fit with solver='liblinear', also with warm_start; "
                f"take another solver, for example lbfgs or saga"
            )
        self._grows = self._size == "n_estimators" or self._is_histogram
        self._params = {name: params[name] for name in ("warm_start", self._size)}
        if not self._is_histogram:
            _warn_of_early_stopping(type(estimator).__name__, params, per_epoch)

    def train(self, follower: Follower, epoch: int) -> str:
        """Train an epoch. Return why the estimator itself wants no more; `""`: it does."""
        run = follower.run
        target = self._per_epoch + (self._count() if self._grows else 0)
        self._estimator.set_params(warm_start=True, **{self._size: target})
        self._fit()
        run.step += 1
        if follower.listens("on_epoch_end") or follower.listens("on_train_end"):
            run.native_logs = self._measures.native_logs()
            follower.log(self._measure())
        return self._why_enough(target)

    def restore(self) -> None:
        """Put the estimator's parameters back; an ensemble's size stays what it has become."""
        if self._grows:
            self._params[self._size] = self._count() or self._params[self._size]
        self._estimator.set_params(**self._params)

    def _measure(self) -> dict[str, Any]:
        """Return what is logged of an epoch: of the rows as the estimator predicts them after it."""
        measures, size = self._measures, self._rows.whole.size
        scores, sums = measures.new_scores(), dict[str, float]()
        for batch in self._rows.batches() if self._predicts else ():
            for name, value in measures.of(batch, scores)[0].items():
                sums[name] = sums.get(name, 0.0) + value * batch.size
        values = {name: total / size for name, total in sums.items()}
        own = measures.own_loss(size)
        if own is not None:
            values["loss"] = own
        return {**values, **scores.of_all()}

    def _fit(self) -> None:
        batch = self._rows.whole
        given = {} if batch.weight is None else {"sample_weight": batch.weight}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of course it has not, after so few iterations
            # An MLP answers Ctrl-C by this warning and returns.
            warnings.filterwarnings("error", message="Training interrupted by user")
            try:
                if batch.y is None:
                    self._estimator.fit(batch.X, **given)
                else:
                    self._estimator.fit(batch.X, batch.y, **given)
            except UserWarning as warning:
                if isinstance(warning.__context__, KeyboardInterrupt):
                    raise KeyboardInterrupt from None
                raise

    def _count(self) -> int:
        """Return how many trees or rounds an ensemble has by now."""
        if self._is_histogram:
            return int(getattr(self._estimator, "n_iter_", 0))
        return len(getattr(self._estimator, "estimators_", ()))

    def _why_enough(self, target: int) -> str:
        estimator, name = self._estimator, type(self._estimator).__name__
        if self._grows:
            if self._count() < target or self._has_stopped_improving():
                return f"{name} has stopped by itself after {self._count()} rounds: its score no longer improves"
            return ""
        iterations = getattr(estimator, "n_iter_", None)
        needs_none = iterations is not None and int(np.max(iterations)) < self._per_epoch
        return f"{name} has converged" if needs_none or getattr(estimator, "converged_", False) is True else ""

    def _has_stopped_improving(self) -> bool:
        """Say what a histogram booster's own early stopping says: within a `fit` of one round it cannot be seen."""
        estimator = self._estimator
        if not getattr(estimator, "do_early_stopping_", False):
            return False
        scores = estimator.validation_score_ if len(estimator.validation_score_) else estimator.train_score_
        patience = estimator.n_iter_no_change
        if len(scores) < patience + 1:
            return False
        return bool(np.max(scores[-patience:]) <= scores[-patience - 1] + estimator.tol)


def _check_none_is_lacking(name: str, y: Any, classes: Any) -> None:
    """Refuse classes of which the data have no row.

    Raises:
        DataError: with some of them.
    """
    if y.size != len(y):
        return
    lacking = np.setdiff1d(classes, y)
    if len(lacking):
        raise DataError(
            f"y has no row with {', '.join(map(repr, lacking[:5].tolist()))}, which is among the classes; in the way "
            f"warm_start a fit of {name} learns its labels from y alone, so that y must have them all"
        )


def _warn_of_early_stopping(name: str, params: dict[str, Any], per_epoch: int) -> None:
    """Warn of an early stopping that forgets with each `fit` what was before, and so never comes to stop."""
    patience = params.get("n_iter_no_change")
    is_wanted = params.get("early_stopping", patience is not None)  # boosters have no switch, only the number
    if is_wanted is True and patience is not None and per_epoch <= patience:
        warn(
            f"{name}'s own early stopping looks at one call of fit alone, which has {per_epoch} rounds here: with "
            f"n_iter_no_change={patience} it will never stop. Let a callback stop, or raise per_epoch above that"
        )
