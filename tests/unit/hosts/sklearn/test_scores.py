"""The user's metrics: of an epoch and of a validation what sklearn.metrics says over all rows, of a batch its own."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import accuracy_score, f1_score, make_scorer, r2_score, roc_auc_score, silhouette_score
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neural_network import MLPClassifier
from tests.recorder import Recorder
from tests.unit.hosts.sklearn.data import LABELS, NUMBERS, X

import onlooker as ol
from onlooker.core.errors import LogError

RARE = (np.arange(40) % 7 == 3).astype(int)
"""Six rows of forty."""
F1 = {"f1": f1_score}


class Predictions(ol.Callback):
    """Keeps targets and predictions of each batch, and the logs."""

    def __init__(self):
        self.train, self.test, self.logs, self.own, self.epochs = [], [], [], [], []

    def pair(self):
        return self.run.targets, self.model.predict(self.run.inputs)

    def on_epoch_begin(self, epoch, logs=None):
        self.train, self.test, self.logs, self.own = [], [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.train.append(self.pair())
        self.logs.append(dict(logs))
        self.own.append(dict(logs.batch))

    def on_test_batch_end(self, batch, logs=None):
        self.test.append((*self.pair(), logs.batch["f1"]))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(dict(logs))


def score_all(metric, pairs):
    return metric(np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs]))


@pytest.mark.parametrize(
    "estimator", [SGDClassifier(random_state=0), GaussianNB(), MLPClassifier((4,), random_state=0)], ids=repr
)
def test_f1_of_a_rare_label_in_batches_of_which_the_last_is_smaller(estimator):
    estimator, seen = clone(estimator), Predictions()
    given = {"batch_size": 16, "metrics": {**F1, "accuracy_score": accuracy_score}}
    ol.fit_sklearn(estimator, X, RARE, epochs=3, validation=(X, RARE), callbacks=[seen], **given)
    logs = seen.epochs[-1]
    assert logs["f1"] == score_all(f1_score, seen.train)
    assert logs["val_f1"] == f1_score(RARE, estimator.predict(X))
    assert logs["accuracy"] == pytest.approx(logs["accuracy_score"]), "they are of the same predictions"
    assert [own["f1"] for own in seen.own] == [f1_score(*pair, zero_division=0.0) for pair in seen.train]
    assert [own for *_, own in seen.test] == [f1_score(*pair, zero_division=0.0) for *pair, _ in seen.test]


def test_the_mean_over_batches_is_another_number():
    seen = Predictions()
    ol.fit_sklearn(
        SGDClassifier(random_state=0), X, RARE, batch_size=16, metrics=F1, validation=(X, RARE), callbacks=[seen]
    )
    sizes, own = [16, 16, 8], [one["f1"] for one in seen.own]
    assert [logs["f1"] for logs in seen.logs] == pytest.approx(
        [np.average(own[: n + 1], weights=sizes[: n + 1]) for n in range(3)]
    )
    assert abs(seen.logs[-1]["f1"] - seen.epochs[0]["f1"]) > 0.01
    assert abs(np.average([own for *_, own in seen.test], weights=sizes) - seen.epochs[0]["val_f1"]) > 0.01


def test_r2():
    estimator = SGDRegressor(random_state=0)
    seen = Recorder()
    ol.fit_sklearn(
        estimator,
        X,
        NUMBERS,
        epochs=3,
        batch_size=16,
        metrics={"r2": r2_score},
        validation=(X, NUMBERS),
        callbacks=[seen],
    )
    assert seen.last("on_epoch_end").logs["val_r2"] == r2_score(NUMBERS, estimator.predict(X))
    assert seen.last("on_test_end").logs["r2"] == r2_score(NUMBERS, estimator.predict(X))


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_sample_weights_are_of_the_training_alone(way):
    seen, weight = Predictions(), 1.0 + 9.0 * RARE
    estimator = SGDClassifier(random_state=0)
    ol.fit_sklearn(
        estimator, X, RARE, epochs=2, metrics=F1, sample_weight=weight, validation=(X, RARE), callbacks=[seen], way=way
    )
    predicted = estimator.predict(X)
    assert seen.epochs[-1]["f1"] == seen.epochs[-1]["val_f1"] == f1_score(RARE, predicted)
    assert f1_score(RARE, predicted) != f1_score(RARE, predicted, sample_weight=weight)


def test_a_metric_that_single_batches_leave_undefined():
    order = np.argsort(RARE, kind="stable")  # the first two batches have one label alone
    seen = Predictions()
    seen.on_test_batch_end = lambda batch, logs=None: None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ol.fit_sklearn(
            BernoulliNB(),
            X[order],
            RARE[order],
            batch_size=16,
            shuffle=False,
            metrics={"auc": roc_auc_score},
            validation=(X[order], RARE[order]),
            callbacks=[seen],
        )
    assert ["auc" in own for own in seen.own] == [False, False, True]
    assert seen.epochs[0]["auc"] == score_all(roc_auc_score, seen.train)
    assert 0.0 <= seen.epochs[0]["val_auc"] <= 1.0


def test_an_epoch_that_was_stopped_in_its_middle():
    class Stop(Predictions):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if batch == 1:
                self.run.stop("enough")

    seen = Stop()
    ol.fit_sklearn(GaussianNB(), X, RARE, epochs=2, batch_size=16, metrics=F1, callbacks=[seen])
    assert len(seen.train) == 2
    assert seen.epochs[0]["f1"] == score_all(f1_score, seen.train)


class Small(RandomForestClassifier):
    """Predicts a few rows at once only."""

    def predict(self, X):
        assert len(X) <= 16
        return super().predict(X)

    def predict_proba(self, X):
        assert len(X) <= 16
        return super().predict_proba(X)


def test_warm_start_predicts_in_batches_and_scores_once():
    forest = Small(max_depth=3, random_state=0)
    seen = Recorder()
    ol.fit_sklearn(forest, X, RARE, epochs=3, batch_size=16, metrics=F1, validation=(X, RARE), callbacks=[seen])
    logs, trees = (
        seen.last("on_epoch_end").logs,
        np.concatenate([forest.predict(X[:16]), forest.predict(X[16:32]), forest.predict(X[32:])]),
    )
    assert logs["f1"] == logs["val_f1"] == f1_score(RARE, trees) > 0
    assert logs["loss"] == pytest.approx(logs["val_loss"])
    assert logs["accuracy"] == pytest.approx(accuracy_score(RARE, trees))


def test_the_order_of_names_does_not_depend_on_who_listens():
    def names(*hooks):
        watch, found = ol.Callback(), []
        watch.on_epoch_end = lambda epoch, logs: found.extend(logs)
        for hook in hooks:
            setattr(watch, hook, lambda batch, logs=None: None)
        metrics = {"zero": lambda y, found: 0, "f1": f1_score}
        ol.fit_sklearn(GaussianNB(), X, RARE, metrics=metrics, validation=(X, RARE), callbacks=[watch])
        return found

    expected = ["accuracy", "loss", "zero", "f1", "val_accuracy", "val_loss", "val_zero", "val_f1"]
    assert names() == names("on_train_batch_end", "on_test_batch_end") == expected


def test_a_metric_may_take_the_place_of_accuracy():
    seen = Recorder()
    ol.fit_sklearn(
        GaussianNB(), X, RARE, batch_size=16, metrics={"accuracy": lambda y, found: len(found)}, callbacks=[seen]
    )
    assert [event.batch["accuracy"] for event in seen.of("on_train_batch_end")] == [16, 16, 8]
    assert seen.last("on_epoch_end").logs["accuracy"] == 40


def test_without_targets():
    means, seen, given = MiniBatchKMeans(3, random_state=0), Recorder(), []

    def spread(y, found):
        given.append(y)
        return silhouette_score(X[: len(found)], found)

    ol.fit_sklearn(means, X, metrics={"spread": spread}, validation=(X, None), callbacks=[seen])
    assert seen.last("on_epoch_end").logs["val_spread"] == silhouette_score(X, means.predict(X))
    assert {type(y) for y in given} == {type(None)}


@pytest.mark.parametrize(
    "hooks", [("on_train_batch_end", "on_epoch_end"), ("on_epoch_end",)], ids=["batches", "epochs"]
)
@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros(3), r"metrics\['f'\] returned an array of shape \(3,\); expected a single number"),
        ([[1, 2], [3, 4]], r"returned an array of shape \(2, 2\)"),
        (None, r"metrics\['f'\] returned None, a NoneType; expected"),
        ("0.5", r"returned '0.5', a str"),
    ],
    ids=["array", "list", "nothing", "word"],
)
def test_what_is_no_number(hooks, result, message):
    watch = ol.Callback()
    for hook in hooks:
        setattr(watch, hook, lambda index, logs=None: None)
    with pytest.raises(LogError, match=message):
        ol.fit_sklearn(GaussianNB(), X, LABELS, metrics={"f": lambda y, found: result}, callbacks=[watch])


def test_a_metric_that_raises_is_named():
    for error in (ValueError, KeyError):

        def fail(y, found, error=error):
            raise error("no") from OSError("why")

        with pytest.raises(error, match="no") as caught:
            ol.fit_sklearn(GaussianNB(), X, LABELS, metrics={"mine": fail}, callbacks=[Recorder()])
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__notes__ == ["in metrics['mine'], called with the targets and the predictions of 40 rows"]
    with pytest.raises(ValueError, match="Target is multiclass but average='binary'"):
        ol.fit_sklearn(GaussianNB(), X, LABELS, metrics=F1, batch_size=16, callbacks=[Recorder()])


@pytest.mark.parametrize("result", [True, np.bool_(True), np.float32(1), np.array(1), np.array([1.0])], ids=repr)
def test_numbers_of_many_kinds(result):
    seen = Recorder()
    ol.fit_sklearn(GaussianNB(), X, LABELS, metrics={"f": lambda y, found: result}, callbacks=[seen])
    value = seen.last("on_epoch_end").logs["f"]
    assert (type(value), value) == (float, 1.0)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"f1": make_scorer(f1_score)}, r"metrics\['f1'\]=make_scorer.* is a scorer, .* pass the function"),
        ({"f1": "f1"}, r"metrics\['f1'\]='f1' must be a function of the targets and the predictions, for example"),
        ({"f1": Recorder}, "must be a function"),
        ({1: f1_score}, "metrics has 1 for a name; expected a word"),
    ],
    ids=["scorer", "word", "class", "number as name"],
)
def test_what_is_no_metric(metrics, message):
    with pytest.raises(TypeError, match=message):
        ol.fit_sklearn(GaussianNB(), X, RARE, metrics=metrics)
