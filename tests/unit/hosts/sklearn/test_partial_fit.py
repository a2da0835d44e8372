"""Training by `partial_fit`: the same estimator as by hand, batches and their order, labels, Ctrl-C."""

import keras
import numpy as np
import pytest
from scipy.sparse import coo_matrix
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import IncrementalPCA
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from tests.recorder import Recorder
from tests.unit.hosts.sklearn.data import LABELS, NUMBERS, X

import onlooker as ol
from onlooker.core.errors import AttachError, DataError, LogError


def batches_of(estimator, **given):
    """Train for an epoch and return the inputs of each batch, as callbacks see them."""
    found = []
    watch = ol.Callback()
    watch.on_train_batch_end = lambda batch, logs=None: found.append(np.array(watch.run.inputs))
    ol.fit_sklearn(estimator, **given, callbacks=[watch])
    return found


def test_the_same_estimator_as_by_hand():
    ours, theirs = SGDClassifier(random_state=0), SGDClassifier(random_state=0)
    assert ol.fit_sklearn(ours, X, LABELS, epochs=3, batch_size=16, shuffle=False, callbacks=[Recorder()]) is ours
    for _ in range(3):
        for begin in range(0, len(X), 16):
            theirs.partial_fit(X[begin : begin + 16], LABELS[begin : begin + 16], classes=[0, 1, 2])
    assert np.array_equal(ours.coef_, theirs.coef_)
    assert np.array_equal(ours.intercept_, theirs.intercept_)


def test_without_a_batch_size_an_epoch_is_one_batch_of_the_data_as_they_are():
    seen = []
    watch = ol.Callback()
    watch.on_train_batch_end = lambda batch, logs=None: seen.append((batch, watch.run.inputs is X))
    ol.fit_sklearn(SGDRegressor(), X, NUMBERS, epochs=2, callbacks=[watch])
    assert seen == [(0, True), (0, True)]


def test_the_order_of_the_rows():
    def rows(**given):
        return np.concatenate(batches_of(SGDRegressor(), X=X, y=NUMBERS, batch_size=16, **given))

    assert np.array_equal(rows(shuffle=False), X)
    assert not np.array_equal(rows(), X)
    assert np.array_equal(np.sort(rows(), axis=0), np.sort(X, axis=0))
    assert np.array_equal(rows(seed=5), rows(seed=5))
    assert not np.array_equal(rows(seed=5), rows(seed=6))
    first, second = np.split(rows(epochs=2), 2)
    assert not np.array_equal(first, second)


def test_the_order_draws_from_a_generator_of_its_own():
    np.random.seed(0)
    expected = np.random.random(3)
    np.random.seed(0)
    ol.fit_sklearn(SGDRegressor(random_state=0), X, NUMBERS, epochs=2, batch_size=16)
    assert np.array_equal(np.random.random(3), expected)


def test_inputs_and_targets_are_shuffled_alike():
    pairs = []
    watch = ol.Callback()
    watch.on_train_batch_end = lambda batch, logs=None: pairs.append((watch.run.inputs, watch.run.targets))
    ol.fit_sklearn(SGDRegressor(), X, X[:, 0], batch_size=16, callbacks=[watch])
    assert all(np.array_equal(inputs[:, 0], targets) for inputs, targets in pairs)


def test_labels_that_the_first_batch_lacks():
    order = np.argsort(LABELS)
    estimator = ol.fit_sklearn(SGDClassifier(), X[order], LABELS[order], batch_size=8, shuffle=False)
    assert list(estimator.classes_) == [0, 1, 2]


def test_labels_that_the_data_lack_and_words_as_labels():
    words = np.array(["a", "b", "c"])[LABELS]
    estimator = ol.fit_sklearn(SGDClassifier(), X, words, classes=["d", "a", "b", "c"], callbacks=[Recorder()])
    assert list(estimator.classes_) == ["a", "b", "c", "d"]


def test_an_estimator_goes_on_with_the_labels_that_it_knows():
    estimator = ol.fit_sklearn(SGDClassifier(), X, LABELS)
    ol.fit_sklearn(estimator, X[LABELS < 2], LABELS[LABELS < 2])
    assert list(estimator.classes_) == [0, 1, 2]
    with pytest.raises(DataError, match="y has labels that are not in classes: 3"):
        ol.fit_sklearn(estimator, X, LABELS + 1)


@pytest.mark.parametrize("table", ["sparse", "data frame", "list"])
def test_the_kinds_of_tables(table):
    pandas = pytest.importorskip("pandas") if table == "data frame" else None
    kinds = {"sparse": coo_matrix, "list": np.ndarray.tolist, "data frame": pandas and pandas.DataFrame}
    ours, theirs = (MLPRegressor(hidden_layer_sizes=(4,), random_state=0) for _ in range(2))
    table, given = kinds[table](X), {"epochs": 2, "batch_size": 16}
    ol.fit_sklearn(theirs, X, NUMBERS, **given)
    ol.fit_sklearn(ours, table, list(NUMBERS), validation=(table, NUMBERS), callbacks=[Recorder()], **given)
    assert ours.coefs_[0] == pytest.approx(theirs.coefs_[0])


def test_estimators_without_targets():
    seen = Recorder()
    pca = ol.fit_sklearn(IncrementalPCA(2), X, epochs=1, batch_size=16, validation=(X, None), callbacks=[seen])
    assert pca.components_.shape == (2, 4)
    assert seen.check().last("on_epoch_end").logs == {}
    words = ol.fit_sklearn(HashingVectorizer(), ["aa bb", "cc", "dd"], batch_size=2, callbacks=[Recorder()])
    assert words.transform(["aa"]).nnz == 1
    means = ol.fit_sklearn(MiniBatchKMeans(3, random_state=0), X, epochs=2, batch_size=20)
    assert means.cluster_centers_.shape == (3, 4)


def test_several_targets_and_labels_that_are_handed_on():
    pairs = np.stack([LABELS, LABELS % 2], axis=1)
    seen = Recorder()
    both = ol.fit_sklearn(MultiOutputClassifier(SGDClassifier()), X, pairs, batch_size=16, callbacks=[seen])
    assert [list(one.classes_) for one in both.estimators_] == [[0, 1, 2], [0, 1]]
    assert "estimators_.1.coef_" in seen.run.weights()
    ol.fit_sklearn(SelectFromModel(SGDClassifier()), X, LABELS, classes=[0, 1, 2])
    ol.fit_sklearn(MLPClassifier((4,)), X, (pairs > 0).astype(int), batch_size=16, callbacks=[Recorder()])


def test_sample_weights():
    weight = (LABELS < 2).astype(float)
    estimator = ol.fit_sklearn(MultinomialNB(), np.abs(X), LABELS, batch_size=16, sample_weight=weight)
    assert estimator.class_count_.tolist() == [np.sum(LABELS == 0), np.sum(LABELS == 1), 0]


class Interrupted(MLPClassifier):
    """A network to which Ctrl-C comes while it computes."""

    def _backprop(self, *given):
        if self.t_ >= 2 * len(X):
            raise KeyboardInterrupt
        return super()._backprop(*given)


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_ctrl_c_which_a_network_catches_itself(way):
    seen = Recorder()
    with pytest.raises(KeyboardInterrupt):
        ol.fit_sklearn(Interrupted((4,)), X, LABELS, epochs=4, way=way, callbacks=[seen])
    assert (seen.check().run.outcome, seen.run.epoch) == ("interrupted", 2)
    assert seen.hooks[-1] == "on_train_end"


def test_what_the_estimator_raises():
    seen = Recorder()
    with pytest.raises(ValueError, match="early_stopping"):
        ol.fit_sklearn(SGDClassifier(early_stopping=True), X, LABELS, callbacks=[seen])
    assert seen.check().run.outcome == "failed"
    assert seen.hooks[-1] == "on_train_end"


def test_a_metric_that_is_no_number():
    seen = Recorder()
    with pytest.raises(LogError, match=r"metrics\['all'\] returned an array of shape \(16,\)"):
        ol.fit_sklearn(
            SGDRegressor(), X, NUMBERS, batch_size=16, metrics={"all": lambda y, found: y - found}, callbacks=[seen]
        )
    assert (seen.check().run.outcome, seen.hooks[-1]) == ("failed", "on_train_end")


def test_keras_own_callbacks():
    stopping = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1.0)
    slower = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=1.0, factor=0.5)
    seen, estimator = Recorder(), SGDRegressor()
    ol.fit_sklearn(estimator, X, NUMBERS / 10, epochs=9, callbacks=[stopping, slower, seen])
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "stopped by EarlyStopping")
    assert estimator.eta0 == 0.005
    with pytest.raises(AttachError, match=r"needs the weights: .* works for a PyTorch module only"):
        ol.fit_sklearn(estimator, X, NUMBERS, callbacks=[keras.callbacks.EarlyStopping(restore_best_weights=True)])


def test_a_flag_is_not_left_behind():
    class Stop(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = True

    estimator = ol.fit_sklearn(SGDRegressor(), X, NUMBERS, epochs=3, callbacks=[Stop()])
    assert not hasattr(estimator, "stop_training")
