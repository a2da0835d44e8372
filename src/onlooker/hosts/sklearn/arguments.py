"""What is refused among the arguments of `fit_sklearn` before anything is trained; and the way, as it was asked for.

Owns the messages. The data have theirs in `rows`, the labels in `partial_fit` and `warm_start`.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

WAYS = ("partial_fit", "warm_start")


def find_way(estimator: Any, way: str | None) -> str:
    """Return the way to train an estimator.

    Raises:
        TypeError: it has none, or not the one that was asked for.
        ValueError: there is no such way.
    """
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise TypeError(f"{estimator.__name__} is a class; pass an estimator: {estimator.__name__}()")
    if way is not None and way not in WAYS:
        raise ValueError(f"way={way!r} must be 'partial_fit' or 'warm_start', or None for the first that there is")
    if not callable(getattr(estimator, "get_params", None)):
        raise TypeError(f"{estimator!r:.60} is no estimator of scikit-learn: a {name} has no get_params")
    found = {
        "partial_fit": callable(getattr(estimator, "partial_fit", None)),
        "warm_start": "warm_start" in estimator.get_params(deep=False),
    }
    if way is not None and found[way]:
        return way
    if way is None and any(found.values()):
        return next(one for one in WAYS if found[one])
    looked_for = "neither a method partial_fit nor a parameter warm_start" if way is None else f"no {way}"
    hint = (
        "estimators that work: SGDClassifier, MLPClassifier, MultinomialNB, MiniBatchKMeans (partial_fit); "
        "GradientBoostingClassifier, RandomForestClassifier, LogisticRegression (warm_start)"
    )
    if hasattr(estimator, "steps") and hasattr(estimator, "named_steps"):
        hint = (
            "fit its transformers first, then train its last step: "
            "fit_sklearn(pipeline[-1], pipeline[:-1].fit_transform(X, y), y)"
        )
    elif hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions"):
        hint = "search first, then train what was found: fit_sklearn(clone(search.best_estimator_), X, y)"
    raise TypeError(f"{name} has {looked_for}, so that it cannot be trained in epochs; {hint}")


def check_numbers(epochs: tuple[Any, int], **given: tuple[Any, int]) -> None:
    """Refuse what is no whole number of at least so much; all but `epochs` may be None.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is less.
    """
    for name, (value, least) in {"epochs": epochs, **given}.items():
        if value is None and name != "epochs":
            continue
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"{name}={value!r:.60} is a {type(value).__qualname__}, but must be a whole number")
        if value < least:
            raise ValueError(f"{name}={value} must be at least {least}")


def check_ways(name: str, way: str, shuffle: bool | None, seed: int | None, per_epoch: int | None) -> None:
    """Refuse arguments that only the other way knows.

    Raises:
        ValueError: one was given.
    """
    if way == "partial_fit":
        if per_epoch is not None:
            raise ValueError(
                f"per_epoch={per_epoch} is for warm_start, but {name} is trained by partial_fit, where an epoch goes "
                f"once through the data; leave it out, or pass way='warm_start' if the estimator has that"
            )
        return
    given = {"shuffle": shuffle or None, "seed": seed}
    for argument, value in given.items():
        if value is not None:
            raise ValueError(
                f"{argument}={value} is for partial_fit, but {name} is trained by warm_start, where each fit is given "
                f"all rows as they are; leave it out (the estimator's own randomness is its random_state)"
            )


def check_kinds(shuffle: Any, measure_training: Any, resume: Any) -> None:
    """Refuse what is neither yes nor no, and a file that is no path.

    Raises:
        TypeError: with the argument.
    """
    for name, value, known in (
        ("shuffle", shuffle, (True, False, None)),
        ("measure_training", measure_training, (True, False)),
    ):
        if not any(value is one for one in known) and not isinstance(value, np.bool_):
            raise TypeError(f"{name}={value!r:.60} is a {type(value).__qualname__}, but must be True or False")
    if resume is not None and not isinstance(resume, str | PathLike):
        raise TypeError(f"resume={resume!r:.60} must be the path of a file that run.save has written")


def check_metrics(estimator: Any, metrics: Any) -> None:
    """Refuse metrics that cannot be functions of targets and predictions.

    Raises:
        TypeError: they are no dict of functions, or there are no predictions.
        ValueError: one has the name of the loss.
    """
    if metrics is None:
        return
    if not isinstance(metrics, Mapping):
        example = (
            f"{{{metrics.__name__!r}: {metrics.__name__}}}" if hasattr(metrics, "__name__") else "{'f1': f1_score}"
        )
        raise TypeError(f"metrics={metrics!r:.60} must be a dict of functions by name: metrics={example}")
    for name, metric in metrics.items():
        if not isinstance(name, str):
            raise TypeError(f"metrics has {name!r} for a name; expected a word: metrics={{'f1': ...}}")
        if isinstance(metric, type) or not callable(metric):
            raise TypeError(
                f"metrics[{name!r}]={metric!r:.60} must be a function of the targets and the predictions, for example "
                f"sklearn.metrics.balanced_accuracy_score"
            )
        if hasattr(metric, "_score_func"):
            raise TypeError(
                f"metrics[{name!r}]={metric!r:.60} is a scorer, which predicts by itself; pass the function that it "
                f"was made from, for example sklearn.metrics.f1_score"
            )
        if name == "loss":
            raise ValueError("metrics may not be named 'loss', which is the loss itself; give it another name")
    if metrics and not hasattr(estimator, "predict"):
        raise TypeError(f"metrics need predictions, and {type(estimator).__name__} has no predict; leave them out")
