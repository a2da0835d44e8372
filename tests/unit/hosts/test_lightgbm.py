"""What `for_lightgbm` does in LightGBM that no other host can share."""

import contextlib
import copy
import pickle

import lightgbm
import numpy as np
import pytest
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import AttachError, DataError, OnlookerWarning
from onlooker.hosts.lightgbm.results import native_of, values_of
from onlooker.hosts.round_names import RoundNames

PARAMS = {
    "objective": "binary",
    "metric": ["auc", "binary_logloss"],
    "num_leaves": 4,
    "min_data_in_leaf": 2,
    "min_data_in_bin": 1,
    "num_threads": 1,
    "verbosity": -1,
}
OVERFITS = {"metric": "binary_logloss", "learning_rate": 0.6}
"""With which the held-out data get worse after some rounds."""


def train(*callbacks, rounds=3, params=None, names=("training", "held out"), **named):
    data = lightgbm.Dataset(X, Y)
    sets = {"training": data, "held out": data.create_valid(HELD_OUT_X, HELD_OUT_Y)}
    return lightgbm.train(
        {**PARAMS, **(params or {})},
        data,
        rounds,
        valid_sets=[sets[name] for name in names],
        valid_names=[*names],
        callbacks=[*callbacks],
        **named,
    )


def cv(*callbacks, rounds=3, **named):
    return lightgbm.cv(PARAMS, lightgbm.Dataset(X, Y), rounds, nfold=2, callbacks=[*callbacks], **named)


def early_stopping(rounds=2):
    return lightgbm.early_stopping(rounds, verbose=False)


def at_epoch(epoch, act, hook="on_epoch_end"):
    """Return a callback that does something at an epoch."""

    def call(self, index, logs=None):
        if index == epoch:
            act(self)

    return type("Acting", (ol.Callback,), {hook: call})()


def stop_at(epoch):
    return at_epoch(epoch, lambda callback: callback.run.stop("enough"))


def trees(booster):
    return booster.model_to_string(num_iteration=-1).partition("end of trees")[0]


def noting(seen, name, before=False, order=None):
    """Return a callback of LightGBM's own kind."""

    def note(env):
        seen.append((name, env.iteration))

    note.before_iteration = before
    if order is not None:
        note.order = order
    return note


class Order(ol.Callback):
    """Notes epochs in a list that others write to as well."""

    def __init__(self, seen, name="ours"):
        self._seen, self._name = seen, name

    def on_epoch_begin(self, epoch, logs=None):
        self._seen.append((f"{self._name} begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self._seen.append((f"{self._name} end", epoch))


def test_names_and_values():
    seen, recorded = Recorder(), {}
    booster = train(ol.for_lightgbm(seen), lightgbm.record_evaluation(recorded))
    for epoch, logs in enumerate(seen.logs("on_epoch_end")):
        assert logs == {
            "auc": recorded["training"]["auc"][epoch],
            "loss": recorded["training"]["binary_logloss"][epoch],
            "val_auc": recorded["held out"]["auc"][epoch],
            "val_loss": recorded["held out"]["binary_logloss"][epoch],
        }
    assert [*seen.run.native_logs] == ["training", "held out"]
    assert seen.run.native_logs == booster.best_score
    assert seen.params == {"epochs": 3, "steps": 1, "verbose": 0}


def test_which_data_set_is_the_training_s():
    class Named(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.names, self.logs = list(logs), dict(logs)

    first, second, chosen = Named(), Named(), Named()
    train(ol.for_lightgbm(first), ol.for_lightgbm(second, training="held out", validation="training", loss="auc"))
    assert first.names == ["auc", "loss", "val_auc", "val_loss"]
    assert second.names == ["loss", "binary_logloss", "val_loss", "val_binary_logloss"]
    model = lightgbm.LGBMRegressor(n_estimators=2, num_leaves=4, min_child_samples=2, verbosity=-1)
    sets = {"eval_X": (HELD_OUT_X, X), "eval_y": (HELD_OUT_Y, Y), "eval_names": ["a", "b"]}
    model.fit(X, Y, **sets, callbacks=[ol.for_lightgbm(chosen)])
    assert chosen.logs == {
        "loss": model.evals_result_["b"]["l2"][-1],
        "val_loss": model.evals_result_["a"]["l2"][-1],
    }


def test_lightgbm_says_of_which_metric_more_is_better():
    seen = Recorder()
    feval = [lambda scores, data: ("gain", 0.5, True), lambda scores, data: ("cost", 0.25, False)]
    train(ol.for_lightgbm(seen), params={"metric": "None"}, feval=feval)
    assert seen.last("on_epoch_end").logs == {"gain": 0.5, "loss": 0.25, "val_gain": 0.5, "val_loss": 0.25}
    lightgbm.cv(
        {**PARAMS, "metric": "None"}, lightgbm.Dataset(X, Y), 1, nfold=2, feval=feval, callbacks=[ol.for_lightgbm(seen)]
    )
    assert list(seen.last("on_epoch_end").logs) == ["val_gain", "val_loss", "val_gain_std", "val_loss_std"]
    model = lightgbm.LGBMClassifier(n_estimators=1, verbosity=-1, metric="None")
    gain = [lambda labels, scores: ("gain", 0.5, True)]
    model.fit(X, Y, eval_X=HELD_OUT_X, eval_y=HELD_OUT_Y, eval_metric=gain, callbacks=[ol.for_lightgbm(seen)])
    assert list(seen.last("on_epoch_end").logs) == ["val_gain"]


def test_further_data_sets_stand_under_their_names():
    seen, data = Recorder(), lightgbm.Dataset(X, Y)
    sets = [data.create_valid(HELD_OUT_X, HELD_OUT_Y) for _ in range(2)]
    lightgbm.train(PARAMS, data, 2, valid_sets=sets, callbacks=[ol.for_lightgbm(seen)])
    assert [*seen.last("on_epoch_end").logs] == ["valid_1_auc", "valid_1_loss", "val_auc", "val_loss"]


@pytest.mark.parametrize("name", ["valid l2", "l2"])
def test_what_older_versions_tell_of_cross_validation(name):
    results = [("cv_agg", name, 0.5, False, 0.25), ("cv_agg", "train auc", 0.75, True, 0.125)]
    assert native_of(results) == {
        "valid": {"l2-mean": 0.5, "l2-stdv": 0.25},
        "train": {"auc-mean": 0.75, "auc-stdv": 0.125},
    }
    values = {"auc": 0.75, "auc_std": 0.125}, {"loss": 0.5, "loss_std": 0.25}
    assert values_of(RoundNames(), results, None) == values


def test_without_data_to_evaluate_on():
    seen = Recorder()
    booster = lightgbm.train(PARAMS, lightgbm.Dataset(X, Y), 2, callbacks=[ol.for_lightgbm(seen)])
    assert seen.check().logs("on_epoch_end") == [{}, {}]
    assert (seen.run.outcome, booster.best_score, seen.of("on_test_begin")) == ("completed", {}, [])


@pytest.mark.parametrize("early", [False, True], ids=["", "early stopping"])
def test_what_lightgbm_returns_is_the_same_with_us_and_without(early):
    found = []
    for ours in ([], [ol.for_lightgbm(Recorder())]):
        recorded = {}
        native = [lightgbm.record_evaluation(recorded), *([early_stopping(1)] if early else [])]
        booster = train(*ours, *native, rounds=30, params=OVERFITS)
        assert 1 < len(recorded["held out"]["binary_logloss"]) < 30 if early else booster.num_trees() == 30
        found.append((trees(booster), booster.best_iteration, dict(booster.best_score), recorded, set(vars(booster))))
    assert found[0] == found[1]


def test_its_own_early_stopping():
    seen, found = Recorder(), []

    class Best(ol.Callback):
        def on_train_end(self, logs=None):
            found.append((self.model.best_iteration, self.model.best_score))

    booster = train(ol.for_lightgbm(seen, Best()), early_stopping(1), rounds=30, params=OVERFITS)
    best = booster.best_iteration
    assert 1 < best == booster.num_trees() < 30
    assert seen.check().of("on_epoch_end")[-1].index == best  # one round more
    assert (seen.run.outcome, seen.run.stopped_by) == ("stopped", None)
    assert seen.run.reason == f"LightGBM's early_stopping, with epoch {best - 1} as the best"
    assert found == [(best, booster.best_score)]


def test_its_own_early_stopping_that_finds_nothing_to_stop():
    seen = Recorder()
    booster = train(ol.for_lightgbm(seen), early_stopping(50))
    assert (seen.run.outcome, seen.run.reason) == ("completed", "")
    assert 0 < booster.best_iteration <= 3


def test_our_stop_is_as_if_there_had_been_no_more_rounds():
    whole, stopped = {}, {}
    expected = train(lightgbm.record_evaluation(whole), rounds=2)
    seen = Recorder()
    booster = train(ol.for_lightgbm(stop_at(1), seen), lightgbm.record_evaluation(stopped), rounds=9)
    assert (trees(booster), stopped) == (trees(expected), whole)
    assert (booster.best_iteration, booster.best_score) == (expected.best_iteration, expected.best_score)
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("stopped", "enough", "Acting")


def test_our_stop_has_early_stopping_hand_out_its_best_round():
    whole = train(early_stopping(50), rounds=6, params=OVERFITS)
    seen = Recorder()
    booster = train(ol.for_lightgbm(stop_at(5), seen), early_stopping(50), rounds=9, params=OVERFITS)
    assert booster.best_iteration == whole.best_iteration < 6
    assert (trees(booster), booster.best_score) == (trees(whole), whole.best_score)
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "enough")


@pytest.mark.parametrize("early", [False, True], ids=["", "early stopping"])
def test_cross_validation(early):
    seen, native = Recorder(), [early_stopping(1)] if early else []
    result = cv(ol.for_lightgbm(seen), *native, rounds=8, eval_train_metric=True, return_cvbooster=True)
    assert {name: values for name, values in result.items() if name != "cvbooster"} == {
        name: values
        for name, values in cv(*native, rounds=8, eval_train_metric=True, return_cvbooster=True).items()
        if name != "cvbooster"
    }
    assert [logs["loss"] for logs in seen.check().logs("on_epoch_end")][: len(result["train binary_logloss-mean"])] == (
        result["train binary_logloss-mean"]
    )
    names = [f"{of}{name}" for of in ("", "val_") for name in ("auc", "loss", "auc_std", "loss_std")]
    assert [*seen.last("on_epoch_end").logs] == names
    assert set(seen.run.native_logs["valid"]) == {
        f"{name}-{of}" for name in PARAMS["metric"] for of in ("mean", "stdv")
    }
    assert seen.run.outcome == ("stopped" if early else "completed")
    assert seen.run.model is result["cvbooster"]
    assert type(seen.run.model) is lightgbm.CVBooster


def test_our_stop_in_cross_validation(tmp_path):
    seen = Recorder()
    save = at_epoch(1, lambda callback: callback.run.save(tmp_path / "cv.json"))
    result = cv(ol.for_lightgbm(save, stop_at(1), seen), rounds=8, return_cvbooster=True)
    assert [len(values) for name, values in result.items() if name != "cvbooster"] == [2] * 4
    assert (result["cvbooster"].best_iteration, seen.run.outcome) == (2, "stopped")
    loaded = lightgbm.CVBooster(model_file=tmp_path / "cv.json")
    assert [trees(one) for one in loaded.boosters] == [trees(one) for one in result["cvbooster"].boosters]


def test_cross_validation_goes_back_and_changes_its_rate(tmp_path):
    path, found = tmp_path / "cv.json", []

    def save(callback):
        callback.run.save(path)
        callback.run.learning_rate = 0.5

    def load(callback):
        found.append([booster.params["learning_rate"] for booster in callback.model.boosters])
        callback.run.load(path)
        found.append([booster.num_trees() for booster in callback.model.boosters])

    cv(ol.for_lightgbm(at_epoch(0, save), at_epoch(2, load)))
    assert found == [[0.5, 0.5], [1, 1]]


def test_the_scikit_learn_interface():
    seen = Recorder()
    model = lightgbm.LGBMRegressor(n_estimators=9, num_leaves=4, min_child_samples=2, verbosity=-1)
    model.fit(X, Y, eval_X=HELD_OUT_X, eval_y=HELD_OUT_Y, callbacks=[ol.for_lightgbm(seen, stop_at(2))])
    assert model.booster_.num_trees() == model.n_estimators_ == 3
    assert model.evals_result_["valid_0"]["l2"] == [logs["val_loss"] for logs in seen.check().logs("on_epoch_end")]
    assert seen.run.reason == "enough"
    assert seen.model is model.booster_


def test_beside_others_in_the_order_given():
    seen = []
    train(
        noting(seen, "before", before=True),
        noting(seen, "after"),
        ol.for_lightgbm(Order(seen)),
        noting(seen, "before too", before=True),
        noting(seen, "after too"),
        ol.for_lightgbm(Order(seen, "second")),
        noting(seen, "ordered", order=5),
        noting(seen, "first of all", order=-50),
        rounds=2,
    )
    names = [
        *("before", "ours begin", "before too", "second begin"),
        *("first of all", "after", "ours end", "after too", "second end", "ordered"),
    ]
    assert seen == [(name, epoch) for epoch in range(2) for name in names]


def test_the_place_in_the_list_is_that_of_each_training():
    seen = []
    adapter = ol.for_lightgbm(Order(seen))
    train(noting([], "a"), noting([], "b"), adapter, rounds=1)
    seen.clear()
    train(adapter, noting(seen, "last"), rounds=1)
    assert seen == [("ours begin", 0), ("ours end", 0), ("last", 0)]


def test_one_adapter_for_several_trainings():
    seen = Recorder()
    adapter = ol.for_lightgbm(seen)
    for _ in range(2):
        train(adapter)
        assert [event.index for event in seen.check().of("on_epoch_end")] == [0, 1, 2]
        seen.events.clear()


def test_a_stop_by_one_adapter_ends_the_other_too():
    for stops_first in (True, False):
        seen = Recorder()
        adapters = [ol.for_lightgbm(stop_at(1)), ol.for_lightgbm(seen)]
        booster = train(*(adapters if stops_first else adapters[::-1]), rounds=9)
        assert booster.num_trees() == 2
        assert seen.check().of("on_epoch_end")[-1].index == 1
        assert (seen.run.outcome, seen.run.reason) == ("stopped", "enough")


def later(fail, result):
    """Return a function that fails when it is called for the fourth time."""
    left = [3]

    def call(*given):
        left[0] -= 1
        return result(*given) if left[0] >= 0 else fail()

    return call


def gradients(scores, data):
    chances = 1 / (1 + np.exp(-scores))
    return chances - data.get_label(), chances * (1 - chances)


def no_metric(scores, data):
    return "odd", 0.0, False


def ending(fail):
    return type("Ending", (ol.Callback,), {"on_train_end": fail})()


FAULTS = {
    "objective": (train, lambda fail: {"params": {"objective": later(fail, gradients)}}),
    "metric": (train, lambda fail: {"feval": later(fail, no_metric)}),
    "callback": (train, lambda fail: {"native": later(fail, lambda env: None)}),
    "our callback": (train, lambda fail: {"ours": at_epoch(3, fail)}),
    "our callback's begin": (train, lambda fail: {"ours": at_epoch(3, fail, "on_epoch_begin")}),
    "the end": (train, lambda fail: {"ours": ending(fail)}),
    "metric in cv": (cv, lambda fail: {"feval": later(fail, no_metric)}),
    "callback in cv": (cv, lambda fail: {"native": later(fail, lambda env: None)}),
    "our callback in cv": (cv, lambda fail: {"ours": at_epoch(3, fail)}),
}


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), KeyboardInterrupt()], ids=["an exception", "Ctrl-C"])
@pytest.mark.parametrize("where", FAULTS)
def test_what_is_raised_anywhere_closes_all_adapters(where, error):
    def fail(*given, **named):
        raise error

    def keep(env):
        models.append(env.model)

    run, faults = FAULTS[where]
    named, first, last, models = faults(fail), Recorder(), Recorder(), []
    middle = [keep, named.pop("native", keep), ol.for_lightgbm(*filter(None, [named.pop("ours", None)]))]
    with pytest.raises(type(error)) as caught:
        run(ol.for_lightgbm(first), *middle, ol.for_lightgbm(last), rounds=9, **named)
    assert caught.value is error
    expected = "failed" if isinstance(error, Exception) else "interrupted"
    for seen in (first, last):
        assert seen.check().hooks[-1] == "on_train_end"
        assert not seen.run.is_live
        # What happens at the end of one adapter comes too late to change that of another.
        assert seen.run.outcome == ("completed" if where == "the end" else expected)
    assert type(models[0]) in (lightgbm.Booster, lightgbm.CVBooster)


def test_what_is_raised_as_another_begins_closes_those_that_have_begun():
    seen, error = Recorder(), ZeroDivisionError()

    def fail(*given, **named):
        raise error

    with pytest.raises(ZeroDivisionError):
        train(ol.for_lightgbm(seen), ol.for_lightgbm(type("Begins", (ol.Callback,), {"on_train_begin": fail})()))
    assert seen.check().hooks[-1] == "on_train_end"
    assert seen.run.outcome == "failed"


def test_a_callback_of_somebody_else_before_the_rounds():
    seen = Recorder()

    def fail(env):
        if env.iteration == 2:
            raise lightgbm.callback.EarlyStopException(0, [])  # which LightGBM takes only after a round

    fail.before_iteration = True
    with pytest.raises(lightgbm.callback.EarlyStopException):
        train(ol.for_lightgbm(seen), fail)
    assert seen.check().hooks[-1] == "on_train_end"
    assert seen.run.outcome == "failed"


@pytest.mark.parametrize("is_first", [True, False], ids=["before ours", "after ours"])
def test_somebody_elses_stop(is_first):
    def stopper(env):
        if env.iteration == 1:
            raise lightgbm.callback.EarlyStopException(0, env.evaluation_result_list)

    seen = Recorder()
    ours = ol.for_lightgbm(seen)
    booster = train(*([stopper, ours] if is_first else [ours, stopper]), rounds=9)
    assert booster.best_iteration == 1
    assert [event.index for event in seen.check().of("on_epoch_end")] == [0, 1]
    assert seen.last("on_epoch_end").logs["val_loss"] > 0
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "stopper, with epoch 0 as the best")


def test_what_nobody_could_see_is_closed_when_the_adapter_is_used_next(monkeypatch):
    seen = Recorder()
    adapter, made = ol.for_lightgbm(seen), lightgbm.callback.CallbackEnv
    left = [5]

    def make(**named):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return made(**named)

    monkeypatch.setattr(lightgbm.callback, "CallbackEnv", make)
    with pytest.raises(KeyboardInterrupt):
        train(adapter)
    assert seen.run.is_live
    monkeypatch.undo()
    train(adapter)
    assert seen.check().hooks.count("on_train_end") == 2
    assert [event.run["outcome"] for event in seen.of("on_train_end")] == ["interrupted", "completed"]


@pytest.mark.parametrize("callback", [ol.callbacks.History(), ol.Callback()], ids=["heard", "silent"])
def test_the_adapter_can_be_pickled_after_a_training_and_used_again(callback):
    adapter = ol.for_lightgbm(callback)
    train(adapter)
    again = pickle.loads(pickle.dumps(adapter))
    train(again)
    (copied,) = again.follower.callbacks
    assert (copied.run.outcome, copied.run.step) == ("completed", 3)


def test_copies_that_are_made_in_a_hook_are_plain_boosters():
    copies = []

    class Copies(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            copies.append(pickle.loads(pickle.dumps(self.model)))
            if isinstance(self.model, lightgbm.Booster):  # a pack of them cannot be copied
                copies.extend([copy.copy(self.model), copy.deepcopy(self.model)])

    def nothing(env):
        pass

    pack = cv(ol.for_lightgbm(Copies()), ol.for_lightgbm(Copies()), rounds=1, return_cvbooster=True)["cvbooster"]
    copies.append(pickle.loads(pickle.dumps(pack)))
    for one in copies:
        assert type(one) is lightgbm.CVBooster
        assert set(vars(one)) == {"boosters", "best_iteration"}
        assert [trees(booster) for booster in one.boosters] == [trees(booster) for booster in pack.boosters]
    copies.clear()
    booster, without = (train(*ours, rounds=1) for ours in ([ol.for_lightgbm(Copies())], [nothing]))
    for one in (*copies, booster):
        assert type(one) is lightgbm.Booster
        assert set(vars(one)) <= set(vars(without))
        assert trees(one) == trees(without)


def test_an_error_of_the_booster_that_a_callback_deals_with():
    def odd(scores, data):
        raise ZeroDivisionError

    def careful(env):
        with contextlib.suppress(ZeroDivisionError):
            env.model.eval_valid(odd)

    seen = Recorder()
    train(ol.for_lightgbm(seen), careful)
    assert (len(seen.check().of("on_epoch_end")), seen.run.outcome) == (3, "completed")


def test_somebody_who_hears_no_round():
    class Begins(ol.Callback):
        def __init__(self, stops):
            self._stops = stops

        def on_train_begin(self, logs=None):
            if self._stops:
                self.run.stop("at once")

    for stops, rounds, outcome in ((False, 3, "completed"), (True, 1, "stopped")):
        quiet, seen = Begins(stops), Recorder()
        booster = train(noting([], "a"), ol.for_lightgbm(quiet), ol.for_lightgbm(seen), noting([], "b"))
        assert booster.num_trees() == rounds
        run = quiet.run
        assert (run.epoch, run.step, run.outcome, run.is_live) == (rounds - 1, rounds, outcome, False)
        assert run.is_epoch_complete
        assert len(seen.check().of("on_epoch_end")) == rounds
    quiet = Begins(False)
    booster = train(ol.for_lightgbm(quiet), early_stopping(1), rounds=30, params=OVERFITS)
    assert (quiet.run.outcome, quiet.run.step) == ("stopped", booster.best_iteration + 1)
    with pytest.raises(ZeroDivisionError):
        train(ol.for_lightgbm(quiet), feval=lambda scores, data: 1 / 0)
    assert (quiet.run.outcome, quiet.run.is_live) == ("failed", False)


@pytest.mark.parametrize("flag", [True, False], ids=["model.stop_training", "run.stop"])
def test_somebody_who_hears_no_round_and_is_stopped_by_another(flag):
    quiet, seen = ol.Callback(), Recorder()

    def stop(env):
        if env.iteration == 1 and flag:
            quiet.model.stop_training = True
        elif env.iteration == 1:
            quiet.run.stop("enough")

    booster = train(ol.for_lightgbm(quiet), ol.for_lightgbm(seen), stop, rounds=9)
    assert booster.num_trees() == 3  # the one at whose end it was asked, and the one in which it is seen
    reason = "model.stop_training was set to True" if flag else "enough"
    for run in (quiet.run, seen.run):
        assert (run.epoch, run.step, run.outcome, run.reason) == (2, 3, "stopped", reason)


def test_only_one_who_hears_no_round():
    quiet = ol.Callback()
    assert train(ol.for_lightgbm(quiet)).num_trees() == 3
    assert (quiet.run.epoch, quiet.run.step, quiet.run.outcome) == (2, 3, "completed")
    cv(ol.for_lightgbm(quiet))
    assert (quiet.run.epoch, quiet.run.step, quiet.run.outcome) == (2, 3, "completed")


def test_an_update_of_a_callbacks_own_is_no_round():
    quiet = ol.Callback()

    def update(env):
        if env.iteration == 0:
            env.model.update()

    booster = train(ol.for_lightgbm(quiet), update)
    assert (booster.current_iteration(), quiet.run.step) == (4, 3)


def test_somebody_who_hears_no_round_and_stands_after_a_stop():
    def stopper(env):
        if env.iteration == 1:
            raise lightgbm.callback.EarlyStopException(0, env.evaluation_result_list)

    quiet = ol.Callback()
    train(stopper, ol.for_lightgbm(quiet), rounds=9)
    assert (quiet.run.epoch, quiet.run.step, quiet.run.outcome) == (1, 2, "stopped")


def test_a_stop_in_the_last_round_is_one_beside_early_stopping_too():
    stopping, other = stop_at(2), Recorder()
    early = lightgbm.early_stopping(50, verbose=False)  # raises in the last round, to say which was the best
    train(early, ol.for_lightgbm(stopping), ol.for_lightgbm(other))
    assert (stopping.run.outcome, other.run.outcome) == ("stopped", "stopped")


def test_what_on_train_end_finds_of_a_stopped_cross_validation():
    found = []

    class Best(ol.Callback):
        def on_train_end(self, logs=None):
            found.extend(one.best_iteration for one in (self.model, *self.model.boosters))

    cv(ol.for_lightgbm(stop_at(1), Best()), rounds=9)
    assert found == [2, 2, 2]


def test_wrapped_by_somebody():
    ours = ol.for_lightgbm(ol.Callback())

    def wrapper(env):
        ours(env)

    with pytest.raises(AttachError, match=r"must itself stand in callbacks="):
        train(wrapper)


def test_a_training_from_within_a_hook_is_silent():
    seen = Recorder()
    inner = Recorder()

    def act(callback):
        train(adapter, ol.for_lightgbm(inner), rounds=2)

    adapter = ol.for_lightgbm(seen, at_epoch(1, act))
    train(adapter)
    assert [event.index for event in seen.check().of("on_epoch_end")] == [0, 1, 2]
    assert [event.index for event in inner.check().of("on_epoch_end")] == [0, 1]


def test_one_adapter_in_a_training_within_another_ends_the_outer_one():
    seen = Recorder()
    adapter = ol.for_lightgbm(seen)

    def nest(env):
        if env.iteration == 1:
            train(adapter, rounds=2)

    assert train(adapter, nest).num_trees() == 3
    assert [event.index for event in seen.check().of("on_epoch_end")] == [0, 1, 0, 1]
    assert [event.run["outcome"] for event in seen.of("on_train_end")] == ["interrupted", "completed"]


def test_continued_training_goes_on_counting():
    start, seen = train(rounds=2), Recorder()
    train(ol.for_lightgbm(seen), init_model=start)
    assert [event.index for event in seen.check(2).of("on_epoch_end")] == [2, 3, 4]
    assert [event.run["step"] for event in seen.of("on_epoch_begin")] == [2, 3, 4]
    assert [event.run["step"] for event in seen.of("on_epoch_end")] == [3, 4, 5]
    assert (seen.run.first_epoch, seen.run.is_resumed, seen.params["epochs"]) == (2, False, 5)


def saved(path, epoch=1, **named):
    return train(ol.for_lightgbm(at_epoch(epoch, lambda callback: callback.run.save(path))), **named)


def test_resuming_from_another_round_than_the_model_s(tmp_path):
    path = tmp_path / "run.txt"
    saved(path)
    with pytest.raises(AttachError, match=r"saved after 2 rounds, but the training begins with 0; .*init_model"):
        train(ol.for_lightgbm(ol.Callback(), resume=path))
    with pytest.raises(DataError, match=r"nowhere.run.json is not there"):
        ol.for_lightgbm(ol.Callback(), resume=tmp_path / "nowhere")
    callback = ol.Callback()
    adapter = ol.for_lightgbm(callback, resume=path)
    for _ in range(2):
        train(adapter, init_model=path, rounds=1)
        assert (callback.run.first_epoch, callback.run.is_resumed) == (2, True)
    with pytest.raises(AttachError, match="saved after 2 rounds, but the training begins with 0"):
        train(adapter)


def test_load_goes_back(tmp_path):
    path = tmp_path / "run.txt"
    found = []

    def load(callback):
        callback.run.load(path)
        found.append((callback.model.current_iteration(), callback.run.epoch))

    save = at_epoch(1, lambda callback: callback.run.save(path))
    booster = train(ol.for_lightgbm(save, at_epoch(4, load)), rounds=5)
    assert found == [(2, 4)]
    assert trees(booster) == trees(lightgbm.Booster(model_file=path))
    assert trees(booster) == trees(train(rounds=2))


def test_load_of_what_was_saved_before_the_first_round(tmp_path):
    class Empty(ol.Callback):
        def on_train_begin(self, logs=None):
            self.run.save(tmp_path / "run.txt")

        def on_train_end(self, logs=None):
            self.run.load(tmp_path / "run.txt")

    assert train(ol.for_lightgbm(Empty())).num_trees() == 0


def test_load_when_the_training_is_over(tmp_path):
    path, seen = tmp_path / "run.txt", Recorder()
    saved(path, params={"learning_rate": 0.7})
    booster = train(ol.for_lightgbm(seen))
    seen.run.load(path)
    assert trees(booster) == trees(lightgbm.Booster(model_file=path))


@pytest.mark.parametrize("how", ["another training", "a later round", "before this training", "dart"])
def test_load_refuses_what_is_no_earlier_round(tmp_path, how):
    path, named = tmp_path / "run.txt", {}
    if how == "dart":  # which changes its older trees
        named["params"] = {"boosting": "dart", "drop_rate": 1.0, "skip_drop": 0.0}
    saved(path, params={"learning_rate": 0.7} if how == "another training" else named.get("params"))
    if how == "before this training":
        named["init_model"] = train(rounds=4)
    load = at_epoch(
        {"a later round": 0, "before this training": 4}.get(how, 2), lambda callback: callback.run.load(path)
    )
    with pytest.raises(DataError, match=r"run.txt holds no earlier round of this training: .* init_model="):
        train(ol.for_lightgbm(load), **named)


def test_a_save_within_a_round_that_is_over_goes_on_after_it(tmp_path):
    class Saves(ol.Callback):
        def on_test_end(self, logs=None):
            if self.run.epoch == 1:
                self.run.save(tmp_path / "run.txt")

    seen = Recorder()
    whole = train(ol.for_lightgbm(Saves()), rounds=4)
    booster = train(ol.for_lightgbm(seen, resume=tmp_path / "run.txt"), init_model=tmp_path / "run.txt", rounds=2)
    assert [event.index for event in seen.check(2).of("on_epoch_end")] == [2, 3]
    assert trees(booster) == trees(whole)


def test_the_learning_rate():
    class Rates(ol.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.seen = [*getattr(self, "seen", []), self.run.learning_rate]

        def on_epoch_end(self, epoch, logs=None):
            self.run.scale_learning_rate(0.5)

    for given, start in (({}, 0.1), ({"eta": 0.4}, 0.4), ({"shrinkage_rate": 0.2, "eta": 0.4}, 0.2)):
        rates = Rates()
        booster = train(ol.for_lightgbm(rates), params=given)
        assert rates.seen == [start, start / 2, start / 4]
        shrinkages = [line for line in trees(booster).splitlines() if line.startswith("shrinkage=")]
        assert shrinkages[1:] == [f"shrinkage={start / 2:g}", f"shrinkage={start / 4:g}"]


def test_lightgbms_own_schedule_sets_its_rate_again_after_ours():
    class Sets(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.run.learning_rate = 0.7

    schedule = lightgbm.reset_parameter(learning_rate=[0.3, 0.3, 0.3])
    booster = train(ol.for_lightgbm(Sets()), schedule)
    assert trees(booster) == trees(train(schedule))


@pytest.mark.parametrize(("value", "message"), [(0.0, "must be greater than 0"), ({"a": 0.1}, "one learning rate")])
def test_rates_that_cannot_be(value, message):
    def set_rate(callback):
        callback.run.learning_rate = value

    with pytest.raises(ValueError, match=message):
        train(ol.for_lightgbm(at_epoch(0, set_rate)))


def test_what_is_no_callback_is_refused_at_once():
    with pytest.raises(AttachError, match="object"):
        ol.for_lightgbm(object())
    with pytest.raises(AttachError, match=r"needs 'weights', which is absent in LightGBM: trees are no weights"):
        ol.for_lightgbm(type("Needs", (ol.Callback,), {"needs": ("weights",)})())


def test_names_that_are_not_evaluated():
    seen = Recorder()
    with pytest.raises(AttachError, match="no data set is called 'test'; evaluated are: training, held out"):
        train(ol.for_lightgbm(seen, validation="test"))
    assert seen.check().hooks[-1] == "on_train_end"


def test_a_metric_that_is_no_number():
    seen, texts = Recorder(), []

    class Note(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            texts.append(self.run.native_logs["held out"]["odd"])

    with pytest.warns(OnlookerWarning, match="'held out_odd' was logged by the trainer as 'x'") as caught:
        train(ol.for_lightgbm(seen, Note()), names=["held out"], feval=lambda scores, data: ("odd", "x", False))
    assert len(caught) == 1
    assert seen.last("on_epoch_end").logs.keys() == {"val_auc", "val_loss"}
    assert texts == ["x"] * 3


def test_called_by_something_else():
    with pytest.raises(AttachError, match=r"by something else than lightgbm\.train and lightgbm\.cv"):
        ol.for_lightgbm(ol.Callback())(None)
