"""`PartialFit`: trains an epoch by `partial_fit`, batch by batch."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.multiclass import check_classification_targets

from onlooker.core.errors import DataError
from onlooker.hosts.declared.sklearn import PARTIAL_FIT
from onlooker.hosts.follower import Follower

from .measures import Measures
from .rows import Batch, Rows
from .scores import Scores

TRAINING_HOOKS = ("on_train_batch_end", "on_epoch_end", "on_train_end")
"""The hooks in whose logs the values of train batches stand."""


class PartialFit:
    """One call of `partial_fit` for each batch.

    Args:
        estimator: what is trained.
        rows: the data.
        measures: what is logged of them.
        classes: all labels that there may be, for a classifier; None for those in the data.
        seed: shuffles the rows in each epoch; None takes them as they come.
        predicts: whether predictions may be computed for the logs of train batches.

    Attributes:
        declaration: what this way gives.
        steps: how many batches an epoch has.
        classes: all labels, or None for what is no classifier.

    Raises:
        DataError: a label is missing in `classes`.
    """

    declaration = PARTIAL_FIT

    def __init__(
        self, estimator: Any, rows: Rows, measures: Measures, classes: Any, seed: int | None, predicts: bool
    ) -> None:
        self._estimator, self._rows, self._measures = estimator, rows, measures
        self._seed, self._predicts = seed, predicts
        self.steps = rows.batch_count
        self.classes = find_classes(estimator, rows.y, classes)
        # An MLP answers Ctrl-C by a warning and goes on.
        self._swallows = any(kind.__name__ == "BaseMultilayerPerceptron" for kind in type(estimator).__mro__)

    def train(self, follower: Follower, epoch: int) -> str:
        """Train an epoch, as far as nobody stops it. Return why the estimator itself wants no more; `""`: it does."""
        run, rows, estimator = follower.run, self._rows, self._estimator
        is_heard = any(follower.listens(hook) for hook in TRAINING_HOOKS)
        scores = self._measures.new_scores(follower.listens("on_train_batch_end"))
        given = self._given()
        for index, batch in enumerate(rows.batches(None if self._seed is None else rows.order(self._seed, epoch))):
            follower.begin_batch("train_batch", index, batch.data)
            self._fit(batch, given)
            if self._swallows and estimator.n_iter_ == 0:
                raise KeyboardInterrupt
            if is_heard:
                self._log(follower, batch, scores)
            follower.end_batch(run.step + 1)
            given = {}
            if follower.is_stopping():
                break
        follower.log_means(scores.of_all())  # a metric of the epoch is no mean over its batches
        return ""

    def restore(self) -> None:
        """Put the estimator's parameters back: none were changed."""

    def _fit(self, batch: Batch, given: dict[str, Any]) -> None:
        if batch.weight is not None:
            given = {**given, "sample_weight": batch.weight}
        if batch.y is None:
            self._estimator.partial_fit(batch.X, **given)
        else:
            self._estimator.partial_fit(batch.X, batch.y, **given)

    def _log(self, follower: Follower, batch: Batch, scores: Scores) -> None:
        values, follower.run.outputs = self._measures.of_training(batch, scores, self._predicts)
        follower.run.native_logs = self._measures.native_logs()
        follower.log(values, batch.size)

    def _given(self) -> dict[str, Any]:
        """Return what the first batch is given: the classes. Scikit-learn checks them wherever they are passed."""
        if self.classes is None or not takes(self._estimator.partial_fit, "classes"):
            return {}
        return {"classes": self.classes}


def find_classes(estimator: Any, y: Any, classes: Any) -> Any:
    """Return all labels, sorted, of shape (classes,); for several outputs a list of such; None without a classifier.

    Raises:
        DataError: a label in `y` is missing, there is no `y`, it holds no labels, or classes were given to what is no
            classifier.
    """
    name = type(estimator).__name__
    if y is None and is_regressor(estimator):
        raise DataError(f"{name} is a regressor and needs targets; pass them as y: fit_sklearn(estimator, X, y)")
    if not is_classifier(estimator):
        if classes is not None and not takes(getattr(estimator, "partial_fit", None), "classes"):
            raise DataError(f"classes={classes!r:.60} is for classifiers, and {name} is none; leave it out")
        return classes  # one that hands them on, such as SelectFromModel
    if y is None:
        raise DataError(f"{name} is a classifier and needs labels; pass them as y: fit_sklearn(estimator, X, y)")
    try:
        check_classification_targets(y)
    except ValueError as error:
        raise DataError(f"y holds no labels, which {name} needs as a classifier: {error}") from error
    if y.ndim == 2 and y.shape[1] > 1:
        if classes is not None:
            return classes
        of_each = [np.unique(column) for column in y.T]
        return of_each if name.startswith("MultiOutput") else np.arange(y.shape[1])
    if classes is None:
        classes = getattr(estimator, "classes_", None)  # one that has been fitted before goes on with these
    if classes is None:
        return np.unique(y)
    check_labels(y, classes, "y", "classes")
    return np.unique(classes)


def check_labels(y: Any, classes: Any, what: str, where: str) -> None:
    """Refuse labels that are not among the classes.

    Raises:
        DataError: with some of them.
    """
    missing = np.setdiff1d(y, classes)
    if len(missing):
        shown = ", ".join(repr(label) for label in missing[:5].tolist())
        known = np.asarray(classes).tolist()
        raise DataError(f"{what} has labels that are not in {where}: {shown}; the classes are {known!r:.100}")


def takes(function: Any, name: str) -> bool:
    """Say whether a function takes an argument of this name."""
    if function is None:
        return False
    parameters = inspect.signature(function).parameters
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
