"""Training by `fit` with `warm_start`: the same estimator as by one `fit`, its parameters, its own early stopping."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.linear_model import Lasso, LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPClassifier
from tests.recorder import Recorder
from tests.unit.hosts.sklearn.data import LABELS, NUMBERS, X

import onlooker as ol

ENSEMBLES = [
    RandomForestClassifier(random_state=0),
    ExtraTreesClassifier(random_state=0),
    BaggingClassifier(random_state=0),
    GradientBoostingClassifier(random_state=0, subsample=0.5),
    HistGradientBoostingClassifier(random_state=0),
]


def size_of(estimator):
    return "max_iter" if isinstance(estimator, HistGradientBoostingClassifier) else "n_estimators"


@pytest.mark.parametrize("estimator", ENSEMBLES, ids=lambda one: type(one).__name__)
def test_an_ensemble_that_grows_is_that_of_one_fit(estimator):
    theirs = clone(estimator).set_params(**{size_of(estimator): 6}).fit(X, LABELS)
    ours = ol.fit_sklearn(clone(estimator), X, LABELS, epochs=3, per_epoch=2, callbacks=[Recorder()])
    assert np.array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert ours.get_params() == theirs.get_params()
    ol.fit_sklearn(ours, X, LABELS, epochs=2)
    assert ours.get_params()[size_of(estimator)] == 8


def test_an_epoch_is_a_round():
    seen = Recorder()
    ol.fit_sklearn(
        GradientBoostingClassifier(), X, LABELS, epochs=3, batch_size=16, validation=(X, LABELS), callbacks=[seen]
    )
    test = [("on_test_begin", None)]
    test += [(f"on_test_batch_{end}", index) for index in range(3) for end in ("begin", "end")]
    test += [("on_test_end", None)]
    epochs = [call for n in range(3) for call in (("on_epoch_begin", n), *test, ("on_epoch_end", n))]
    assert seen.check().calls == [("on_train_begin", None), *epochs, ("on_train_end", None)]
    assert [event.run["step"] for event in seen.of("on_epoch_end")] == [1, 2, 3]


def test_a_network_goes_on_from_epoch_to_epoch():
    ours, theirs = (MLPClassifier((4,), random_state=0, shuffle=False) for _ in range(2))
    ol.fit_sklearn(ours, X, LABELS, epochs=3, way="warm_start", per_epoch=2)
    theirs.set_params(warm_start=True, max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            theirs.fit(X, LABELS)
    assert all(np.array_equal(a, b) for a, b in zip(ours.coefs_, theirs.coefs_, strict=True))
    assert ours.get_params() == MLPClassifier((4,), random_state=0, shuffle=False).get_params()


def test_parameters_are_put_back_after_an_error():
    class Broken(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            raise ValueError("no")

    estimator = SGDClassifier(max_iter=77)
    with pytest.raises(ValueError, match="no"):
        ol.fit_sklearn(estimator, X, LABELS, way="warm_start", callbacks=[Broken()])
    assert estimator.get_params() == SGDClassifier(max_iter=77).get_params()
    forest = RandomForestClassifier(10)
    with pytest.raises(ValueError, match="no"):
        ol.fit_sklearn(forest, X, LABELS, callbacks=[Broken()])
    assert (forest.n_estimators, forest.warm_start, len(forest.estimators_)) == (1, False, 1)
    ol.fit_sklearn(RandomForestClassifier(10), X, LABELS, epochs=0)


def test_it_is_silent_on_convergence_and_on_nothing_else():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ol.fit_sklearn(LogisticRegression(), X, LABELS, epochs=2)
    with pytest.warns(UserWarning, match="OOB"):
        ol.fit_sklearn(RandomForestClassifier(oob_score=True), X, LABELS)


def test_a_solver_that_has_converged():
    seen = Recorder()
    estimator = ol.fit_sklearn(LogisticRegression(), X, LABELS, epochs=500, callbacks=[seen])
    assert (seen.check().run.outcome, seen.run.reason) == ("stopped", "LogisticRegression has converged")
    assert seen.run.stopped_by is None
    assert 5 < seen.run.epoch < 100
    assert estimator.coef_ == pytest.approx(LogisticRegression(max_iter=500).fit(X, LABELS).coef_, abs=0.01)


@pytest.mark.parametrize(
    ("estimator", "y"), [(Lasso(alpha=0.01), NUMBERS), (GaussianMixture(2, random_state=0), None)], ids=["Lasso", "GMM"]
)
def test_others_that_converge(estimator, y):
    seen = Recorder()
    ol.fit_sklearn(estimator, X, y, epochs=500, callbacks=[seen])
    assert seen.run.reason == f"{type(estimator).__name__} has converged"
    assert 1 < seen.run.epoch < 400


@pytest.mark.slow
@pytest.mark.parametrize("per_epoch", [1, 4])
def test_a_boosters_own_early_stopping(per_epoch):
    settings = {"early_stopping": True, "n_iter_no_change": 3, "random_state": 0}
    rows, labels = np.tile(X, (5, 1)), np.tile(LABELS, 5)
    labels[::7] = (labels[::7] + 1) % 3
    theirs = HistGradientBoostingClassifier(max_iter=200, **settings).fit(rows, labels)
    assert theirs.n_iter_ < 200
    seen = Recorder()
    ours = HistGradientBoostingClassifier(**settings)
    ol.fit_sklearn(ours, rows, labels, epochs=200, per_epoch=per_epoch, callbacks=[seen])
    assert np.array_equal(ours.validation_score_, theirs.validation_score_)
    assert seen.check().run.outcome == "stopped"
    expected = f"HistGradientBoostingClassifier has stopped by itself after {theirs.n_iter_} rounds"
    assert seen.run.reason.startswith(expected)


def test_early_stopping_within_one_fit():
    booster = GradientBoostingClassifier(n_iter_no_change=2, tol=0.1, random_state=0)
    theirs = clone(booster).set_params(n_estimators=20).fit(X, LABELS)
    seen = Recorder()
    ol.fit_sklearn(booster, X, LABELS, epochs=9, per_epoch=20, callbacks=[seen])
    assert (seen.check().run.outcome, seen.run.epoch) == ("stopped", 0)
    assert booster.n_estimators == len(booster.estimators_) == len(theirs.estimators_) < 20


@pytest.mark.parametrize(
    ("estimator", "is_vain"),
    [
        (GradientBoostingClassifier(n_iter_no_change=2), True),
        (GradientBoostingClassifier(), False),
        (SGDClassifier(early_stopping=True), True),
        (SGDClassifier(), False),
        (HistGradientBoostingClassifier(early_stopping=True), False),
    ],
    ids=repr,
)
def test_early_stopping_that_would_be_in_vain(estimator, is_vain):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ol.fit_sklearn(estimator, X, LABELS, epochs=1, way="warm_start")
    assert [one.category for one in caught] == [ol.OnlookerWarning] * is_vain
    assert all("it will never stop. Let a callback stop, or raise per_epoch" in str(one.message) for one in caught)


def test_a_stop_of_ours():
    class Stop(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 1:
                self.run.stop("enough")

    booster, seen = GradientBoostingClassifier(), Recorder()
    ol.fit_sklearn(booster, X, LABELS, epochs=9, callbacks=[seen, Stop()])
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("stopped", "enough", "Stop")
    assert booster.n_estimators == len(booster.estimators_) == 2


def test_without_targets():
    assert len(ol.fit_sklearn(IsolationForest(), X, epochs=3).estimators_) == 3


@pytest.mark.parametrize(
    ("make", "is_vain"),
    [
        (ol.callbacks.History, False),
        (ol.callbacks.Progress, False),
        (ol.callbacks.Doctor, False),
        (lambda: ol.callbacks.Inside("weights"), True),
    ],
    ids=["History", "Progress", "Doctor", "Inside"],
)
def test_who_is_told_that_there_are_no_batches(make, is_vain):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ol.fit_sklearn(LogisticRegression(), X, LABELS, epochs=3, callbacks=[make()])
    caught = [str(one.message) for one in caught if "never called" in str(one.message)]
    assert len(caught) == is_vain
    assert all(one.startswith("Inside.on_train_batch_begin and on_train_batch_end are never") for one in caught)
