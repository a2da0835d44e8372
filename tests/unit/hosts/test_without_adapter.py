"""Each trainer, given a callback of ours as it is, or in the wrong way, ends with a word that says what to write."""

import keras
import lightgbm
import lightning
import numpy as np
import pytest
import torch
import transformers
import xgboost
from keras import callbacks as keras_callbacks
from sklearn.naive_bayes import GaussianNB
from tests.recorder import Recorder
from tests.unit.hosts.small_trainers import (
    TRAININGS,
    in_catboost,
    in_lightgbm,
    in_lightning,
    in_transformers,
    in_xgboost,
)
from torch import nn

import onlooker as ol
from onlooker.core.errors import AttachError

adapters = pytest.mark.parametrize("adapter", TRAININGS, ids=lambda adapter: adapter.__name__)


class Watch(ol.Callback):
    def on_epoch_end(self, epoch, logs):
        pass


@pytest.mark.parametrize("run", [in_lightning, in_transformers, in_lightgbm, in_catboost], ids=lambda run: run.__name__)
def test_it_says_which_adapter(run, tmp_path):
    name = run.__name__.removeprefix("in_")
    with pytest.raises(Exception, match=rf"callbacks=\[onlooker\.for_{name}\(Watch\(\)\)\]"):
        run(tmp_path, [Watch()])


def test_xgboost_has_a_word_of_its_own(tmp_path):
    """It asks for the type, and nothing of ours."""
    for given in (Watch(), ol.for_lightgbm(Watch())):
        with pytest.raises(TypeError, match="must be an instance of `TrainingCallback`"):
            in_xgboost(tmp_path, [given])


@adapters
@pytest.mark.parametrize("run", [in_lightning, in_transformers, in_lightgbm, in_catboost], ids=lambda run: run.__name__)
def test_an_adapter_for_another_trainer(adapter, run, tmp_path):
    if TRAININGS[adapter] is run:
        return
    name = run.__name__.removeprefix("in_")
    message = rf"onlooker\.{adapter.__name__} is for .* write callbacks=\[onlooker\.for_{name}\(Watch\(\)\)\]"
    with pytest.raises(Exception, match=message):
        run(tmp_path, [adapter(Watch())])


def in_keras(callbacks):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(np.zeros((4, 4)), np.zeros((4, 1)), verbose=0, callbacks=callbacks)


def in_the_trainer(callbacks):
    model = nn.Linear(1, 1)
    trainer = ol.Trainer(model, loss=nn.MSELoss(), optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    trainer.fit([(torch.zeros(2, 1), torch.zeros(2, 1))], callbacks=callbacks)


OURS = {
    "Loop": lambda callbacks: ol.Loop(None, callbacks=callbacks),
    "Trainer": in_the_trainer,
    "fit_sklearn": lambda callbacks: ol.fit_sklearn(GaussianNB(), np.eye(2), [0, 1], epochs=1, callbacks=callbacks),
    "Keras": in_keras,
}


@adapters
@pytest.mark.parametrize("here", OURS)
def test_an_adapter_where_none_is_needed(adapter, here):
    message = rf"what onlooker\.{adapter.__name__} returned belongs in .* write callbacks=\[Watch\(\)\]"
    with pytest.raises(AttachError, match=message):
        OURS[here]([adapter(Watch())])


def test_a_list_within_the_list_of_fit_sklearn():
    with pytest.raises(AttachError, match=r"onlooker\.fit_sklearn takes one list of callbacks, but a list is in it"):
        OURS["fit_sklearn"]([[Watch()]])


@pytest.mark.parametrize("run", [in_lightning, in_catboost], ids=lambda run: run.__name__)
def test_a_class(run, tmp_path):
    written = rf"callbacks=\[onlooker\.for_{run.__name__.removeprefix('in_')}\(Watch\(\)\)\]"
    with pytest.raises(Exception, match=f"a class of callbacks was passed instead of an instance; write {written}"):
        run(tmp_path, [Watch])


def test_lightgbm_refuses_a_class_in_its_own_words(tmp_path):
    """It asks the class for what only instances can give, and calls nothing of ours. The guide says so."""
    with pytest.raises(AttributeError, match="'mappingproxy' object has no attribute 'setdefault'"):
        in_lightgbm(tmp_path, [Watch])


@adapters
def test_one_adapter_twice(adapter, tmp_path):
    seen = Recorder()
    once = adapter(seen)
    with pytest.raises(Exception, match=f"what onlooker.{adapter.__name__} returned was passed twice to one trainer"):
        TRAININGS[adapter](tmp_path, [once, once])
    assert not seen.events


@adapters
def test_nothing_in_it(adapter, tmp_path):
    """As everywhere a list of callbacks may be empty, so that it can be put together."""
    TRAININGS[adapter](tmp_path, [adapter()])


@adapters
@pytest.mark.parametrize("other", TRAININGS, ids=lambda adapter: adapter.__name__)
def test_an_adapter_within_an_adapter(adapter, other):
    with pytest.raises(AttachError, match=f"{adapter.__name__} was given what onlooker.{other.__name__} returned"):
        adapter(other(Watch()))


THEIRS = {
    ol.for_lightning: lightning.pytorch.callbacks.EarlyStopping("loss"),
    ol.for_transformers: transformers.EarlyStoppingCallback(),
    ol.for_xgboost: xgboost.callback.EarlyStopping(rounds=2),
    ol.for_lightgbm: lightgbm.early_stopping(2),
}


@adapters
@pytest.mark.parametrize("theirs", THEIRS.values(), ids=lambda theirs: type(theirs).__module__)
def test_a_callback_of_a_trainer_itself(adapter, theirs):
    kind = type(theirs).__name__
    what_to_do = "it runs in .* only"
    if THEIRS.get(adapter) is theirs:
        what_to_do = rf"pass it beside the adapter: callbacks=\[{kind}\(...\), onlooker.{adapter.__name__}\(...\)\]"
    with pytest.raises(
        AttachError, match=f"must be an onlooker.Callback, but {kind} is a callback of .*: {what_to_do}"
    ):
        adapter(Watch(), theirs)


@adapters
def test_a_callback_of_keras(adapter):
    with pytest.raises(AttachError, match=r"callback of Keras: it runs in Keras, onlooker\.Loop and onlooker\.Trainer"):
        adapter(keras_callbacks.TerminateOnNaN())


@adapters
def test_a_list_and_a_class(adapter):
    with pytest.raises(AttachError, match=rf"one by one, not a list: onlooker\.{adapter.__name__}\(\*callbacks\)"):
        adapter([Watch()])
    written = rf"Watch is a class; pass an instance: onlooker\.{adapter.__name__}\(Watch\(\)\)$"
    for given in (Watch, [Watch], [Watch(), Watch]):
        with pytest.raises(AttachError, match=written):
            adapter(given)


def test_a_class_in_fit_sklearn():
    with pytest.raises(AttachError, match=r"Watch is a class; pass an instance: callbacks=\[Watch\(\)\]$"):
        OURS["fit_sklearn"]([Watch])


class Both(ol.Callback, xgboost.callback.TrainingCallback):
    """Of both kinds."""


def test_one_that_is_of_both_kinds_is_one_of_ours(tmp_path):
    both = Both()
    in_xgboost(tmp_path, [ol.for_xgboost(both)])
    assert both.run.outcome == "completed"
