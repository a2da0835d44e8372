"""What is logged: the estimator's own loss where it has one, else what predictions show, and only where it is heard."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import Perceptron, SGDClassifier, SGDRegressor
from sklearn.metrics import f1_score, hinge_loss, log_loss, mean_squared_error
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from tests.recorder import Recorder
from tests.unit.hosts.sklearn.data import LABELS, NUMBERS, X

import onlooker as ol

TWO = (LABELS > 0).astype(int)


def last_logs(estimator, y, *, epochs=2, **given):
    """Train, and return the logs of the last epoch with the data as validation too, and the run."""
    seen = Recorder()
    ol.fit_sklearn(estimator, X, y, epochs=epochs, validation=(X, y), callbacks=[seen], **given)
    return seen.last("on_epoch_end").logs, seen.run


@pytest.mark.parametrize("y", [TWO, LABELS], ids=["two labels", "three"])
@pytest.mark.parametrize(
    "estimator",
    [GaussianNB(), SGDClassifier(loss="log_loss"), SGDClassifier(), Perceptron(), RandomForestClassifier()],
    ids=["Bayes", "log loss", "hinge", "Perceptron", "forest"],
)
def test_classifiers(estimator, y):
    estimator = clone(estimator)
    logs, _ = last_logs(estimator, y, epochs=3)
    if hasattr(estimator, "predict_proba"):
        expected = log_loss(y, estimator.predict_proba(X))
    else:
        expected = hinge_loss(y, estimator.decision_function(X))
    assert list(logs) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert logs["val_loss"] == logs["loss"] == pytest.approx(expected)
    assert logs["val_accuracy"] == logs["accuracy"] == estimator.score(X, y)


def test_regressors():
    estimator = SGDRegressor()
    logs, _ = last_logs(estimator, NUMBERS)
    assert logs == dict.fromkeys(["loss", "val_loss"], pytest.approx(mean_squared_error(NUMBERS, estimator.predict(X))))
    several = np.stack([NUMBERS, -NUMBERS], axis=1)
    network = MLPRegressor(alpha=0.0)
    logs, _ = last_logs(network, several)
    assert logs["val_loss"] == pytest.approx(mean_squared_error(several, network.predict(X)) / 2)


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_a_networks_own_loss(way):
    classifier = MLPClassifier((4,), alpha=0.0)
    logs, run = last_logs(classifier, LABELS, way=way)
    assert logs["loss"] == run.native_logs["loss_"] == classifier.loss_
    assert logs["val_loss"] == pytest.approx(log_loss(LABELS, classifier.predict_proba(X)))
    regressor = MLPRegressor(hidden_layer_sizes=(4,), alpha=0.0)
    logs, _ = last_logs(regressor, NUMBERS, way=way)
    assert logs["loss"] == regressor.loss_
    assert logs["val_loss"] == pytest.approx(mean_squared_error(NUMBERS, regressor.predict(X)) / 2)


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (GradientBoostingClassifier(), TWO),
        (GradientBoostingClassifier(), LABELS),
        (GradientBoostingRegressor(), NUMBERS),
    ],
    ids=["two labels", "three", "numbers"],
)
def test_a_boosters_own_loss_is_measured_alike_in_the_validation(estimator, y):
    logs, run = last_logs(estimator, y, epochs=3)
    assert logs["loss"] == run.native_logs["train_score_"] == estimator.train_score_[-1]
    assert logs["val_loss"] == pytest.approx(logs["loss"])


def test_a_booster_with_another_loss_of_its_own():
    estimator = GradientBoostingRegressor(loss="absolute_error")
    logs, _ = last_logs(estimator, NUMBERS)
    assert logs["loss"] == logs["val_loss"] == pytest.approx(mean_squared_error(NUMBERS, estimator.predict(X)))


def test_clusters():
    means = MiniBatchKMeans(3, random_state=0)
    logs, run = last_logs(means, None)
    assert logs["loss"] == pytest.approx(run.native_logs["inertia_"] / len(X))
    assert logs["val_loss"] == pytest.approx(-means.score(X) / len(X))
    mixture = GaussianMixture(2, random_state=0)
    assert last_logs(mixture, None)[0]["val_loss"] == pytest.approx(-mixture.score(X))


def test_metrics_of_ones_own():
    metrics = {"f1": lambda y, found: f1_score(y, found, average="macro"), "zero": lambda y, found: np.float32(0)}
    estimator = GaussianNB()
    logs, _ = last_logs(estimator, LABELS, metrics=metrics)
    assert list(logs)[:4] == ["accuracy", "loss", "f1", "zero"]
    assert logs["val_f1"] == pytest.approx(f1_score(LABELS, estimator.predict(X), average="macro"))


class Counting(SGDClassifier):
    """Counts how often it predicts."""

    count = 0

    def decision_function(self, X):
        Counting.count += 1
        return super().decision_function(X)


@pytest.mark.parametrize(
    ("hooks", "validation", "measures", "expected"),
    [
        ((), True, True, 0),
        (("on_train_batch_begin", "on_epoch_begin"), True, True, 0),
        (("on_train_batch_end",), True, True, 4),
        (("on_test_end",), True, True, 4),
        (("on_epoch_end",), True, True, 8),
        (("on_epoch_end",), False, True, 4),
        (("on_epoch_end",), True, False, 4),
        (("on_train_end",), True, True, 8),
    ],
)
def test_predictions_are_made_only_for_those_who_listen(hooks, validation, measures, expected):
    watch, Counting.count = ol.Callback(), 0
    for hook in hooks:
        setattr(watch, hook, lambda *given, logs=None: None)
    given = {"validation": (X, LABELS)} if validation else {}
    ol.fit_sklearn(
        Counting(), X, LABELS, epochs=2, batch_size=20, callbacks=[watch], measure_training=measures, **given
    )
    assert Counting.count == expected


def test_without_predictions_there_is_what_the_estimator_computes():
    logs, _ = last_logs(MLPClassifier((4,)), LABELS, measure_training=False)
    assert list(logs) == ["loss", "val_accuracy", "val_loss"]


def test_outputs():
    found = []
    watch = ol.Callback()
    watch.on_train_batch_end = lambda batch, logs=None: found.append(np.shape(watch.run.outputs))
    watch.on_test_batch_end = lambda batch, logs=None: found.append(np.shape(watch.run.outputs))
    for estimator, y in ((GaussianNB(), LABELS), (SGDClassifier(), TWO), (SGDRegressor(), NUMBERS)):
        ol.fit_sklearn(estimator, X, y, batch_size=32, validation=(X, y), callbacks=[watch])
    assert found == [(32, 3), (8, 3)] * 2 + [(32,), (8,)] * 4
