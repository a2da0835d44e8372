"""What cannot work is refused before anything is trained, and the message says what would."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.recorder import Recorder
from tests.unit.hosts.sklearn.data import LABELS, NUMBERS, X

import onlooker as ol
from onlooker.core.errors import AttachError, DataError

PIPELINE = make_pipeline(StandardScaler(), SGDClassifier())


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LinearRegression(), "neither a method partial_fit nor a parameter warm_start.*estimators that work: SGD"),
        (PIPELINE, r"Pipeline has neither .* fit_sklearn\(pipeline\[-1\], pipeline\[:-1\]"),
        (GridSearchCV(SGDClassifier(), {}), "GridSearchCV has neither .* search first"),
        (GaussianProcessClassifier(), "has warm_start, but neither n_estimators nor max_iter"),
        (LogisticRegression(solver="liblinear"), "begins anew in each fit with solver='liblinear'"),
        (SGDClassifier, r"SGDClassifier is a class; pass an estimator: SGDClassifier\(\)"),
        (7, "7 is no estimator of scikit-learn: a int has no get_params"),
    ],
    ids=["neither", "pipeline", "search", "nothing to add to", "liblinear", "class", "number"],
)
def test_estimators_that_cannot_be_trained_in_epochs(estimator, message):
    seen = Recorder()
    with pytest.raises(TypeError, match=message):
        ol.fit_sklearn(estimator, X, LABELS, callbacks=[seen])
    assert seen.events == []


def test_the_way_that_was_asked_for():
    with pytest.raises(TypeError, match="LogisticRegression has no partial_fit"):
        ol.fit_sklearn(LogisticRegression(), X, LABELS, way="partial_fit")
    with pytest.raises(ValueError, match="must be 'partial_fit' or 'warm_start'"):
        ol.fit_sklearn(LogisticRegression(), X, LABELS, way="warm")
    lbfgs = Recorder()
    ol.fit_sklearn(MLPClassifier((4,), solver="lbfgs"), X, LABELS, callbacks=[lbfgs])  # there it has no partial_fit
    assert lbfgs.run.host.name == "scikit-learn (warm_start)"


def test_the_last_step_of_a_pipeline():
    last = ol.fit_sklearn(PIPELINE[-1], PIPELINE[:-1].fit_transform(X), LABELS, epochs=3, batch_size=16)
    assert PIPELINE.predict(X).shape == LABELS.shape
    assert PIPELINE[-1] is last


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"epochs": -1}, ValueError, "epochs=-1 must be at least 0"),
        ({"epochs": 1.5}, TypeError, "epochs=1.5 is a float"),
        ({"batch_size": 0}, ValueError, "batch_size=0 must be at least 1"),
        ({"per_epoch": 0}, ValueError, "per_epoch=0"),
        ({"per_epoch": 1}, ValueError, "per_epoch=1 is for warm_start, but SGDClassifier is trained by partial_fit"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"X": X[:39]}, DataError, "X has 39 rows, but y has 40"),
        ({"X": X[:0], "y": LABELS[:0]}, DataError, "X has no row"),
        ({"X": 3.0}, DataError, "X=3.0 has no rows"),
        ({"X": None}, DataError, "X=None has no rows"),
        ({"X": [[1, 2], [3]]}, DataError, "is no table: its rows must all have as many columns"),
        ({"epochs": None}, TypeError, "epochs=None is a NoneType, but must be a whole number"),
        ({"epochs": True}, TypeError, "epochs=True is a bool"),
        ({"shuffle": "no"}, TypeError, "shuffle='no' is a str, but must be True or False"),
        ({"measure_training": 2}, TypeError, "measure_training=2 is a int"),
        ({"resume": True}, TypeError, "resume=True must be the path of a file that run.save has written"),
        ({"y": NUMBERS}, DataError, "y holds no labels, which SGDClassifier needs as a classifier: .*continuous"),
        ({"y": None}, DataError, "SGDClassifier is a classifier and needs labels"),
        ({"y": 3}, DataError, "y has none"),
        ({"classes": [0, 1]}, DataError, r"y has labels that are not in classes: 2; the classes are \[0, 1\]"),
        ({"sample_weight": [1.0]}, DataError, "sample_weight has 1"),
        ({"validation": X}, DataError, "must be a pair of inputs and targets, not a ndarray"),
        ({"validation": (X,)}, DataError, "not a tuple of 1"),
        ({"validation": (X, LABELS[:3])}, DataError, "validation's X has 40 rows, but validation's y has 3"),
        ({"validation": (X, None)}, DataError, "validation has no targets"),
        ({"validation": (X[:, :3], LABELS)}, DataError, r"of shape \(4,\), but validation's X of \(3,\)"),
        ({"validation": (X, LABELS + 1)}, DataError, "validation's y has labels that are not in .*: 3"),
        ({"metrics": [len]}, TypeError, "must be a dict of functions"),
        ({"metrics": len}, TypeError, r"must be a dict of functions by name: metrics=\{'len': len\}"),
        ({"metrics": {"a": 1}}, TypeError, r"metrics\['a'\]=1 must be a function"),
        ({"metrics": {"loss": len}}, ValueError, "may not be named 'loss'"),
        ({"callbacks": [print]}, AttachError, "must be an onlooker.Callback"),
        ({"callbacks": Recorder()}, AttachError, r"callbacks=\[\.\.\.\]"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments(given, kind, message):
    seen, estimator = Recorder(), SGDClassifier()
    with pytest.raises(kind, match=message):
        ol.fit_sklearn(estimator, **{"X": X, "y": LABELS, "callbacks": [seen], **given})
    assert seen.events == []
    assert not hasattr(estimator, "coef_")


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"shuffle": True}, ValueError, "shuffle=True is for partial_fit, but LogisticRegression is trained by warm_"),
        ({"shuffle": "no"}, TypeError, "shuffle='no' is a str"),
        ({"seed": 0}, ValueError, "seed=0 is for partial_fit, .* its random_state"),
        ({"classes": [0, 1, 2, 3, 4]}, DataError, "y has no row with 3, 4, which is among the classes; .*from y alone"),
        ({"classes": [0, 1]}, DataError, "y has labels that are not in classes: 2"),
        ({"validation": (X, LABELS + 1)}, DataError, "validation's y has labels that are not in .*: 3"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_of_warm_start(given, kind, message):
    seen, estimator = Recorder(), LogisticRegression()
    with pytest.raises(kind, match=message):
        ol.fit_sklearn(estimator, X, LABELS, callbacks=[seen], **given)
    assert seen.events == []
    ol.fit_sklearn(estimator, X, LABELS, shuffle=False, batch_size=16, classes=[2, 1, 0], callbacks=[seen])


def test_labels_that_an_earlier_fit_has_had():
    forest = RandomForestClassifier(2).fit(X, LABELS)
    with pytest.raises(DataError, match="y has no row with 2"):
        ol.fit_sklearn(forest, X, LABELS % 2)


@pytest.mark.parametrize("estimator", [SGDRegressor(), Lasso()], ids=repr)
def test_regressors_without_targets(estimator):
    seen = Recorder()
    with pytest.raises(DataError, match="is a regressor and needs targets; pass them as y"):
        ol.fit_sklearn(estimator, X, callbacks=[seen])
    with pytest.raises(DataError, match="validation has no targets, but a regressor needs them"):
        ol.fit_sklearn(estimator, X, NUMBERS, validation=(X, None), callbacks=[seen])
    assert seen.events == []


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_no_epoch_at_all(way):
    seen, estimator = Recorder(), SGDClassifier()
    ol.fit_sklearn(estimator, X, LABELS, epochs=0, validation=(X, LABELS), callbacks=[seen], way=way)
    assert seen.check().hooks == ["on_train_begin", "on_train_end"]
    assert not hasattr(estimator, "coef_")


def test_a_yes_of_numpy():
    ol.fit_sklearn(SGDClassifier(), X, LABELS, shuffle=np.bool_(False), epochs=np.int64(1), batch_size=16)


def test_classes_and_weights_where_nobody_takes_them():
    with pytest.raises(DataError, match=r"classes=.* is for classifiers, and SGDRegressor is none"):
        ol.fit_sklearn(SGDRegressor(), X, NUMBERS, classes=[0, 1])
    with pytest.raises(DataError, match="Unweighted takes no sample_weight"):
        ol.fit_sklearn(Unweighted(), X, sample_weight=np.ones(40))
    with pytest.raises(TypeError, match="metrics need predictions, and StandardScaler has no predict"):
        ol.fit_sklearn(StandardScaler(), X, metrics={"a": len})


class Unweighted(StandardScaler):
    def partial_fit(self, X, y=None):
        return super().partial_fit(X, y)
