"""`Measures`: what is logged of a batch: what the estimator computes itself, else what its predictions show.

`loss` means the same in training and in validation, so an estimator's own loss is taken only where it is known which
measure of its predictions that is. Owns no data and no loop; the user's metrics are scored by `scores`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor

from .rows import Batch
from .scores import Metric, Scores

_NATIVE = ("loss_", "best_loss_", "inertia_", "lower_bound_", "n_iter_", "t_", "oob_score_")
_NATIVE_CURVES = ("train_score_", "validation_score_", "validation_scores_", "oob_scores_", "oob_improvement_")


class Measures:
    """Measures one estimator.

    Args:
        estimator: what is trained.
        metrics: functions of targets and predictions by name, or None.
    """

    def __init__(self, estimator: Any, metrics: Mapping[str, Metric] | None = None) -> None:
        self._estimator = estimator
        self._metrics = dict(metrics or {})
        self._names = {kind.__name__ for kind in type(estimator).__mro__}
        self._is_classifier, self._is_regressor = is_classifier(estimator), is_regressor(estimator)

    def new_scores(self, has_batches: bool = False) -> Scores:
        """Return what collects the predictions of a stage for the metrics; give it to `of` and `of_training`.

        Args:
            has_batches: whether somebody listens to the ends of its batches.
        """
        return Scores(self._metrics, has_batches)

    def of_training(self, batch: Batch, scores: Scores, predicts: bool) -> tuple[dict[str, Any], Any]:
        """Return the values of a batch that was just trained on, and the outputs.

        Args:
            batch: the rows.
            scores: those of the epoch.
            predicts: whether predictions may be computed; else there is only what the estimator has computed itself.
        """
        values, outputs, prediction = self._predicted(batch) if predicts else ({}, None, None)
        own = self.own_loss(batch.size)
        if own is not None:
            values["loss"] = own
        return self._scored(batch, values, outputs, prediction, scores) if predicts else (values, outputs)

    def of(self, batch: Batch, scores: Scores) -> tuple[dict[str, Any], Any]:
        """Return what the predictions for a batch show, by name, the metrics last, and the outputs."""
        return self._scored(batch, *self._predicted(batch), scores)

    def own_loss(self, size: int) -> float | None:
        """Return the loss that the estimator has computed of the rows it was just trained on, so many; or None."""
        estimator = self._estimator
        if "_BaseKMeans" in self._names:
            inertia = getattr(estimator, "inertia_", None)
            return None if inertia is None else inertia / size
        if self._factor(is_own=True) == 0:
            return None
        if "BaseGradientBoosting" in self._names:
            return float(estimator.train_score_[-1])
        return float(estimator.loss_)

    def native_logs(self) -> dict[str, Any]:
        """Return what the estimator says of its training, under its own names."""
        found: dict[str, Any] = {name: getattr(self._estimator, name, None) for name in _NATIVE}
        for name in _NATIVE_CURVES:
            curve = getattr(self._estimator, name, None)
            found[name] = curve[-1] if curve is not None and len(curve) else None
        return {name: np.max(value).item() for name, value in found.items() if value is not None}

    def _predicted(self, batch: Batch) -> tuple[dict[str, Any], Any, Any]:
        """Return loss and accuracy of a batch, the outputs, and what `predict` says, where that was needed."""
        estimator, y = self._estimator, batch.y
        values: dict[str, Any] = {}
        outputs = prediction = None
        if self._is_regressor and y is not None:
            outputs = prediction = estimator.predict(batch.X)
            errors = np.subtract(np.reshape(prediction, y.shape), y, dtype=np.float64)
            values["loss"] = self._factor() * float(np.mean(errors * errors))
        elif self._is_classifier and y is not None and y.size == batch.size:
            values, outputs = _classification(estimator, batch.X, y.ravel(), self._factor())
        elif "_BaseKMeans" in self._names:
            outputs = prediction = estimator.predict(batch.X)
            values["loss"] = -estimator.score(batch.X) / batch.size
        elif "BaseMixture" in self._names:
            outputs = prediction = estimator.predict(batch.X)
            values["loss"] = -estimator.score(batch.X)
        return values, outputs, prediction

    def _scored(
        self, batch: Batch, values: dict[str, Any], outputs: Any, prediction: Any, scores: Scores
    ) -> tuple[dict[str, Any], Any]:
        """Give a batch to the metrics. Return the values with the batch's own of these, and the outputs."""
        if not scores.names:
            return values, outputs
        prediction = self._estimator.predict(batch.X) if prediction is None else prediction
        values = {name: value for name, value in values.items() if name not in scores.names}
        values.update(scores.take(batch.y, prediction))
        return values, prediction if outputs is None else outputs

    def _factor(self, is_own: bool = False) -> float:
        """Return how many times our measure the estimator's own loss is; for one whose own loss is another, 1.

        Args:
            is_own: return 0 in that case, to tell it.
        """
        names, loss = self._names, getattr(self._estimator, "loss", None)
        if "MLPClassifier" in names:
            return 1.0
        if "MLPRegressor" in names and loss in (None, "squared_error"):  # a parameter since 1.7
            return 0.5
        if "GradientBoostingRegressor" in names and loss == "squared_error":
            return 1.0
        if "GradientBoostingClassifier" in names and loss == "log_loss":  # its deviance
            return 2.0 if len(self._estimator.classes_) == 2 else 1.0
        return 0.0 if is_own else 1.0


def _classification(estimator: Any, X: Any, y: Any, factor: float) -> tuple[dict[str, Any], Any]:
    """Return loss and accuracy of a classifier, and from what they were computed."""
    classes = estimator.classes_
    codes = np.searchsorted(classes, y)
    rows = np.arange(len(codes))
    if hasattr(estimator, "predict_proba"):
        outputs = estimator.predict_proba(X)
        found = outputs.argmax(axis=1)
        chances = outputs[rows, codes]
        losses = -np.log(np.clip(chances, np.finfo(chances.dtype).eps, 1.0))
    elif hasattr(estimator, "decision_function"):
        outputs = estimator.decision_function(X)
        found, margins = _margins(outputs, rows, codes)
        losses = np.maximum(0.0, 1.0 - margins)
    else:
        outputs = estimator.predict(X)
        return {"accuracy": float(np.mean(outputs == y))}, outputs
    return {"accuracy": float(np.mean(found == codes)), "loss": factor * float(np.mean(losses))}, outputs


def _margins(decisions: Any, rows: Any, codes: Any) -> tuple[Any, Any]:
    """Return the class that each row is given, and by how much the right one is ahead."""
    if decisions.ndim == 1:
        return (decisions > 0).astype(int), np.where(codes == 1, decisions, -decisions)
    others = decisions.astype(np.float64)
    others[rows, codes] = -np.inf
    return decisions.argmax(axis=1), decisions[rows, codes] - others.max(axis=1)
