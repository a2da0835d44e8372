"""`fit_sklearn`: trains an estimator of scikit-learn for some epochs, with callbacks.

Owns the order of epochs, validation and the end. What is refused among the arguments is in `arguments`, how an epoch is
trained in `partial_fit` and `warm_start`, what is logged in `measures` and `scores`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sklearn.base import is_classifier, is_regressor

from onlooker.core.errors import DataError
from onlooker.hosts.follower import Follower
from onlooker.views.foreign import adapt
from onlooker.views.sklearn import SklearnView

from .arguments import check_kinds, check_metrics, check_numbers, check_ways, find_way
from .measures import Measures
from .partial_fit import PartialFit, check_labels, takes
from .rows import Rows
from .scores import Metric
from .warm_start import WarmStart

_TEST_HOOKS = (
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_epoch_end",
    "on_train_end",
)
"""The hooks that hear of a validation: without listeners it is left out."""


def fit_sklearn(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    epochs: int = 1,
    batch_size: int | None = None,
    shuffle: bool | None = None,
    seed: int | None = None,
    classes: Any = None,
    sample_weight: Any = None,
    validation: tuple[Any, Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    callbacks: Iterable[Any] = (),
    way: str | None = None,
    per_epoch: int | None = None,
    measure_training: bool = True,
    resume: Any = None,
) -> Any:
    """Train an estimator in epochs: by its `partial_fit`, or by `fit` where it has `warm_start`.

    An estimator that has been fitted before goes on from where it is.

    Args:
        estimator: of scikit-learn, or of a class like one.
        X: the inputs: an array, a sparse matrix or a data frame of shape (rows, columns), or a list.
        y: the targets of the rows; None for an estimator that needs none.
        epochs: how many, in all; 0 trains nothing. With `partial_fit` each goes once through the data; with
            `warm_start` each is one `fit` more.
        batch_size: how many rows `partial_fit` is given at once, and how many are predicted at once for what is logged;
            None for all.
        shuffle: with `partial_fit`: whether each epoch takes the rows in another order, if there are several batches.
            None (default) for yes.
        seed: with `partial_fit`: of that order, which depends on it and on the number of the epoch alone; None for 0.
        classes: all labels that there may be; None for those in `y`.
        sample_weight: of each row in the training. What is logged is not weighted by it.
        validation: inputs and targets to evaluate on in each epoch; its values stand in the logs under `val_`.
        metrics: by name, functions of the targets and of what `predict` returns, such as those of `sklearn.metrics`.
            Each is scored once over all rows of the epoch, or of the validation, not averaged over batches.
        callbacks: onlooker's, or those of Keras that need no Keras model, in the order in which they are called.
        way: `"partial_fit"` or `"warm_start"`; None prefers the first.
        per_epoch: with `warm_start`: how many trees, boosting rounds or iterations an epoch adds; None for one.
            `epochs` times this takes the place of the estimator's own `n_estimators` or `max_iter`.
        measure_training: whether train batches are predicted to log loss and accuracy. False logs of them only what the
            estimator computes itself.
        resume: a file of `run.save` from which to go on. It is a pickle: read only files that you trust.

    Returns:
        The estimator, trained.

    Raises:
        AttachError: a callback is refused.
        TypeError: the estimator has neither of the two, or an argument is of the wrong kind.
        DataError: the data do not fit together.
        LogError: a metric returned something that is no number.
        ValueError: a number is out of its range, an argument belongs to the other way, or the file is not one of a run.

    Example:
        >>> import onlooker as ol
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import SGDClassifier
        >>> class Watch(ol.Callback):
        ...     def on_epoch_end(self, epoch, logs):
        ...         if logs["val_accuracy"] > 0.9:
        ...             self.run.stop("good enough")
        >>> X, y = load_iris(return_X_y=True)
        >>> estimator = SGDClassifier(random_state=0)
        >>> _ = ol.fit_sklearn(estimator, X, y, epochs=50, batch_size=32, validation=(X, y), callbacks=[Watch()])
        >>> estimator.score(X, y) > 0.9
        True
    """
    way = find_way(estimator, way)
    check_numbers(epochs=(epochs, 0), batch_size=(batch_size, 1), per_epoch=(per_epoch, 1), seed=(seed, 0))
    check_kinds(shuffle, measure_training, resume)
    check_ways(type(estimator).__name__, way, shuffle, seed, per_epoch)
    check_metrics(estimator, metrics)
    if sample_weight is not None and not takes(getattr(estimator, way.replace("warm_start", "fit")), "sample_weight"):
        raise DataError(f"{type(estimator).__name__} takes no sample_weight; leave it out")
    measures = Measures(estimator, metrics)
    rows = Rows(X, y, sample_weight, batch_size)
    training: PartialFit | WarmStart
    if way == "partial_fit":
        is_shuffled = shuffle is None or bool(shuffle)
        order = (seed or 0) if is_shuffled and rows.batch_count > 1 else None
        training = PartialFit(estimator, rows, measures, classes, order, measure_training)
    else:
        training = WarmStart(estimator, rows, measures, classes, per_epoch or 1, measure_training)
    held_out = None if validation is None else _held_out(estimator, validation, rows, batch_size, training.classes)
    return _Fit(estimator, training, held_out, measures, callbacks).run(epochs, resume)


class _Fit:
    """One training."""

    def __init__(
        self,
        estimator: Any,
        training: PartialFit | WarmStart,
        held_out: Rows | None,
        measures: Measures,
        callbacks: Iterable[Any],
    ) -> None:
        self._estimator, self._training, self._held_out, self._measures = estimator, training, held_out, measures
        self._follower = Follower(adapt(callbacks), training.declaration)

    def run(self, epochs: int, resume: Any) -> Any:
        follower, view = self._follower, SklearnView(self._estimator)
        if resume is not None:
            follower.load_state_dict(view.load(str(resume)))
        try:
            follower.start(view, {"epochs": epochs, "steps": self._training.steps})
            follower.open("train")
            if resume is not None:
                view.load(str(resume))  # again: what on_train_begin drew or changed, it did the first time too
            stopped = self._train(epochs)
            self._training.restore()
            follower.finish(stopped=stopped)
        except BaseException as error:
            self._training.restore()
            follower.cut_off(error)
            raise
        finally:
            vars(self._estimator).pop("stop_training", None)  # nobody else's estimators have it
        return self._estimator

    def _train(self, epochs: int) -> str:
        """Train the epochs, as far as nobody stops. Return why the estimator itself wanted no more."""
        follower, stopped = self._follower, ""
        for epoch in range(follower.run.first_epoch, epochs):
            if stopped or follower.is_stopping():
                break
            follower.open("epoch", epoch)
            if not follower.is_stopping():
                stopped = self._training.train(follower, epoch)
                self._validate()
            follower.close("epoch")
        return stopped

    def _validate(self) -> None:
        follower, held_out = self._follower, self._held_out
        if held_out is None or not any(follower.listens(hook) for hook in _TEST_HOOKS):
            return
        follower.run.batch_count = held_out.batch_count
        scores = self._measures.new_scores(follower.listens("on_test_batch_end"))
        follower.open("test")
        for index, batch in enumerate(held_out.batches()):
            follower.begin_batch("test_batch", index, batch.data)
            values, follower.run.outputs = self._measures.of(batch, scores)
            follower.log(values, batch.size)
            follower.end_batch()
        follower.log_means(scores.of_all())  # a metric of the whole is no mean over its batches
        follower.close("test")


def _held_out(estimator: Any, validation: Any, training: Rows, batch_size: int | None, classes: Any) -> Rows:
    """Return the data to evaluate on.

    Raises:
        DataError: it is no pair, it lacks targets, or it has columns or labels that the training has not.
    """
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        what = f"{type(validation).__qualname__}"
        what += f" of {len(validation)}" if isinstance(validation, tuple | list) else ""
        raise DataError(f"validation must be a pair of inputs and targets, not a {what}: validation=(X, y)")
    names = ("validation's X", "validation's y")
    rows = Rows(validation[0], validation[1], batch_size=batch_size, what=names)
    if rows.columns != training.columns:
        raise DataError(
            f"X has rows of shape {training.columns}, but validation's X of {rows.columns}; expected the same"
        )
    if rows.y is None and training.y is not None and (is_classifier(estimator) or is_regressor(estimator)):
        kind = "classifier" if is_classifier(estimator) else "regressor"
        raise DataError(f"validation has no targets, but a {kind} needs them: validation=(X, y)")
    if classes is not None and not isinstance(classes, list) and rows.y is not None and rows.y.size == len(rows.y):
        check_labels(rows.y, classes, names[1], "the training's classes")
    return rows
