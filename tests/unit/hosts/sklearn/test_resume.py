"""A training that goes on from a file ends as if it had never been interrupted, whatever the estimator draws from."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from tests.recorder import Recorder
from tests.unit.hosts.sklearn.data import LABELS, X

import onlooker as ol

ESTIMATORS = [
    SGDClassifier(random_state=np.random.RandomState(5)),
    SGDClassifier(),
    MLPClassifier((4,), random_state=0),
    GradientBoostingClassifier(random_state=np.random.RandomState(5), subsample=0.5),
    GradientBoostingClassifier(random_state=0, subsample=0.5),
    HistGradientBoostingClassifier(max_features=0.5, random_state=3),
    RandomForestClassifier(),
]


class Saver(ol.Callback):
    """Saves in a hook of the second epoch and stops."""

    def __init__(self, path, hook):
        self.path, self.hook = path, hook
        setattr(self, hook, self.save)

    def save(self, index, logs=None):
        if self.run.epoch == 1:
            self.run.save(self.path)
            self.run.stop("saved")


class Draws(ol.Callback):
    """Draws where a training begins, which the resumed one does once more."""

    def on_train_begin(self, logs=None):
        np.random.random(3)


def train(estimator, *callbacks, epochs=4, **given):
    return ol.fit_sklearn(
        estimator,
        X,
        LABELS,
        epochs=epochs,
        batch_size=16,
        validation=(X, LABELS),
        callbacks=[Draws(), *callbacks],
        **given,
    )


def numbers_of(estimator):
    score = estimator.predict_proba if hasattr(estimator, "predict_proba") else estimator.decision_function
    return score(X)


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_epoch_begin", "on_test_batch_end"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: f"{type(one).__name__} {one.random_state}"[:30])
def test_as_if_it_had_never_been_interrupted(tmp_path, estimator, hook):
    whole, rest = Recorder(), Recorder()
    np.random.seed(7)
    first = train(clone(estimator), whole)
    np.random.seed(7)
    train(clone(estimator), Saver(tmp_path / "run", hook))
    np.random.seed(99)
    second = train(clone(estimator), rest, resume=tmp_path / "run")
    if hook == "on_test_batch_end":  # the epoch is begun again, with an estimator that has had it once
        assert [event.index for event in rest.of("on_epoch_begin")] == [1, 2, 3]
        return
    begin = rest.events[1].index
    assert begin == (2 if hook == "on_epoch_end" else 1)
    expected = [event for event in whole.events if event.run["epoch"] is not None and event.run["epoch"] >= begin]
    assert [(event.hook, event.index, event.logs, event.run) for event in rest.events[1:]] == [
        (event.hook, event.index, event.logs, event.run) for event in expected
    ]
    assert np.array_equal(numbers_of(first), numbers_of(second))
    assert first.get_params().keys() == second.get_params().keys()
    assert (second.random_state is None) == (estimator.random_state is None)


def test_parameters_after_a_resume(tmp_path):
    estimator = train(SGDClassifier(max_iter=50), Saver(tmp_path / "run", "on_epoch_end"), way="warm_start")
    train(estimator, resume=tmp_path / "run", way="warm_start")
    assert estimator.get_params() == SGDClassifier(max_iter=50).get_params()


def test_a_file_of_something_else(tmp_path):
    (tmp_path / "other").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"other was not written by run.save"):
        train(SGDClassifier(), resume=tmp_path / "other")
    train(SGDClassifier(), Saver(tmp_path / "run", "on_epoch_end"))
    with pytest.raises(ValueError, match="holds a SGDClassifier, which cannot be loaded into a MLPClassifier"):
        train(MLPClassifier(), resume=tmp_path / "run")
    with pytest.raises(FileNotFoundError):
        train(SGDClassifier(), resume=tmp_path / "none")
