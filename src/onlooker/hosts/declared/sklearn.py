"""What `fit_sklearn` gives to callbacks, in its two ways. The loop is ours, so that nearly all is native."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, Support, absent, native

TESTED = "scikit-learn 1.9.1"

_NO_PREDICTION = absent("nothing is predicted in a training; estimator.predict calls no hooks")
_NO_BATCHES = absent("an epoch is one call of fit, which tells nothing of what it does within; partial_fit has batches")

_PREDICT_HOOKS: dict[str, Support] = {
    "on_predict_begin": _NO_PREDICTION,
    "on_predict_end": _NO_PREDICTION,
    "on_predict_batch_begin": _NO_PREDICTION,
    "on_predict_batch_end": _NO_PREDICTION,
}
_IN_BOTH: dict[str, Support] = {
    "lazy_logs": native("scikit-learn computes in memory: there is no device to wait for"),
    "silent_stages": absent("a callback has no stage to start: estimator.score and predict call no hooks anyway"),
    "learning_rate": native("where the estimator has one: learning_rate_init, eta0, or a number as learning_rate"),
    "set_learning_rate": native("likewise, but not in gradient boosting, where it would scale the older trees too"),
    "weights": native("where the estimator keeps arrays (coef_, coefs_, cluster_centers_ ...); trees have none"),
    "gradients": absent("scikit-learn computes them within fit and keeps none"),
    "activations": absent("scikit-learn computes them within fit and keeps none"),
    "replay": absent("what happens within a call of the estimator cannot be watched"),
    "save": native("a pickle: read only files that you trust, for a pickle can run code when it is read"),
    "processes": absent("scikit-learn trains in one process; n_jobs shares out the work within it"),
}

PARTIAL_FIT = Declaration(
    name="scikit-learn (partial_fit)",
    use="onlooker.fit_sklearn(estimator, X, y, epochs=..., batch_size=..., callbacks=[...])",
    package="scikit-learn",
    tested=TESTED,
    hooks=_PREDICT_HOOKS,
    abilities={
        **_IN_BOTH,
        "outputs": native(
            "predict_proba, decision_function or predict of the batch, after its update; in training where somebody "
            "listens to on_train_batch_end, on_epoch_end or on_train_end"
        ),
        "step": native("counts the calls of partial_fit; what an estimator does within one is its own business"),
        "closing": native("Ctrl-C too, which networks catch; but not in a network within MultiOutputClassifier"),
    },
)

WARM_START = Declaration(
    name="scikit-learn (warm_start)",
    use="onlooker.fit_sklearn(estimator, X, y, epochs=..., per_epoch=..., callbacks=[...])",
    package="scikit-learn",
    tested=TESTED,
    hooks={**_PREDICT_HOOKS, "on_train_batch_begin": _NO_BATCHES, "on_train_batch_end": _NO_BATCHES},
    abilities={
        **_IN_BOTH,
        "batch_logs": _NO_BATCHES,
        "inputs": _NO_BATCHES,
        "outputs": _NO_BATCHES,
        "step": native("counts the calls of fit: one in each epoch"),
    },
)
