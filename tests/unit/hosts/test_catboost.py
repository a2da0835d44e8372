"""What `for_catboost` does in CatBoost that no other host can share."""

import warnings

import catboost
import pytest
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import AbsentError, AttachError


def make(kind=catboost.CatBoostClassifier, rounds=3, **params):
    settings = {"depth": 2, "thread_count": 1, "verbose": False, "allow_writing_files": False}
    return kind(iterations=rounds, **settings, **params)


def fit(model, *callbacks, held_out=True, **named):
    held_out = [(HELD_OUT_X, HELD_OUT_Y)] if held_out else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Can't optimze method")
        return model.fit(X, Y, eval_set=held_out, callbacks=[*callbacks], **named)


def scores(model):
    return model.predict(X, prediction_type="RawFormulaVal").tolist()


def at_epoch(epoch, act, hook="on_epoch_end"):
    """Return a callback that does something at an epoch."""

    def call(self, index, logs=None):
        if index == epoch:
            act(self)

    return type("Acting", (ol.Callback,), {hook: call})()


def stop_at(epoch):
    return at_epoch(epoch, lambda callback: callback.run.stop("enough"))


class Native:
    """A callback of CatBoost's own kind."""

    def __init__(self, act):
        self._act = act

    def after_iteration(self, info):
        return self._act(info)


def epochs_of(seen):
    return [event.index for event in seen.check().of("on_epoch_end")]


def test_names_and_values():
    seen = Recorder()
    model = fit(make(custom_metric=["AUC", "Accuracy"]), ol.for_catboost(seen))
    told = model.evals_result_
    for epoch, logs in enumerate(seen.logs("on_epoch_end")):
        names = ["loss", "Accuracy", "val_loss", "val_AUC", "val_Accuracy"]  # CatBoost spares AUC of what it trains on
        assert (sorted(logs), next(iter(logs))) == (sorted(names), "loss")
        assert logs["loss"] == told["learn"]["Logloss"][epoch]
        assert logs["val_AUC"] == told["validation"]["AUC"][epoch]
    assert seen.run.native_logs == told
    assert seen.params == {"epochs": 3, "steps": 1, "verbose": 0}
    assert seen.model is model


def test_what_is_minimized_is_the_loss():
    seen = Recorder()
    model = fit(make(catboost.CatBoostRegressor, custom_metric=["MAE"], eval_metric="R2"), ol.for_catboost(seen))
    assert list(seen.last("on_epoch_end").logs)[:2] == ["loss", "MAE"]
    assert seen.last("on_epoch_end").logs["loss"] == model.evals_result_["learn"]["RMSE"][-1]


class Objective:
    """What the user minimizes, with no name."""

    def calc_ders_range(self, approxes, targets, weights):
        return [(target - 0.5, -0.25) for target in targets]


@pytest.mark.parametrize("is_more_better", [True, False])
def test_a_metric_and_an_objective_of_the_users_own(is_more_better):
    class Gain:
        def is_max_optimal(self):
            return is_more_better

        def evaluate(self, approxes, target, weight):
            return 0.5, 1.0

        def get_final_error(self, error, weight):
            return error

    seen = Recorder()
    fit(make(loss_function=Objective(), eval_metric=Gain()), ol.for_catboost(seen))
    assert seen.last("on_epoch_end").logs["val_Gain" if is_more_better else "val_loss"] == 0.5
    fit(make(loss_function="Logloss", eval_metric=Gain()), ol.for_catboost(seen, loss="Gain"))
    assert seen.last("on_epoch_end").logs["val_loss"] == 0.5


def test_catboost_says_of_which_metric_more_is_better():
    seen = Recorder()
    fit(make(loss_function=Objective(), eval_metric="BalancedAccuracy"), ol.for_catboost(seen))
    assert set(seen.last("on_epoch_end").logs) == {"BalancedAccuracy", "val_BalancedAccuracy"}


def test_which_metrics_are_better_when_they_are_higher():
    seen = []

    class Asks(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(list(logs))

    names = ["Precision", "Accuracy"]
    fit(make(loss_function="Logloss", custom_metric=names, eval_metric="F1"), ol.for_catboost(Asks()))
    assert (seen[0][0], sorted(seen[0][:4])) == ("loss", ["Accuracy", "F1", "Precision", "loss"])


def test_without_held_out_data():
    seen = Recorder()
    fit(make(), ol.for_catboost(seen), held_out=False)
    assert [list(logs) for logs in seen.check().logs("on_epoch_end")] == [["loss"]] * 3
    assert seen.of("on_test_begin") == []


def test_rounds_without_metrics():
    seen, named = Recorder(), Recorder()
    fit(make(rounds=5, metric_period=3), ol.for_catboost(seen), ol.for_catboost(named, validation="validation"))
    assert [list(logs) for logs in seen.check().logs("on_epoch_end")] == [
        ["loss", "val_loss"],
        [],
        [],
        ["loss", "val_loss"],
        ["loss", "val_loss"],
    ]
    assert len(seen.of("on_test_end")) == 3
    assert seen.logs("on_epoch_end") == named.logs("on_epoch_end")


@pytest.mark.parametrize("early", [{}, {"early_stopping_rounds": 2}], ids=["", "early stopping"])
def test_what_catboost_returns_is_the_same_with_us_and_without(early):
    found = []
    for ours in ([], [ol.for_catboost(Recorder())]):
        model = make(rounds=30, learning_rate=0.9)
        fit(model, *ours, **early)
        found.append((scores(model), model.best_iteration_, model.evals_result_, model.tree_count_, set(vars(model))))
    assert found[0] == found[1]


def test_its_own_early_stopping_and_the_model_at_the_end(tmp_path):
    seen, found = Recorder(), []

    class Ends(ol.Callback):
        def on_train_end(self, logs=None):
            self.model.save_model(str(tmp_path / "model.cbm"))
            found.append((self.model.best_iteration_, self.model.tree_count_, scores(self.model)))

    model = make(rounds=60, learning_rate=0.9)
    fit(model, ol.for_catboost(seen, Ends()), early_stopping_rounds=2)
    assert found == [(model.best_iteration_, model.tree_count_, scores(model))]
    assert (tmp_path / "model.cbm").exists()
    assert len(epochs_of(seen)) == len(model.evals_result_["learn"]["Logloss"]) < 60
    reason = f"CatBoost's overfitting detector, with epoch {model.best_iteration_} as the best"
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("stopped", reason, None)


def test_our_stop_is_as_if_there_had_been_no_more_rounds():
    seen = Recorder()
    stopped, whole = make(rounds=9, learning_rate=0.5), make(rounds=2, learning_rate=0.5)
    fit(stopped, ol.for_catboost(stop_at(1), seen))
    fit(whole)
    assert scores(stopped) == scores(whole)
    assert stopped.evals_result_ == whole.evals_result_
    assert epochs_of(seen) == [0, 1]
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("stopped", "enough", "Acting")


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("is_first", [True, False], ids=["before ours", "after ours"])
def test_somebody_elses_stop(is_first, epoch):
    stopper, seen = Native(lambda info: info.iteration <= epoch), Recorder()
    ours = ol.for_catboost(seen)
    model = fit(make(rounds=9), *([stopper, ours] if is_first else [ours, stopper]))
    if is_first and epoch == 0:  # then CatBoost never calls ours
        assert (seen.events, model.tree_count_) == ([], 1)
        return
    assert epochs_of(seen) == [*range(epoch + 1)]
    assert seen.run.outcome == "stopped"
    reason = "Native has stopped it" if epoch else "one of CatBoost's own callbacks has stopped it"
    assert seen.run.reason == reason


def test_somebody_elses_stop_where_there_is_nothing_to_detect():
    seen = Recorder()
    fit(make(od_wait=3), ol.for_catboost(seen), Native(lambda info: False), held_out=False)
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "one of CatBoost's own callbacks has stopped it")


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_stop_by_one_adapter_ends_the_other_too(epoch):
    for stops_first in (True, False):
        seen = Recorder()
        adapters = [ol.for_catboost(stop_at(epoch)), ol.for_catboost(seen)]
        model = fit(make(rounds=9), *(adapters if stops_first else adapters[::-1]))
        assert model.tree_count_ == epoch + 1
        assert epochs_of(seen) == [*range(epoch + 1)]
        assert (seen.run.outcome, seen.run.reason) == ("stopped", "enough")


def test_beside_others_in_the_order_given():
    seen = []

    def note(name):
        return lambda info: seen.append((name, info.iteration - 1)) is None

    class Ours(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(("ours", epoch))

    callbacks = [Native(note("first")), ol.for_catboost(Ours()), Native(note("last"))]
    fit(make(), *callbacks)
    assert seen == [(name, epoch) for epoch in range(3) for name in ("first", "ours", "last")]
    assert [type(one).__name__ for one in callbacks] == ["Native", "CatBoostHost", "Native"]


def test_somebody_who_hears_no_round():
    class Begins(ol.Callback):
        def __init__(self, stops):
            self._stops = stops

        def on_train_begin(self, logs=None):
            if self._stops:
                self.run.stop("at once")

    for stops, rounds, outcome in ((False, 3, "completed"), (True, 1, "stopped")):
        quiet = Begins(stops)
        model = fit(make(), ol.for_catboost(quiet))
        run = quiet.run
        assert (model.tree_count_, run.epoch, run.step, run.outcome) == (rounds, rounds - 1, rounds, outcome)
        assert run.is_epoch_complete
        assert run.native_logs == model.evals_result_


def test_one_adapter_for_several_trainings():
    seen = Recorder()
    adapter, model = ol.for_catboost(seen), make()
    for one in (model, make(), model):
        fit(one, adapter)
        assert epochs_of(seen) == [0, 1, 2]
        assert all("loss" in logs for logs in seen.logs("on_epoch_end"))
        assert seen.run.outcome == "completed"
        seen.events.clear()


def test_a_training_from_within_a_hook_is_silent():
    seen, inner = Recorder(), Recorder()

    def act(callback):
        fit(make(rounds=2), adapter, ol.for_catboost(inner))

    adapter = ol.for_catboost(seen, at_epoch(1, act))
    fit(make(), adapter)
    assert (epochs_of(seen), epochs_of(inner)) == ([0, 1, 2], [0, 1])


def test_one_adapter_in_a_training_within_another_ends_the_outer_one():
    seen = Recorder()
    adapter = ol.for_catboost(seen)

    def nest(info):
        return fit(make(rounds=2), adapter) is not None if info.iteration == 2 else True

    assert fit(make(), adapter, Native(nest)).tree_count_ == 3
    assert epochs_of(seen) == [0, 1, 0, 1]
    assert [event.run["outcome"] for event in seen.of("on_train_end")] == ["interrupted", "completed"]


def test_continued_training_goes_on_counting():
    start, seen = fit(make(rounds=2), held_out=False), Recorder()
    fit(make(), ol.for_catboost(seen), held_out=False, init_model=start)
    assert [event.index for event in seen.check(2).of("on_epoch_end")] == [2, 3, 4]
    assert [event.run["step"] for event in seen.of("on_epoch_begin")] == [2, 3, 4]
    assert [event.run["step"] for event in seen.of("on_epoch_end")] == [3, 4, 5]
    assert (seen.run.first_epoch, seen.run.outcome, seen.params["epochs"]) == (2, "completed", 5)


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), KeyboardInterrupt()], ids=["an exception", "Ctrl-C"])
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end"])
@pytest.mark.parametrize("epoch", [0, 2])
def test_what_our_hooks_raise_comes_out_as_it_is_and_closes_all_adapters(error, hook, epoch):
    def fail(callback):
        raise error

    first, last, model = Recorder(), Recorder(), make(rounds=9)
    adapters = [ol.for_catboost(first), ol.for_catboost(at_epoch(epoch, fail, hook)), ol.for_catboost(last)]
    with pytest.raises(type(error)) as caught:
        fit(model, *adapters)
    assert caught.value is error
    for seen in (first, last):
        if seen.events:
            assert seen.check().hooks[-1] == "on_train_end"
            assert seen.run.outcome == ("failed" if isinstance(error, Exception) else "interrupted")
            assert not seen.run.is_live
    assert len(first.of("on_epoch_end")) == epoch + 1
    assert bool(last.events) == (epoch > 0)
    assert "_set_trained_model_attributes" not in vars(model)


def test_an_error_in_on_train_end():
    error, first, last = ZeroDivisionError("no"), Recorder(), Recorder()

    class Ends(ol.Callback):
        def on_train_end(self, logs=None):
            raise error

    model = make()
    with pytest.raises(ZeroDivisionError) as caught:
        fit(model, ol.for_catboost(first), ol.for_catboost(Ends()), ol.for_catboost(last))
    assert caught.value is error
    assert first.run.outcome == last.run.outcome == "completed"
    assert model.tree_count_ == 3


@pytest.mark.parametrize("is_first", [True, False], ids=["before ours", "after ours"])
def test_what_somebody_elses_callback_raises(is_first):
    def fail(info):
        return True if info.iteration < 3 else 1 / 0

    seen = Recorder()
    callbacks = [Native(fail), ol.for_catboost(seen)]
    with pytest.raises(catboost.CatBoostError, match="ZeroDivisionError"):
        fit(make(rounds=9), *(callbacks if is_first else callbacks[::-1]))
    assert epochs_of(seen) == ([0, 1] if is_first else [0, 1, 2])
    assert (seen.run.outcome, seen.run.reason) == ("failed", "ZeroDivisionError: division by zero")


class FailingMetric:
    """A metric of the user's that fails in the third round."""

    left = 0  # on the class: CatBoost trains with a copy

    def is_max_optimal(self):
        return True

    def evaluate(self, approxes, target, weight):
        FailingMetric.left -= 1
        return 1 / (self.left >= 0), 1.0

    def get_final_error(self, error, weight):
        return error


def cut_off(*callbacks):
    """Return a model whose training has been cut off in CatBoost itself, and can be trained again."""
    model = make(loss_function="Logloss", eval_metric=FailingMetric(), rounds=9)
    FailingMetric.left = 5
    with pytest.raises(catboost.CatBoostError, match="ZeroDivisionError"):
        fit(model, *callbacks)
    FailingMetric.left = 10**6
    return model


@pytest.mark.parametrize("by", ["adapter", "model"])
def test_what_nobody_could_see_is_closed_with_the_next_training(by):
    seen = Recorder()
    adapter = ol.for_catboost(seen)
    model = cut_off(adapter)
    assert seen.run.is_live
    fit(*((model,) if by == "model" else (make(), adapter)))
    assert not seen.run.is_live
    assert [event.run["outcome"] for event in seen.check().of("on_train_end")] == (
        ["interrupted"] if by == "model" else ["interrupted", "completed"]
    )
    other = Recorder()
    fit(model, ol.for_catboost(other))
    assert other.run.outcome == "completed"


def test_an_unseen_end_is_closed_by_another_adapter_on_the_same_model():
    seen, other = Recorder(), Recorder()
    fit(cut_off(ol.for_catboost(seen)), ol.for_catboost(other))
    assert (seen.run.outcome, other.run.outcome) == ("interrupted", "completed")


def test_what_cannot_be_had_says_why():
    found = []

    class Asks(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for ask in (lambda: self.run.weights(), lambda: self.run.learning_rate, lambda: self.run.save("x")):
                with pytest.raises(AbsentError, match="CatBoost gives the model out only when the training is over"):
                    ask()
                found.append(1)

    fit(make(rounds=1), ol.for_catboost(Asks()))
    assert found == [1, 1, 1]
    for need in ("save", "learning_rate", "observing"):
        with pytest.raises(AttachError, match=f"needs '{need}', which is absent in CatBoost"):
            ol.for_catboost(type("Needs", (ol.Callback,), {"needs": (need,)})())


def test_what_is_no_callback_is_refused_at_once():
    with pytest.raises(AttachError, match="object"):
        ol.for_catboost(object())


def test_names_that_are_not_evaluated():
    seen = Recorder()
    with pytest.raises(AttachError, match="no data set is called 'test'; evaluated are: learn, validation"):
        fit(make(), ol.for_catboost(seen, validation="test"))
    assert seen.check().hooks[-1] == "on_train_end"


def test_called_by_something_else():
    with pytest.raises(AttachError, match="by something else than the fit of a CatBoost model"):
        ol.for_catboost(ol.Callback()).after_iteration(None)


def test_several_data_sets():
    seen = Recorder()
    sets = [(HELD_OUT_X, HELD_OUT_Y), (X, Y)]
    make().fit(X, Y, eval_set=sets, callbacks=[ol.for_catboost(seen, validation="validation_1")])
    logs = seen.last("on_epoch_end").logs
    assert list(logs) == ["loss", "validation_0_loss", "val_loss"]
    assert logs["val_loss"] == pytest.approx(logs["loss"], rel=1e-3)
