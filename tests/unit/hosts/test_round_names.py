"""How the metrics of a boosting round are sorted and named."""

import warnings

import numpy as np
import pytest

from onlooker.core.errors import AttachError, OnlookerWarning
from onlooker.hosts.round_names import RoundNames

RESULTS = {"train": {"auc": 0.9, "logloss": 0.4}, "eval": {"auc": 0.8, "logloss": 0.5}, "more": {"logloss": 0.6}}


def test_the_first_of_which_less_is_better_is_the_loss():
    training, validation, others = RoundNames().sort(RESULTS)
    assert (training, validation, others) == (
        {"auc": 0.9, "loss": 0.4},
        {"auc": 0.8, "loss": 0.5},
        {"more_loss": 0.6},
    )


def test_what_the_user_names_goes_first():
    training, validation, others = RoundNames("eval", "more", "auc").sort(RESULTS, training="train")
    assert (training, validation) == ({"loss": 0.8, "logloss": 0.5}, {"logloss": 0.6})
    assert others == {"train_loss": 0.9, "train_logloss": 0.4}


def test_what_the_booster_says_goes_before_the_usual_names():
    assert RoundNames().sort(RESULTS, training="eval")[0]["auc"] == 0.8
    assert RoundNames().sort(RESULTS, training="not evaluated")[0]["auc"] == 0.9
    assert RoundNames().sort({"a": {"auc": 1.0}})[:2] == ({}, {"auc": 1.0})


def test_a_booster_that_says_what_is_better():
    assert RoundNames().sort(RESULTS, lambda metric: metric == "logloss")[0] == {"loss": 0.9, "logloss": 0.4}


def test_what_is_known_of_one_metric_is_known_beside_the_usual_names():
    results = {"eval": {"auc": 0.8, "profit": 3.0, "logloss": 0.5}}
    assert RoundNames().sort(results, {"profit"})[1] == {"auc": 0.8, "profit": 3.0, "loss": 0.5}


@pytest.mark.parametrize("metric", ["auc", "ndcg@5", "map@3-", "NDCG:top=3", "accuracy", "f1_score"])
def test_metrics_of_which_more_is_better(metric):
    assert RoundNames().sort({"eval": {metric: 0.5, "error": 0.2}})[1] == {metric: 0.5, "loss": 0.2}


@pytest.mark.parametrize("value", ["0.5", None, object(), np.zeros(2)], ids=["word", "none", "object", "array"])
def test_what_is_no_number_is_left_out_with_one_warning(value):
    names = RoundNames()
    with pytest.warns(OnlookerWarning, match="'eval_odd' was logged by the trainer as .* no number"):
        assert names.sort({"eval": {"logloss": 0.5, "odd": value}})[1] == {"loss": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names.sort({"eval": {"logloss": 0.5, "odd": value}})[1] == {"loss": 0.5}


@pytest.mark.parametrize("value", [1, np.float32(0.5), np.float64("nan"), np.array(0.25)])
def test_numbers_become_floats(value):
    found = RoundNames().sort({"eval": {"logloss": value}})[1]["loss"]
    assert type(found) is float
    assert found == pytest.approx(float(value), nan_ok=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"training": "dtrain"}, "no data set is called 'dtrain'; evaluated are: train, eval, more"),
        ({"validation": "test"}, "no data set is called 'test'"),
        ({"loss": "rmse"}, "no metric is called 'rmse'; evaluated are: auc, logloss"),
    ],
)
def test_names_that_are_not_there(given, message):
    with pytest.raises(AttachError, match=message):
        RoundNames(**given).sort(RESULTS)


def test_one_name_for_both():
    with pytest.raises(AttachError, match="training and validation are both 'eval'"):
        RoundNames("eval", "eval")


@pytest.mark.parametrize("given", [{"training": "dev"}, {"validation": "dev"}], ids=str)
def test_data_sets_can_be_checked_before_the_first_round(given):
    names = RoundNames(**given)
    names.check(["dev", "eval"])
    with pytest.raises(AttachError, match="no data set is called 'dev'; evaluated are: train, eval"):
        names.check(["train", "eval"])
    with pytest.raises(AttachError, match="no data set is called 'dev'; evaluated are: none"):
        names.check([])


def test_what_is_named_as_the_validation_is_not_also_the_training():
    names = RoundNames(validation="train")
    assert names.sort({"train": {"logloss": 0.5}, "eval": {"logloss": 0.4}}, training="train") == (
        {},
        {"loss": 0.5},
        {"eval_loss": 0.4},
    )
