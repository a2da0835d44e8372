"""`Follower`: whatever a foreign trainer tells, and however it ends, the grammar holds and the outcome is right."""

import pytest
from tests.recorder import Recorder

from onlooker.core.callback import Callback
from onlooker.core.declaration import Declaration, absent
from onlooker.core.errors import AttachError, OnlookerWarning
from onlooker.core.view import ModelView
from onlooker.hosts.follower import Follower, warn_of_number

HOST = Declaration("A trainer", use="for_it(Watch())", abilities={"weights": absent("it is a test")})


class Model:
    """Something that takes attributes."""


def follow(*callbacks):
    follower = Follower(callbacks, HOST)
    follower.start(ModelView(Model()), {"epochs": 2, "steps": 3})
    return follower


def train(follower, epochs=2, losses=(1.0, 2.0, 6.0), sizes=(8, 8, 4)):
    """Tell a follower of a whole training, as an adapter does."""
    follower.open("train")
    for epoch in range(follower.run.first_epoch, epochs):
        follower.open("epoch", epoch)
        for batch, (loss, size) in enumerate(zip(losses, sizes, strict=True)):
            follower.begin_batch("train_batch", batch, [[0] * size])
            follower.log({"loss": loss}, size)
            follower.end_batch(step=follower.run.step + 1)
        follower.open("test")
        follower.log_means({"loss": 0.5})
        follower.close("test")
        follower.close("epoch")
    follower.finish()


def test_a_training():
    seen = Recorder()
    follower = follow(seen)
    train(follower)
    assert seen.check().hooks[-1] == "on_train_end"
    assert [logs["loss"] for logs in seen.logs("on_train_batch_end")] == [1.0, 1.5, 2.4] * 2
    assert [event.batch["loss"] for event in seen.of("on_train_batch_end")] == [1.0, 2.0, 6.0] * 2
    assert seen.logs("on_test_end") == [{"loss": 0.5}] * 2
    assert seen.logs("on_epoch_end") == [{"loss": 2.4, "val_loss": 0.5}] * 2
    assert seen.last("on_train_end").logs == {"loss": 2.4, "val_loss": 0.5}
    assert [event.run["step"] for event in seen.of("on_epoch_end")] == [3, 6]
    assert (seen.run.outcome, seen.run.reason, seen.run.is_live) == ("completed", "", False)
    assert seen.params == {"epochs": 2, "steps": 3, "verbose": 0}
    assert seen.run.host is HOST


def test_what_a_trainer_leaves_open_is_closed_by_what_comes_next():
    seen = Recorder()
    follower = follow(seen)
    follower.open("train")
    follower.open("epoch", 0)
    follower.begin_batch("train_batch", 0)
    follower.open("test")  # a test may stand within a batch
    follower.open("epoch", 1)  # an epoch not
    follower.close("train")
    follower.finish()
    assert seen.check().calls == [
        ("on_train_begin", None),
        ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0),
        ("on_test_begin", None),
        ("on_test_end", None),
        ("on_train_batch_end", 0),
        ("on_epoch_end", 0),
        ("on_epoch_begin", 1),
        ("on_epoch_end", 1),
        ("on_train_end", None),
    ]


def test_what_was_not_begun_is_not_ended():
    seen = Recorder()
    follower = follow(seen)
    follower.open("train")
    assert follower.close("test") is None
    follower.end_batch()
    follower.finish()
    follower.finish()
    assert seen.hooks == ["on_train_begin", "on_train_end"]


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [(ValueError("no"), "failed", "ValueError: no"), (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt")],
)
@pytest.mark.parametrize("times", [1, 2])
def test_cut_off(error, outcome, reason, times):
    seen = Recorder()
    follower = follow(seen)
    follower.open("train")
    follower.open("epoch", 0)
    follower.begin_batch("train_batch", 0)
    for _ in range(times):
        follower.cut_off(error)
    assert seen.check().hooks[-3:] == ["on_train_batch_end", "on_epoch_end", "on_train_end"]
    assert (seen.run.outcome, seen.run.reason, seen.run.is_live) == (outcome, reason, False)


def test_an_error_within_a_guarded_function():
    seen = Recorder()
    follower = follow(seen)
    follower.open("train")

    def step(number, by):
        return number / by

    guarded = follower.guarded(step)
    assert guarded(6, by=2) == 3
    assert seen.run.is_live
    with pytest.raises(ZeroDivisionError):
        guarded(6, by=0)
    assert (seen.check().hooks[-1], seen.run.outcome) == ("on_train_end", "failed")


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"])
def test_what_a_callback_raises_closes_all_and_comes_through(hook):
    def fail(seen, name, index, logs):
        if name == hook:
            raise ValueError("no")

    culprit, seen = Recorder(fail), Recorder()
    with pytest.raises(ValueError, match="no"):
        train(follow(culprit, seen))
    assert seen.check().hooks[-1] == "on_train_end"
    assert (seen.run.outcome, seen.run.reason) == ("failed", "ValueError: no")


def test_an_error_in_the_last_hook():
    def fail(seen, name, index, logs):
        if name == "on_train_end":
            raise ValueError("no")

    seen = Recorder()
    with pytest.raises(ValueError, match="no"):
        train(follow(Recorder(fail), seen))
    assert seen.check().hooks[-1] == "on_train_end"
    assert not seen.run.is_live


@pytest.mark.parametrize(("hook", "outcome"), [("on_epoch_end", "failed"), ("on_train_end", "completed")])
def test_an_error_in_what_finish_closes(hook, outcome):
    def act(recorder, name, index, logs):
        if name == hook:
            raise ValueError("no")

    seen, after = Recorder(act), Recorder()
    follower = follow(seen, after)
    follower.open("train")
    follower.open("epoch", 0)
    with pytest.raises(ValueError, match="no"):
        follower.finish()
    assert after.check().hooks[-2:] == ["on_epoch_end", "on_train_end"]
    assert after.last("on_train_end").run["outcome"] == outcome
    assert (after.run.outcome, after.run.is_live) == (outcome, False)


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_end"])
def test_ctrl_c_in_what_an_error_closes(hook):
    def act(recorder, name, index, logs):
        if name == hook:
            raise KeyboardInterrupt

    seen = Recorder(act)
    follower = follow(seen)
    follower.open("train")
    follower.open("epoch", 0)
    with pytest.raises(KeyboardInterrupt):
        follower.cut_off(ValueError("no"))
    assert seen.check().hooks[-1] == "on_train_end"
    assert (seen.run.outcome, seen.run.reason) == ("failed", "ValueError: no")


def test_a_trainers_own_stop_has_its_reason_and_ours_goes_before():
    for asks, expected in ((False, ("stopped", "patience is over", None)), (True, ("stopped", "enough", None))):
        seen = Recorder()
        follower = follow(seen)
        follower.open("train")
        if asks:
            follower.run.stop("enough")
        assert follower.is_stopping() is asks
        follower.finish(stopped="patience is over")
        assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == expected
        assert seen.last("on_train_end").run["outcome"] == "stopped"


def test_the_models_flag_stops_and_an_old_one_does_not():
    follower, model = Follower([], HOST), Model()
    model.stop_training = True
    run = follower.start(ModelView(model))
    assert not follower.is_stopping()
    model.stop_training = True
    assert follower.is_stopping()
    assert run.reason == "model.stop_training was set to True"


def test_what_the_trainer_does_within_a_hook_is_not_followed():
    def evaluate(seen, hook, index, logs):
        if hook == "on_epoch_begin":
            assert follower.is_in_hook
            follower.open("test")
            follower.begin_batch("test_batch", 0)
            follower.log({"loss": 99.0})
            follower.end_batch()
            follower.close("test")

    seen = Recorder(evaluate)
    follower = follow(seen)
    train(follower, epochs=1)
    assert not follower.is_in_hook
    assert len(seen.check().of("on_test_begin")) == 1
    assert seen.last("on_epoch_end").logs == {"loss": 2.4, "val_loss": 0.5}


class Stateful(Callback):
    """Resets itself when a training begins, as callbacks do."""

    def __init__(self):
        self.epochs = []

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)

    def state_dict(self):
        return {"epochs": list(self.epochs)}

    def load_state_dict(self, state):
        self.epochs = list(state["epochs"])


def test_states_of_two_instances_of_one_class():
    first, second = follow(Stateful(), Stateful()), follow(Stateful(), Recorder(), Stateful())
    train(first)
    first.callbacks[1].epochs.append(99)
    second.load_state_dict(first.state_dict())
    run = second.start(ModelView(Model()))
    assert (run.is_resumed, run.first_epoch, run.step) == (True, 2, 6)
    train(second, epochs=3)
    assert second.callbacks[0].epochs == [0, 1, 2]
    assert second.callbacks[2].epochs == [0, 1, 99, 2]
    assert second.callbacks[1].check(first_epoch=2).of("on_epoch_begin")[0].index == 2
    assert second.state_dict()["next_epoch"] == 3


def test_a_run_after_a_resumed_one_is_not_resumed():
    follower = follow(Stateful())
    follower.load_state_dict({"next_epoch": 1, "step": 3, "callbacks": {"Stateful": {"epochs": [0]}}})
    follower.start(ModelView(Model()))
    train(follower)
    assert not follower.start(ModelView(Model())).is_resumed


def test_a_state_of_callbacks_that_are_not_there():
    follower = follow(Recorder())
    follower.load_state_dict({"next_epoch": 1, "step": 3, "callbacks": {"Stateful": {"epochs": [0]}}})
    follower.start(ModelView(Model()))
    with pytest.warns(OnlookerWarning, match="no callback for the saved state of Stateful"):
        follower.open("train")


def test_a_run_that_was_cut_off_unseen_is_closed_when_the_next_begins():
    seen = Recorder()
    follower = follow(seen)
    follower.open("train")
    follower.open("epoch", 0)
    before = seen.run
    follower.start(ModelView(Model()))
    assert seen.hooks[-2:] == ["on_epoch_end", "on_train_end"]
    assert (before.outcome, before.is_live) == ("interrupted", False)
    assert "tells nobody" in before.reason
    assert seen.run is not before


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (lambda: [Model()], "must be an onlooker.Callback"),
        (lambda: [Recorder], "Recorder is a class"),
        (lambda: [Recorder()] * 2, "passed twice"),
        (lambda: [type("Needs", (Callback,), {"needs": ("weights",)})()], "absent in A trainer: it is a test"),
        (lambda: [type("Typo", (Callback,), {"on_epoch_ends": lambda self, epoch, logs: None})()], "on_epoch_end"),
        (lambda: Recorder(), "must be a list"),
    ],
)
def test_refused_at_once(callbacks, message):
    with pytest.raises(AttachError, match=message):
        Follower(callbacks(), HOST)


def test_a_value_that_is_no_number():
    with pytest.warns(OnlookerWarning, match=r"'table' was logged by the trainer as \[1, 2\], which is no number"):
        warn_of_number("table", [1, 2])
