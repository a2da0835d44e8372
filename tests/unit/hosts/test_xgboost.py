"""XGBoost's own things around `for_xgboost`: its results, its callbacks, its ways to train, and what it is told."""

import copy
import os
import pickle

import numpy as np
import pytest
import xgboost
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from tests.names import without_address
from tests.recorder import Recorder
from xgboost.callback import (
    CallbackContainer,
    EarlyStopping,
    LearningRateScheduler,
    TrainingCallback,
    TrainingCheckPoint,
)

import onlooker as ol
from onlooker.core.errors import AbsentError, AttachError, DataError, OnlookerWarning

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4)).astype("float32")
Y = (X.sum(axis=1) + RANDOM.normal(size=120) > 0).astype(int)
PARAMETERS = {"objective": "binary:logistic", "max_depth": 3, "learning_rate": 0.5, "nthread": 1}
EARLY = {"early_stopping_rounds": 3}


class BrokenError(Exception):
    """What goes wrong in these tests."""


class Watch(ol.Callback):
    """Keeps what it saw; it can be pickled."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs):
        self.seen.append((epoch, dict(logs)))


class Theirs(TrainingCallback):
    """A callback of XGBoost's own kind, that notes its calls and does something in one of them."""

    def __init__(self, name="theirs", notes=None, **acts):
        super().__init__()
        self.name, self.acts = name, acts
        self.notes = [] if notes is None else notes

    def _act(self, method, *given):
        self.notes.append((self.name, method, *given))
        act = self.acts.get(method)
        return bool(act and act(*given))

    def before_training(self, model):
        self._act("before_training")
        return model

    def before_iteration(self, model, epoch, evals_log):
        return self._act("before_iteration", epoch)

    def after_iteration(self, model, epoch, evals_log):
        return self._act("after_iteration", epoch)

    def after_training(self, model):
        self._act("after_training")
        return model


def raising(error=None, at=1):
    def act(epoch=None):
        if epoch is None or epoch == at:
            raise error or BrokenError("no")

    return act


def stopping(at, reason="enough", hook="on_epoch_end"):
    def act(callback, name, index, logs):
        if (name, index) == (hook, at):
            callback.run.stop(reason)

    return Recorder(act)


def data():
    """Return the matrices: what is trained on, and what is held out."""
    return xgboost.DMatrix(X[:80], label=Y[:80]), xgboost.DMatrix(X[80:], label=Y[80:])


def train(*callbacks, rounds=4, evals="both", parameters=None, **settings):
    """Train with callbacks of XGBoost's; return the booster and its evaluations."""
    trained_on, held_out = data()
    sets = {"both": [(trained_on, "train"), (held_out, "eval")], "training": [(trained_on, "a")], "none": []}[evals]
    found = {}
    booster = xgboost.train(
        {**PARAMETERS, **(parameters or {})},
        trained_on,
        rounds,
        evals=sets,
        evals_result=found,
        verbose_eval=False,
        callbacks=list(callbacks),
        **settings,
    )
    return booster, found


def as_plain(found):
    return {name: {metric: list(values) for metric, values in one.items()} for name, one in found.items()}


# Results.


def test_xgboosts_own_results_are_what_they_are_without():
    def results(*callbacks):
        booster, found = train(*callbacks, rounds=40, **EARLY)
        return bytes(booster.save_raw()), as_plain(found), booster.attributes(), booster.num_boosted_rounds()

    plain, watched = results(), results(ol.for_xgboost(Watch(), Recorder()))
    assert watched == plain
    assert plain[3] < 40


def test_a_run_that_nobody_listens_to_is_told_as_well():
    quiet = ol.Callback()
    _, found = train(ol.for_xgboost(quiet), rounds=3)
    run = quiet.run
    assert (run.epoch, run.step, run.outcome, run.is_epoch_complete) == (2, 3, "completed", True)
    assert as_plain(run.native_logs) == as_plain(found)
    with pytest.raises(BrokenError):
        train(ol.for_xgboost(quiet), obj=objective_that_raises(BrokenError("no"), at=2))
    run = quiet.run
    assert (run.epoch, run.step, run.outcome, run.is_epoch_complete) == (2, 2, "failed", False)
    train(ol.for_xgboost(quiet), Theirs(after_iteration=lambda epoch: epoch == 1))
    assert (quiet.run.outcome, quiet.run.step) == ("stopped", 2)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("flag", [True, False], ids=["model.stop_training", "run.stop"])
def test_a_run_that_nobody_listens_to_is_stopped_by_somebody_else(flag, is_first):
    quiet, seen = ol.Callback(), Recorder()

    def stop(epoch):
        if epoch == 1 and flag:
            quiet.model.stop_training = True
        elif epoch == 1:
            quiet.run.stop("enough")

    callbacks = [Theirs(after_iteration=stop), ol.for_xgboost(quiet), ol.for_xgboost(seen)]
    booster, _ = train(*(callbacks if is_first else callbacks[::-1]), rounds=9)
    reason = "model.stop_training was set to True" if flag else "enough"
    for run in (quiet.run, seen.run):
        assert (run.epoch, run.step, run.outcome, run.reason) == (1, 2, "stopped", reason)
    assert (booster.num_boosted_rounds(), set(vars(booster))) == (2, {"handle"})


@pytest.mark.parametrize("flag", [True, False], ids=["model.stop_training", "run.stop"])
def test_a_run_that_nobody_listens_to_is_stopped_where_no_other_callback_is(flag):
    quiet = ol.Callback()

    def objective(predicted, of):
        if quiet.run.epoch == 1 and flag:
            quiet.model.stop_training = True
        elif quiet.run.epoch == 1:
            quiet.run.stop("enough")
        return predicted - of.get_label(), np.ones_like(predicted)

    booster, _ = train(ol.for_xgboost(quiet), rounds=9, obj=objective)
    reason, run = "model.stop_training was set to True" if flag else "enough", quiet.run
    assert (run.epoch, run.step, run.outcome, run.reason) == (1, 2, "stopped", reason)
    assert run.is_epoch_complete
    assert booster.num_boosted_rounds() == 2


@pytest.mark.parametrize("is_first", [True, False])
def test_a_run_that_nobody_listens_to_knows_where_it_stands_all_the_time(is_first):
    quiet, found = ol.Callback(), []

    def objective(predicted, of):
        run = quiet.run
        found.append((run.epoch, run.step, run.is_epoch_complete))
        return predicted - of.get_label(), np.ones_like(predicted)

    callbacks = [Theirs(), ol.for_xgboost(quiet), ol.for_xgboost()]
    train(*(callbacks if is_first else callbacks[::-1]), rounds=3, obj=objective)
    assert found == [(0, 0, False), (1, 1, False), (2, 2, False)]


def test_one_that_listens_to_the_end_only_gets_the_last_logs():
    class AtLast(ol.Callback):
        def on_train_end(self, logs):
            self.logs = dict(logs)

    last = AtLast()
    _, found = train(ol.for_xgboost(last))
    assert last.logs == {"loss": found["train"]["logloss"][-1], "val_loss": found["eval"]["logloss"][-1]}


def test_a_first_round_that_another_callback_keeps_from_us():
    seen = Recorder()
    _, found = train(Theirs(after_iteration=lambda epoch: True), ol.for_xgboost(seen))
    assert [logs["val_loss"] for logs in seen.check().logs("on_epoch_end")] == found["eval"]["logloss"]


def test_one_that_listens_to_the_begin_only_may_stop():
    class AtOnce(ol.Callback):
        def on_train_begin(self, logs):
            self.run.stop("at once")

    booster, _ = train(ol.for_xgboost(AtOnce()))
    assert booster.num_boosted_rounds() == 0


def test_the_booster_is_a_plain_one_again():
    def stop(callback, hook, *given):
        if hook == "on_epoch_end":
            callback.model.stop_training = True

    seen = Recorder(stop)
    booster, _ = train(ol.for_xgboost(seen))
    assert type(booster) is xgboost.Booster
    assert set(vars(booster)) == {"handle"}
    assert seen.model is booster


def test_native_logs_are_xgboosts_own():
    kept = []
    seen = Recorder(lambda callback, hook, *given: kept.append((hook, as_plain(callback.run.native_logs))))
    _, found = train(ol.for_xgboost(seen), rounds=2)
    at_end = [logs for hook, logs in kept if hook == "on_epoch_end"]
    assert at_end[1] == as_plain(found)
    assert at_end[0] == {name: {"logloss": one["logloss"][:1]} for name, one in found.items()}
    assert kept[1] == ("on_epoch_begin", {})


# Names in the logs.


def names_of(callback=None, **settings):
    watch = Watch()
    _, found = train(ol.for_xgboost(watch, **(callback or {})), rounds=1, **settings)
    return watch.seen[0][1], found


def test_names():
    logs, found = names_of()
    assert logs == {"loss": found["train"]["logloss"][0], "val_loss": found["eval"]["logloss"][0]}


def test_what_is_trained_on_is_known_by_itself_and_not_by_its_name():
    logs, found = names_of(evals="training")
    assert logs == {"loss": found["a"]["logloss"][0]}


def test_names_that_are_given():
    logs, found = names_of({"training": "eval", "validation": "train"})
    assert logs == {"loss": found["eval"]["logloss"][0], "val_loss": found["train"]["logloss"][0]}
    logs, found = names_of({"validation": "train"})
    assert logs["val_loss"] == found["train"]["logloss"][0]


def test_several_metrics_and_which_is_the_loss():
    metrics = {"eval_metric": ["auc", "error", "logloss"]}
    assert list(names_of(parameters=metrics)[0]) == ["auc", "loss", "logloss", "val_auc", "val_loss", "val_logloss"]
    logs, found = names_of({"loss": "logloss"}, parameters=metrics)
    assert (logs["loss"], logs["val_error"]) == (found["train"]["logloss"][0], found["eval"]["error"][0])
    assert list(names_of(parameters={"eval_metric": "auc"})[0]) == ["auc", "val_auc"]


def profit(predicted, of):
    """Return a metric of the user's own of which more is better; its name says nothing of it."""
    return "profit", float(((predicted > 0.5) == (of.get_label() > 0.5)).mean())


NO_METRIC = {"disable_default_eval_metric": True}


def early(**told):
    return EarlyStopping(rounds=9, **told)


@pytest.mark.parametrize(
    ("beside", "settings"),
    [
        ((), {"maximize": True}),
        ((), {"maximize": True, "early_stopping_rounds": 9}),
        ((early(maximize=True),), {}),
        ((early(maximize=True, metric_name="profit", data_name="train"),), {}),
    ],
    ids=["maximize", "early_stopping_rounds", "EarlyStopping", "EarlyStopping_of_one"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_what_xgboost_was_told_to_maximize_is_no_loss(beside, settings, is_first):
    watch = Watch()
    callbacks = [ol.for_xgboost(watch), *beside]
    train(
        *(callbacks if is_first else callbacks[::-1]), rounds=2, custom_metric=profit, parameters=NO_METRIC, **settings
    )
    assert [list(logs) for _, logs in watch.seen] == [["profit", "val_profit"]] * 2
    watch.seen.clear()
    train(*callbacks, rounds=1, custom_metric=profit, **settings)
    assert list(watch.seen[0][1]) == ["loss", "profit", "val_loss", "val_profit"]


def test_what_xgboost_was_not_told_to_maximize_is_a_loss():
    watch = Watch()
    train(ol.for_xgboost(watch), early(maximize=False), rounds=1, custom_metric=profit, parameters=NO_METRIC)
    assert list(watch.seen[0][1]) == ["loss", "val_loss"]
    train(ol.for_xgboost(watch, loss="profit"), early(maximize=True), rounds=1, custom_metric=profit)
    assert list(watch.seen[1][1]) == ["logloss", "loss", "val_logloss", "val_loss"]


def test_what_is_maximized_in_cross_validation_is_no_loss():
    watch = Watch()
    xgboost.cv(
        {**PARAMETERS, **NO_METRIC},
        data()[0],
        2,
        custom_metric=profit,
        maximize=True,
        callbacks=[ol.for_xgboost(watch)],
    )
    assert list(watch.seen[0][1]) == ["profit", "profit_std", "val_profit", "val_profit_std"]


def test_what_is_maximized_in_an_estimator_is_no_loss():
    for metric, callbacks in ((roc_auc_score, []), (sharpness, [early(maximize=True)])):
        watch = Watch()
        one = xgboost.XGBClassifier(
            n_estimators=1, eval_metric=metric, callbacks=[*callbacks, ol.for_xgboost(watch)], **NO_METRIC
        )
        one.fit(X, Y, eval_set=[(X[80:], Y[80:])], verbose=False)
        assert list(watch.seen[0][1]) == [f"val_{metric.__name__}"]


def sharpness(labels, predicted):
    return float(np.abs(predicted - 0.5).mean())


def test_nothing_is_evaluated():
    seen = Recorder()
    train(ol.for_xgboost(seen), rounds=1, evals="none")
    assert seen.check().hooks == ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"]
    assert seen.logs("on_epoch_end") == [{}]


@pytest.mark.parametrize("given", [{"training": "dev"}, {"validation": "dev"}], ids=str)
@pytest.mark.parametrize("evals", ["both", "none"])
def test_a_data_set_that_is_not_there_is_refused_before_the_first_round(given, evals):
    watch = Recorder()
    with pytest.raises(AttachError, match=r"no data set is called 'dev'; evaluated are: (train, eval|none)"):
        train(ol.for_xgboost(watch, **given), evals=evals)
    assert watch.events == []


def test_a_metric_that_is_not_there():
    seen = Recorder()
    with pytest.raises(AttachError, match="no metric is called 'auc'; evaluated are: logloss"):
        train(ol.for_xgboost(seen, loss="auc"))
    assert seen.check().hooks[-1] == "on_train_end"
    assert seen.run.outcome == "failed"


def test_one_name_for_both():
    with pytest.raises(AttachError, match="training and validation are both 'eval'"):
        ol.for_xgboost(training="eval", validation="eval")


def test_a_metric_that_is_no_number_is_refused_by_xgboost_itself():
    seen = Recorder()
    with pytest.raises(TypeError):
        train(ol.for_xgboost(seen), custom_metric=lambda predicted, of: ("mine", "high"))
    assert seen.check().hooks[-1] == "on_train_end"
    assert seen.run.outcome == "failed"


def test_a_metric_that_is_nan():
    watch = Watch()
    with pytest.warns(OnlookerWarning, match="NaN"):
        train(ol.for_xgboost(watch), rounds=1, custom_metric=lambda predicted, of: ("mine", float("nan")))
    assert np.isnan(watch.seen[0][1]["val_mine"])


# What is passed.


@pytest.mark.parametrize("wrong", [Watch, object(), lambda: None, EarlyStopping(rounds=1)], ids=without_address)
def test_no_callback(wrong):
    with pytest.raises(AttachError):
        ol.for_xgboost(wrong)


def test_one_instance_twice():
    watch = Watch()
    with pytest.raises(AttachError, match="passed twice"):
        ol.for_xgboost(watch, watch)


def test_without_the_adapter():
    with pytest.raises(TypeError, match="must be an instance of `TrainingCallback`"):
        train(Watch())


def test_the_same_adapter_within_itself():
    refused = []

    def again(callback, hook, *given):
        if hook == "on_epoch_begin" and not refused:
            with pytest.raises(AttachError, match=r"for_xgboost\(Recorder\) is in a training that is under way"):
                train(adapter)
            refused.append(True)

    seen = Recorder(again)
    adapter = ol.for_xgboost(seen)
    train(adapter, rounds=2)
    assert refused == [True]
    assert seen.check().run.outcome == "completed"


# Beside XGBoost's own callbacks.


def test_in_the_order_given():
    notes = []

    def note(name):
        return Recorder(lambda callback, hook, index, logs: notes.append((name, hook)))

    first, second = ol.for_xgboost(note("one")), ol.for_xgboost(note("two"))
    train(first, Theirs(notes=notes), second, rounds=1, evals="none")
    assert notes == [
        ("theirs", "before_training"),
        ("one", "on_train_begin"),
        ("one", "on_epoch_begin"),
        ("theirs", "before_iteration", 0),
        ("two", "on_train_begin"),
        ("two", "on_epoch_begin"),
        ("one", "on_epoch_end"),
        ("theirs", "after_iteration", 0),
        ("two", "on_epoch_end"),
        ("one", "on_train_end"),
        ("theirs", "after_training"),
        ("two", "on_train_end"),
    ]


def test_in_the_order_given_where_xgboost_keeps_none(monkeypatch):
    class Backwards(set):
        """A set that comes in the order that was not given."""

        def __iter__(self):
            return iter(sorted(super().__iter__(), key=lambda one: getattr(one, "name", "ours")))

    class OldContainer(CallbackContainer):
        """As up to XGBoost 3.0."""

        def __init__(self, callbacks, *given, **named):
            super().__init__(callbacks, *given, **named)
            self.callbacks = Backwards(callbacks)

    monkeypatch.setattr("xgboost.training.CallbackContainer", OldContainer)
    seen = Recorder()
    booster, _ = train(Theirs("z", before_iteration=lambda epoch: epoch == 2), ol.for_xgboost(seen), Theirs("a"))
    assert [event.index for event in seen.check().of("on_epoch_begin")] == [0, 1], (
        "it is asked after the one that stops"
    )
    assert booster.num_boosted_rounds() == 2


@pytest.mark.parametrize("is_first", [True, False])
def test_early_stopping_of_xgboosts_own(is_first):
    seen = Recorder()
    theirs = EarlyStopping(rounds=3)
    ours = ol.for_xgboost(seen)
    booster, found = train(*([ours, theirs] if is_first else [theirs, ours]), rounds=60)
    rounds = booster.num_boosted_rounds()
    assert rounds < 60
    assert [event.index for event in seen.check().of("on_epoch_end")] == list(range(rounds))
    assert [logs["val_loss"] for logs in seen.logs("on_epoch_end")] == found["eval"]["logloss"]
    assert (seen.run.outcome, seen.run.step) == ("stopped", rounds)
    best = booster.best_iteration
    assert seen.run.reason == f"EarlyStopping: logloss of eval has not improved for 3 rounds; best in epoch {best}"
    assert seen.run.stopped_by is None
    assert seen.run.is_epoch_complete


def test_early_stopping_that_does_not_come_to_it():
    seen = Recorder()
    train(ol.for_xgboost(seen), early_stopping_rounds=50)
    assert (seen.run.outcome, seen.run.reason) == ("completed", "")


def test_early_stopping_that_keeps_the_best(tmp_path):
    rounds, path = [], str(tmp_path / "run.ubj")

    def note(callback, hook, *given):
        rounds.append((hook, callback.model.num_boosted_rounds()))
        callback.run.save(path)

    seen = Recorder(note)
    booster, _ = train(EarlyStopping(rounds=3, save_best=True), ol.for_xgboost(seen), rounds=60)
    assert seen.run.model is seen.model is booster
    assert rounds[-1] == ("on_train_end", booster.best_iteration + 1)
    assert rounds[-2] == ("on_epoch_end", booster.best_iteration + 4)
    assert xgboost.Booster(model_file=path).num_boosted_rounds() == booster.best_iteration + 1


def test_early_stopping_that_has_not_stopped_it():
    seen = Recorder()
    theirs = Theirs(after_iteration=lambda epoch: epoch == 1)
    train(ol.for_xgboost(seen), EarlyStopping(rounds=20), theirs)
    assert seen.run.reason == "one of XGBoost's own callbacks has stopped it"


def test_one_callback_in_two_adapters():
    seen, other = Recorder(), Recorder()
    with pytest.raises(AttachError, match="already in a run that is under way"):
        train(ol.for_xgboost(seen), ol.for_xgboost(other, seen))
    assert seen.check().run.outcome == "failed"
    assert other.events == []
    train(ol.for_xgboost(seen, other))


@pytest.mark.parametrize("method", ["before_iteration", "after_iteration"])
@pytest.mark.parametrize("is_first", [True, False])
def test_another_callback_that_stops(method, is_first):
    seen = Recorder()
    ours, theirs = ol.for_xgboost(seen), Theirs(**{method: lambda epoch: epoch == 1})
    booster, _ = train(*([ours, theirs] if is_first else [theirs, ours]))
    begun = booster.num_boosted_rounds() + (method == "before_iteration" and is_first)
    assert len(seen.check().of("on_epoch_end")) == begun
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "one of XGBoost's own callbacks has stopped it")
    assert seen.run.is_epoch_complete is (begun == booster.num_boosted_rounds())


@pytest.mark.parametrize("is_first", [True, False])
def test_when_we_stop_all_others_hear_the_round_to_its_end(is_first):
    stopper, theirs = stopping(2), Theirs()
    ours, early = ol.for_xgboost(stopper), EarlyStopping(rounds=10)
    booster, found = train(*([ours, theirs, early] if is_first else [theirs, early, ours]), rounds=10)
    assert booster.num_boosted_rounds() == 3
    assert len(found["eval"]["logloss"]) == 3
    assert ("theirs", "after_iteration", 2) in theirs.notes
    assert booster.best_iteration == int(np.argmin(found["eval"]["logloss"]))
    assert (stopper.run.outcome, stopper.run.reason, stopper.run.stopped_by) == ("stopped", "enough", "Recorder")


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end"])
@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_adapters_one_stops(hook, is_first):
    seen, stopper = Recorder(), stopping(1, hook=hook)
    adapters = [ol.for_xgboost(stopper), ol.for_xgboost(seen)]
    booster, _ = train(*(adapters if is_first else reversed(adapters)))
    assert booster.num_boosted_rounds() == (2 if hook == "on_epoch_end" else 1)
    assert (seen.check().run.outcome, seen.run.reason) == ("stopped", "enough")
    assert stopper.check().run.reason == "enough"


def test_a_stop_in_the_last_round():
    def stop(callback, hook, index, logs):
        if (hook, index) == ("on_epoch_end", 3):
            callback.model.stop_training = True

    seen = Recorder(stop)
    train(ol.for_xgboost(seen))
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "model.stop_training was set to True")


# Cut off.


def objective_that_raises(error, at=1):
    rounds = []

    def objective(predicted, of):
        rounds.append(0)
        if len(rounds) == at + 1:
            raise error
        return predicted - of.get_label(), np.ones_like(predicted)

    return objective


@pytest.mark.parametrize("error", [BrokenError("no"), KeyboardInterrupt()], ids=["an exception", "Ctrl-C"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("place", ["objective", "metric", "before_iteration", "after_iteration", "after_training"])
def test_closed_whatever_raises(error, is_first, place):
    seen, other = Recorder(), Recorder()
    theirs = Theirs(**({} if place in ("objective", "metric") else {place: raising(error)}))
    adapters = [ol.for_xgboost(seen), ol.for_xgboost(other)]
    settings = {}
    if place == "objective":
        settings["obj"] = objective_that_raises(error)
    if place == "metric":
        settings["custom_metric"] = raising_metric(error)
    with pytest.raises(type(error)) as caught:
        train(*([theirs, *adapters] if not is_first else [*adapters, theirs]), **settings)
    assert caught.value is error
    outcome = "failed" if isinstance(error, Exception) else "interrupted"
    for one in (seen, other):
        one.check()
        assert one.hooks[-1] == "on_train_end"
        assert not one.run.is_live
        is_over = is_first and place == "after_training"
        assert one.run.outcome == ("completed" if is_over else outcome)
        assert type(one.model) is xgboost.Booster


def raising_metric(error):
    calls = []

    def metric(predicted, of):
        calls.append(0)
        if len(calls) == 3:
            raise error
        return "mine", 0.0

    return metric


def test_an_error_that_a_hook_deals_with_ends_nothing():
    def update(callback, hook, *given):
        if hook == "on_train_begin":
            with pytest.raises(TypeError):
                callback.model.update("no data", iteration=0)

    seen = Recorder(update)
    with pytest.raises(BrokenError):
        train(ol.for_xgboost(seen), obj=objective_that_raises(BrokenError("no")))
    assert seen.check().hooks[-1] == "on_train_end"
    assert (seen.run.outcome, seen.run.step) == ("failed", 1)


def test_an_error_before_the_training_begins_for_nobody():
    seen = Recorder()
    with pytest.raises(BrokenError):
        train(ol.for_xgboost(seen), Theirs(before_training=raising()))
    assert seen.events == []


def test_one_that_is_cut_off_unseen_is_closed_when_the_adapter_is_used_next():
    seen = Recorder()
    adapter = ol.for_xgboost(seen)
    trained_on = data()[0]
    booster = xgboost.Booster(PARAMETERS, [trained_on])
    adapter.before_training(model=booster)  # by hand: there is no container to look at
    adapter.before_iteration(booster, 0, {})
    booster.update(trained_on, iteration=0)
    train(adapter, rounds=1)
    assert type(booster) is xgboost.Booster
    ends = [event for event in seen.check().events if event.hook == "on_train_end"]
    assert [event.run["outcome"] for event in ends] == ["interrupted", "completed"]


def test_called_by_hand():
    """By somebody who calls callbacks without XGBoost's container: all is there but the number of rounds."""
    seen = Recorder()
    adapter = ol.for_xgboost(seen)
    trained_on = data()[0]
    booster = adapter.before_training(model=xgboost.Booster(PARAMETERS, [trained_on]))
    for number in range(2):
        assert not adapter.before_iteration(booster, number, {})
        booster.update(trained_on, iteration=number)
        adapter.after_iteration(booster, number, {"train": {"logloss": [0.5] * (number + 1)}})
    assert adapter.after_training(model=booster) is booster
    assert seen.check().logs("on_epoch_end") == [{"loss": 0.5}] * 2
    assert (seen.run.outcome, seen.params["epochs"]) == ("completed", None)
    assert seen.run.native_logs == {"train": {"logloss": [0.5, 0.5]}}


# Copies of the booster.


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_that_a_callback_makes_are_plain_boosters(make):
    copies = []
    seen = Recorder(lambda callback, *given: copies.append(make(callback.model)))
    booster, _ = train(
        ol.for_xgboost(seen), ol.for_xgboost(Watch()), ol.for_xgboost(seen_too := Recorder(seen.act)), rounds=2
    )
    assert len(copies) == len(seen.events) + len(seen_too.events)
    assert {type(one) for one in copies} == {xgboost.Booster}
    kept = next(one for one in copies if one.num_boosted_rounds() == 1)
    kept.update(data()[0], iteration=1)
    assert (kept.num_boosted_rounds(), booster.num_boosted_rounds()) == (2, 2)


def test_xgboosts_checkpoints(tmp_path):
    train(ol.for_xgboost(Watch()), TrainingCheckPoint(tmp_path, as_pickle=True, interval=1))
    for name in os.listdir(tmp_path):
        with open(tmp_path / name, "rb") as file:
            assert type(pickle.load(file)) is xgboost.Booster


# The learning rate.


@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
def test_learning_rate(booster):
    rates = []

    def change(callback, hook, index, logs):
        if hook == "on_epoch_begin":
            rates.append(callback.run.learning_rate)
            callback.run.scale_learning_rate(0.5)

    train(ol.for_xgboost(Recorder(change)), rounds=3, parameters={"booster": booster, "verbosity": 0})
    assert rates == [0.5, 0.25, 0.125]


def test_xgboosts_own_scheduler_is_seen_and_a_change_counts():
    rates, dumps = [], []

    def look(callback, hook, index, logs):
        if hook == "on_epoch_begin":
            rates.append(callback.run.learning_rate)

    booster, _ = train(ol.for_xgboost(Recorder(look)), LearningRateScheduler(lambda epoch: 0.1), rounds=2)
    assert rates == [0.5, 0.1]

    def change(callback, hook, index, logs):
        if hook == "on_epoch_end":
            callback.run.learning_rate = 0.1

    same, _ = train(ol.for_xgboost(Recorder(change)), rounds=2)
    dumps = [one.get_dump(with_stats=True) for one in (booster, same)]
    assert dumps[0] == dumps[1]


def test_rates_by_name():
    def change(callback, hook, *given):
        if hook == "on_epoch_begin":
            callback.run.learning_rate = {"a": 0.1}

    with pytest.raises(ValueError, match="a booster has one learning rate"):
        train(ol.for_xgboost(Recorder(change)))


# Going on.


def saver(path, at):
    def act(callback, hook, index, logs):
        if (hook, index) == ("on_epoch_end", at):
            callback.run.save(path)

    return Recorder(act)


def test_continued_training_counts_on():
    seen = Recorder()
    first, _ = train(rounds=3)
    train(ol.for_xgboost(seen), rounds=2, xgb_model=first)
    assert [event.index for event in seen.check(3).of("on_epoch_end")] == [3, 4]
    assert [event.run["step"] for event in seen.of("on_epoch_end")] == [4, 5]
    assert (seen.run.first_epoch, seen.run.is_resumed, seen.params["epochs"]) == (3, False, 5)


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
def test_resumed(tmp_path, suffix):
    path = str(tmp_path / f"run{suffix}")
    whole, whole_history = train(ol.for_xgboost(ol.callbacks.History(), saver(path, 1)), rounds=5)
    history, seen = ol.callbacks.History(), Recorder()
    booster, found = train(ol.for_xgboost(history, seen, resume=path), rounds=3, xgb_model=path)
    assert booster.save_raw() == whole.save_raw()
    assert history.history["val_loss"] == whole_history["eval"]["logloss"]
    assert found["eval"]["logloss"] == whole_history["eval"]["logloss"][2:]
    assert (seen.run.first_epoch, seen.run.step, seen.run.is_resumed, seen.params["epochs"]) == (2, 5, True, 5)


def test_resumed_without_the_model(tmp_path):
    path, seen = str(tmp_path / "run.ubj"), Recorder()
    train(ol.for_xgboost(saver(path, 1)))
    with pytest.raises(AttachError, match=r"saved after 2 rounds, but the booster has 0; pass xgb_model='.*run.ubj'"):
        train(ol.for_xgboost(seen, resume=path))
    assert seen.events == []


def test_resumed_from_what_is_no_file_of_ours(tmp_path):
    path = str(tmp_path / "model.ubj")
    booster, _ = train()
    booster.save_model(path)
    with pytest.raises(DataError, match=r"model.ubj.run.json is not there"):
        train(ol.for_xgboost(Recorder(), resume=path), xgb_model=path)


@pytest.mark.parametrize("name", ["run", "run.pt", "run.model"])
def test_a_suffix_that_xgboost_does_not_know(tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.json or \.ubj"):
        train(ol.for_xgboost(saver(str(tmp_path / name), 0)))
    assert os.listdir(tmp_path) == []


def test_saved_from_within_a_test(tmp_path):
    """The round's tree is there already: it cannot be begun again."""
    path, seen = str(tmp_path / "run.ubj"), Recorder()

    def save(callback, hook, index, logs):
        if hook == "on_test_end" and callback.run.epoch == 1:
            callback.run.save(path)

    train(ol.for_xgboost(Recorder(save)))
    train(ol.for_xgboost(seen, resume=path), rounds=1, xgb_model=path)
    assert [event.index for event in seen.of("on_epoch_end")] == [2]


def test_what_is_saved_is_a_model_like_any_other(tmp_path):
    path = str(tmp_path / "run.ubj")
    booster, _ = train(ol.for_xgboost(saver(path, 3)))
    assert sorted(os.listdir(tmp_path)) == ["run.ubj", "run.ubj.run.json"]
    assert xgboost.Booster(model_file=path).save_raw() == booster.save_raw()


@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
def test_loaded_again_in_the_middle(tmp_path, booster):
    path, found = str(tmp_path / "run.json"), []

    def act(callback, hook, index, logs):
        if (hook, index) == ("on_epoch_end", 0):
            callback.run.learning_rate = 0.25
            callback.run.save(path)
        if (hook, index) == ("on_epoch_end", 2):
            callback.run.learning_rate = 0.125
            callback.model.set_param({"max_depth": 1})
            callback.run.load(path)
            found.append((callback.model.num_boosted_rounds(), callback.run.learning_rate))
            found.append('"max_depth":"3"' in callback.model.save_config())  # gblinear has none

    train(ol.for_xgboost(Recorder(act)), parameters={"booster": booster, "verbosity": 0})
    assert found == [(1, 0.25), booster != "gblinear"]


def test_observing_may_be_seeded():
    drawn = []

    def draw(callback, *given):
        with callback.run.observing(seed=4):
            drawn.append(np.random.random())

    train(ol.for_xgboost(Recorder(draw)), rounds=1)
    assert set(drawn) == {np.random.RandomState(4).random_sample()}


# The scikit-learn interface.


def estimator(*callbacks, **settings):
    names = {name: settings.pop(name) for name in ("training", "validation") if name in settings}
    return xgboost.XGBClassifier(
        n_estimators=4, max_depth=2, n_jobs=1, callbacks=[ol.for_xgboost(*callbacks, **names)], **settings
    )


def test_an_estimator():
    seen, held_out = Recorder(), (X[80:], Y[80:])
    features, labels = X[:80], Y[:80]
    one = estimator(seen).fit(features, labels, eval_set=[(features, labels), held_out], verbose=False)
    results = one.evals_result()
    assert [logs["loss"] for logs in seen.check().logs("on_epoch_end")] == results["validation_0"]["logloss"]
    assert [logs["val_loss"] for logs in seen.logs("on_epoch_end")] == results["validation_1"]["logloss"]
    assert (seen.params["epochs"], seen.run.outcome) == (4, "completed")
    assert seen.model is one.get_booster()


def test_names_in_an_estimator():
    watch, held_out = Watch(), (X[80:], Y[80:])
    estimator(watch).fit(X[:80], Y[:80], eval_set=[held_out], verbose=False)
    assert list(watch.seen[0][1]) == ["val_loss"]
    watch = Watch()
    both = [(X[:80], Y[:80]), held_out]  # copies: nothing says that the first is what is trained on
    estimator(watch, training="validation_0").fit(X[:80], Y[:80], eval_set=both, verbose=False)
    assert list(watch.seen[0][1]) == ["loss", "val_loss"]


def test_an_estimator_that_stops_early():
    seen = Recorder()
    one = estimator(seen, early_stopping_rounds=2).set_params(n_estimators=60)
    one.fit(X[:80], Y[:80], eval_set=[(X[80:], Y[80:])], verbose=False)
    assert seen.run.outcome == "stopped"
    assert one.best_iteration == seen.run.step - 3


def test_a_regressor():
    watch = Watch()
    xgboost.XGBRegressor(n_estimators=2, callbacks=[ol.for_xgboost(watch)]).fit(X, Y, eval_set=[(X, Y)], verbose=False)
    assert [epoch for epoch, _ in watch.seen] == [0, 1]
    assert list(watch.seen[0][1]) == ["loss"]


def test_an_estimator_is_cloned_with_copies_of_the_callbacks():
    watch = Watch()
    one = estimator(watch)
    other = clone(one)
    other.fit(X, Y, verbose=False)
    assert watch.seen == []
    (copied,) = other.get_params()["callbacks"][0].follower.callbacks
    assert len(copied.seen) == 4
    assert "for_xgboost(Watch)" in repr(other)


def test_an_estimator_is_pickled_before_and_after():
    one = estimator(Watch())
    fitted = pickle.loads(pickle.dumps(one)).fit(X, Y, verbose=False)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    again.fit(X, Y, verbose=False)


def test_names_and_resume_go_into_copies(tmp_path):
    path = str(tmp_path / "run.ubj")
    train(ol.for_xgboost(saver(path, 1)))
    adapter = ol.for_xgboost(Watch(), training="eval", validation="train", resume=path)
    for one in (copy.copy(adapter), copy.deepcopy(adapter), pickle.loads(pickle.dumps(adapter))):
        _, found = train(one, rounds=1, xgb_model=path)
        (watch,) = one.follower.callbacks
        assert watch.seen.pop() == (2, {"loss": found["eval"]["logloss"][0], "val_loss": found["train"]["logloss"][0]})
        assert watch.run.is_resumed


def test_a_grid_search():
    search = GridSearchCV(estimator(Watch()), {"max_depth": [1, 2]}, cv=2, error_score="raise").fit(X, Y)
    (copied,) = search.best_estimator_.get_params()["callbacks"][0].follower.callbacks
    assert len(copied.seen) == 4


# Cross-validation.


def cross_validate(*callbacks, rounds=3, **settings):
    return xgboost.cv(
        PARAMETERS, xgboost.DMatrix(X, label=Y), rounds, nfold=3, as_pandas=False, callbacks=list(callbacks), **settings
    )


def test_cross_validation():
    seen = Recorder()
    found = cross_validate(ol.for_xgboost(seen))
    assert found == cross_validate()
    logs = seen.check().logs("on_epoch_end")
    assert list(logs[0]) == ["loss", "loss_std", "val_loss", "val_loss_std"]
    assert [one["val_loss"] for one in logs] == found["test-logloss-mean"]
    assert [one["val_loss_std"] for one in logs] == found["test-logloss-std"]
    assert [one["loss"] for one in logs] == found["train-logloss-mean"]
    assert seen.params["epochs"] == 3
    assert [type(fold.bst) for fold in seen.model.cvfolds] == [xgboost.Booster] * 3


def test_what_cross_validation_gives_and_what_not(tmp_path):
    said, rates = [], []

    def ask(callback, hook, *given):
        if hook == "on_epoch_begin":
            rates.append(callback.run.learning_rate)
            callback.run.learning_rate = 0.25
        for asked in (lambda: callback.run.save(str(tmp_path / "run.ubj")), callback.run.weights):
            with pytest.raises(AbsentError) as caught:
                asked()
            said.append(str(caught.value))

    cross_validate(ol.for_xgboost(Recorder(ask)), rounds=2)
    assert rates == [0.5, 0.25]
    assert "trains a booster for each fold and returns none of them" in said[0]
    needing = Recorder()
    needing.needs = ("save",)
    with pytest.raises(AttachError, match="needs 'save', which cannot be had from a _PackedBooster"):
        cross_validate(ol.for_xgboost(needing))
    train(ol.for_xgboost(needing))


def test_cross_validation_is_stopped_by_us_and_its_results_are_whole():
    stopper = stopping(1)
    found = cross_validate(ol.for_xgboost(stopper), rounds=10)
    assert {len(values) for values in found.values()} == {2}
    assert (stopper.check().run.outcome, stopper.run.reason) == ("stopped", "enough")


def test_cross_validation_stops_early():
    seen = Recorder()
    found = cross_validate(ol.for_xgboost(seen), rounds=60, **EARLY)
    assert found == cross_validate(rounds=60, **EARLY)
    assert seen.check().run.outcome == "stopped"
    assert seen.run.reason.startswith("EarlyStopping: logloss of test has not improved for 3 rounds")


def test_cross_validation_is_cut_off():
    seen = Recorder()
    with pytest.raises(KeyboardInterrupt):
        cross_validate(ol.for_xgboost(seen), obj=objective_that_raises(KeyboardInterrupt(), at=4))
    assert seen.check().hooks[-1] == "on_train_end"
    assert (seen.run.outcome, len(seen.of("on_epoch_end"))) == ("interrupted", 2)


# Records.


def test_importances_are_recorded():
    class Importances(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            self.run.record(ol.Scalars(self.model.get_score(importance_type="gain")))

    class Keeper(ol.Callback):
        def __init__(self):
            self.records = []

        def keep(self, record):
            self.records.append(record)

    keeper = Keeper()
    booster, _ = train(ol.for_xgboost(Importances(), keeper), rounds=2)
    assert [record.epoch for record in keeper.records] == [0, 1]
    assert keeper.records[1].values == booster.get_score(importance_type="gain")
