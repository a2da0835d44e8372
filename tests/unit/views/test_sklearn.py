"""`SklearnView`: weights by name, learning rates, random generators of an estimator's own, and the file."""

import contextlib
import random

import numpy as np
import pytest
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import Perceptron, SGDClassifier, SGDRegressor
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import BernoulliRBM, MLPClassifier

from onlooker.core.errors import AbsentError, DataError
from onlooker.views.sklearn import SklearnView

X = np.random.default_rng(1).random((30, 3))
Y = (X.sum(axis=1) > 1.5).astype(int)


def network(**given):
    return MLPClassifier((4,), **given).partial_fit(X, Y, classes=[0, 1])


def test_weights():
    estimator = network()
    weights = SklearnView(estimator).weights()
    assert list(weights) == ["coefs_.0", "coefs_.1", "intercepts_.0", "intercepts_.1"]
    assert weights["coefs_.0"] is estimator.coefs_[0]
    assert list(SklearnView(estimator).weights("coefs_.*")) == ["coefs_.0", "coefs_.1"]
    assert list(SklearnView(GaussianNB().fit(X, Y)).weights()) == ["theta_", "var_"]
    assert SklearnView(SGDClassifier()).weights() == {}
    both = MultiOutputRegressor(SGDRegressor()).fit(X, X[:, :2])
    assert list(SklearnView(both).weights("*.1.*")) == ["estimators_.1.coef_", "estimators_.1.intercept_"]
    bag = BaggingClassifier(SGDClassifier(), n_estimators=2).fit(X, Y)
    assert "estimators_.0.coef_" in SklearnView(bag).weights()


@pytest.mark.parametrize("kind", [RandomForestClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier])
def test_trees_have_no_weights(kind):
    view = SklearnView(kind())
    assert view.lacks("weights") == "its model is made of trees, not of weights"
    with pytest.raises(AbsentError, match=f"weights cannot be had from a {kind.__name__}: its model is made of trees"):
        view.weights()


@pytest.mark.parametrize(
    ("estimator", "rate"),
    [
        (MLPClassifier(learning_rate_init=0.25), 0.25),
        (network(learning_rate_init=0.25), 0.25),
        (network(solver="sgd", learning_rate_init=0.25), 0.25),
        (SGDClassifier(learning_rate="constant", eta0=0.25), 0.25),
        (SGDRegressor(eta0=0.25), 0.25),
        (Perceptron(), 1.0),
        (BernoulliRBM(learning_rate=0.25), 0.25),
        (HistGradientBoostingClassifier(), 0.1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_learning_rates(estimator, rate):
    view = SklearnView(estimator)
    assert (view.lacks("learning_rate"), view.lacks("set_learning_rate")) == (None, None)
    assert view.get_learning_rate() == rate
    view.set_learning_rate(0.125)
    view.scale_learning_rate(0.5)
    assert view.get_learning_rate() == 0.0625
    assert 0.0625 in estimator.get_params().values()
    if hasattr(estimator, "_optimizer"):
        assert estimator._optimizer.learning_rate_init == estimator._optimizer.learning_rate == 0.0625


def test_the_rate_of_a_schedule():
    estimator = network(solver="sgd", learning_rate="invscaling", learning_rate_init=0.5)
    assert SklearnView(estimator).get_learning_rate() == estimator._optimizer.learning_rate < 0.5


@pytest.mark.parametrize("way", ["partial_fit", "fit"])
def test_a_rate_of_zero_moves_nothing(way):
    estimator = network(warm_start=True, max_iter=1)
    view, before = SklearnView(estimator), [one.copy() for one in estimator.coefs_]
    view.set_learning_rate(0.0)
    assert view.get_learning_rate() == 0.0
    with pytest.warns() if way == "fit" else pytest.MonkeyPatch.context():
        getattr(estimator, way)(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(before, estimator.coefs_, strict=True))
    assert view.get_learning_rate() == 0.0


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (SGDClassifier(), "with learning_rate='optimal' it has no learning rate of yours"),
        (MLPClassifier(solver="lbfgs"), "has no learning rate of yours"),
        (SGDClassifier(learning_rate="pa1"), "with learning_rate='pa1' it has no learning rate of yours"),
        (GaussianNB(), "it has no learning rate"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators_without_a_rate(estimator, reason):
    view = SklearnView(estimator)
    assert reason in view.lacks("learning_rate")
    with pytest.raises(AbsentError, match=reason):
        view.get_learning_rate()
    with pytest.raises(AbsentError, match=reason):
        view.set_learning_rate(0.1)


def test_gradient_boosting_has_a_rate_that_cannot_be_set():
    view = SklearnView(GradientBoostingClassifier())
    assert view.get_learning_rate() == 0.1
    with pytest.raises(AbsentError, match="it scales all its trees by one rate"):
        view.set_learning_rate(0.2)


@pytest.mark.parametrize("value", [-1.0, float("nan"), {"a": 0.1}], ids=repr)
def test_what_is_no_rate(value):
    with pytest.raises(ValueError, match="must be a number of at least 0"):
        SklearnView(MLPClassifier()).set_learning_rate(value)


def test_observing_keeps_the_estimators_own_generators():
    own, inner = np.random.RandomState(3), np.random.RandomState(4)
    view = SklearnView(MultiOutputRegressor(SGDRegressor(random_state=inner)))
    view.model.random_state_ = own
    view.model._rng = np.random.default_rng(5)
    everything = (random.random, np.random.random, own.random_sample, inner.random_sample, view.model._rng.random)

    def drawn():
        return [draw() for draw in everything]

    random.seed(1)
    np.random.seed(1)
    with view.observing():
        expected = drawn()
    with view.observing(seed=7):
        seeded = drawn()
    with contextlib.suppress(ZeroDivisionError), view.observing(seed=7):
        assert drawn() == seeded
        raise ZeroDivisionError
    assert drawn() == expected
    assert not set(seeded) & set(expected)


def test_save_and_load(tmp_path):
    path, view = str(tmp_path / "deep" / "run"), SklearnView(network(random_state=np.random.RandomState(1)))
    random.seed(1)
    np.random.seed(1)
    view.save(path, {"next_epoch": 3})
    expected = [one.copy() for one in view.model.coefs_], random.random(), np.random.random()
    view.model.partial_fit(X, Y)
    view.model.new = 1
    view.model.stop_training = True
    attributes = vars(view.model)
    assert view.load(path) == {"next_epoch": 3}
    assert vars(view.model) is attributes
    assert not hasattr(view.model, "new")
    assert (random.random(), np.random.random()) == expected[1:]
    assert all(np.array_equal(a, b) for a, b in zip(view.model.coefs_, expected[0], strict=True))


def test_a_wish_to_stop_is_not_saved(tmp_path):
    view = SklearnView(network())
    view.model.stop_training = True
    view.save(str(tmp_path / "run"), {})
    view.load(str(tmp_path / "run"))
    assert not hasattr(view.model, "stop_training")


def test_what_cannot_be_pickled(tmp_path):
    with pytest.raises(DataError, match="what goes into it must be picklable"):
        SklearnView(network()).save(str(tmp_path / "run"), {"callbacks": {"Mine": lambda: 1}})
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_another_file_is_unpickled(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("it was run",))

    (tmp_path / "evil").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"was not written by run\.save"):
        SklearnView(network()).load(str(tmp_path / "evil"))
