"""Stopping a loop: from the body and from every hook, by the run and by the model's flag."""

import pytest
import torch
from tests.recorder import Recorder
from torch import nn

import onlooker as ol
from onlooker.core.hooks import HOOKS


def run(loop, epochs=3, batches=3, tests=2):
    with loop:
        for _ in loop.epochs(epochs):
            for number in loop.train([1.0] * batches):
                loop.log(loss=number)
            for number in loop.test([1.0] * tests):
                loop.log(loss=number)
    return loop


def stopping_at(hook, epoch=1, reason="enough"):
    """A recorder that asks to stop in a hook, in the given epoch where the hook is in one."""

    def act(recorder, name, index, logs):
        if name == hook and recorder.run.epoch in (None, epoch):
            recorder.run.stop(reason)

    return Recorder(act)


# Which epochs end, and how many batches there are, by the hook in which the stop was asked for.
EXPECTED = {
    "on_train_begin": (0, 0, 0),
    "on_epoch_begin": (2, 3, 2),  # the epoch was begun, so it ends; its body is not entered
    "on_train_batch_begin": (2, 4, 4),
    "on_train_batch_end": (2, 4, 4),
    "on_test_begin": (2, 6, 4),  # a test within a training runs to its end
    "on_test_batch_begin": (2, 6, 4),
    "on_test_batch_end": (2, 6, 4),
    "on_test_end": (2, 6, 4),
    "on_epoch_end": (2, 6, 4),
}


@pytest.mark.parametrize("hook", EXPECTED)
def test_from_every_hook(hook):
    recorder, other = stopping_at(hook), Recorder()
    loop = run(ol.Loop(None, callbacks=[recorder, other]))
    recorder.check()
    assert other.check().hooks == recorder.hooks
    counts = tuple(len(other.of(name)) for name in ("on_epoch_end", "on_train_batch_end", "on_test_batch_end"))
    assert counts == EXPECTED[hook]
    assert (loop.run.outcome, loop.run.reason, loop.run.stopped_by) == ("stopped", "enough", "Recorder")
    last = other.last("on_train_end").run
    assert (last["outcome"], last["reason"]) == ("stopped", "enough")


def test_every_hook_is_tried():
    assert set(EXPECTED) == {hook for hook in HOOKS if "predict" not in hook} - {"on_train_end"}


def test_after_the_end_it_is_too_late():
    loop = run(ol.Loop(None, callbacks=[stopping_at("on_train_end", epoch=2)]))
    assert loop.run.outcome == "completed"


def test_from_the_last_batch_of_the_last_epoch_it_was_stopped_all_the_same():
    loop = run(ol.Loop(None, callbacks=[stopping_at("on_train_batch_end", epoch=2)]), batches=1)
    assert (loop.run.outcome, loop.run.epoch) == ("stopped", 2)


@pytest.mark.parametrize("reason", ["", "enough"])
def test_from_the_body(reason):
    with ol.Loop(None, callbacks=[recorder := Recorder()]) as loop:
        for _ in loop.epochs(3):
            for number in loop.train([1, 2, 3]):
                if number == 2:
                    loop.stop(reason)
            list(loop.test([1]))
    assert recorder.check().calls[-1] == ("on_train_end", None)
    assert len(recorder.of("on_train_batch_end")) == 2
    assert len(recorder.of("on_test_end")) == 1
    assert (loop.run.outcome, loop.run.reason, loop.run.stopped_by) == ("stopped", reason or "stopped", None)


def test_a_callback_without_a_reason_is_named():
    loop = run(ol.Loop(None, callbacks=[stopping_at("on_epoch_end", reason="")]))
    assert loop.run.reason == "stopped by Recorder"


def test_the_first_reason_stays():
    class First(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.run.stop("first")

    class Second(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.run.stop("second")

    loop = run(ol.Loop(None, callbacks=[First(), Second()]))
    assert (loop.run.reason, loop.run.stopped_by) == ("first", "First")


# Between trainings.


def test_a_stop_before_the_training_ends_it_before_its_first_epoch():
    with ol.Loop(None, callbacks=[recorder := Recorder()]) as loop:
        loop.stop("not today")
        assert list(loop.epochs(3)) == []
    assert recorder.check().hooks == ["on_train_begin", "on_train_end"]
    last = recorder.last("on_train_end").run
    assert (last["outcome"], last["reason"]) == (loop.run.outcome, loop.run.reason) == ("stopped", "not today")


@pytest.mark.parametrize("is_by_a_callback", [True, False])
@pytest.mark.parametrize("is_first_stopped", [True, False])
@pytest.mark.parametrize("kind", ["epochs", "train"])
def test_a_stop_between_two_trainings_is_for_the_second_only(kind, is_first_stopped, is_by_a_callback):
    class Asks(ol.Callback):
        def ask(self):
            self.run.stop("no more")

    def train(count):
        return sum(1 for _ in (loop.epochs(count) if kind == "epochs" else loop.train([1.0] * count)))

    with ol.Loop(None, callbacks=[recorder := Recorder(), asks := Asks()]) as loop:
        for _ in loop.epochs(2):
            if is_first_stopped:
                loop.stop("enough")
        asks.ask() if is_by_a_callback else loop.stop("no more")
        list(loop.test([1.0]))
        assert train(2) == 0
        assert (loop.run.outcome, loop.run.reason) == ("stopped", "no more")
        assert loop.run.stopped_by == ("Asks" if is_by_a_callback else None)
        assert train(2) == 2
    first, second, third = [(event.run["outcome"], event.run["reason"]) for event in recorder.of("on_train_end")]
    assert first == (("stopped", "enough") if is_first_stopped else ("completed", ""))
    assert (second, third) == (("stopped", "no more"), ("completed", ""))


@pytest.mark.parametrize("is_first_stopped", [True, False])
def test_a_stop_after_the_last_training_changes_nothing_about_how_that_ended(is_first_stopped):
    with ol.Loop(None) as loop:
        for _ in loop.epochs(2):
            if is_first_stopped:
                loop.stop("enough")
        loop.stop("too late")
    assert (loop.run.outcome, loop.run.reason) == (("stopped", "enough") if is_first_stopped else ("completed", ""))


def test_a_stop_after_a_break_is_why_the_training_was_left():
    with ol.Loop(None) as loop:
        for _ in loop.epochs(2):
            break
        loop.stop("seen enough")
    assert (loop.run.outcome, loop.run.reason) == ("stopped", "seen enough")


def test_an_error_after_a_stop_wins():
    def act(recorder, hook, index, logs):
        if hook == "on_train_batch_end":
            recorder.run.stop("enough")
        if hook == "on_epoch_end":
            raise ValueError("no")

    loop = ol.Loop(None, callbacks=[Recorder(act)])
    with pytest.raises(ValueError, match="no"):
        run(loop)
    assert (loop.run.outcome, loop.run.reason) == ("failed", "ValueError: no")


# The model's flag.


def flagged(model, hook, epoch=1):
    def act(recorder, name, index, logs):
        if name == hook and recorder.run.epoch in (None, epoch):
            model.stop_training = True

    return Recorder(act)


@pytest.mark.parametrize(
    "hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_end", "on_epoch_end"]
)
def test_stop_training_stops_as_in_keras(hook):
    model = nn.Linear(1, 1)
    by_flag, by_run = flagged(model, hook), stopping_at(hook)
    loop = run(ol.Loop(model, callbacks=[by_flag]))
    run(ol.Loop(model, callbacks=[by_run]))
    assert by_flag.check().hooks == by_run.check().hooks
    assert (loop.run.outcome, loop.run.reason) == ("stopped", "model.stop_training was set to True")


class AnyModel:
    """A model that is none of PyTorch's, but takes attributes."""


@pytest.mark.parametrize("make", [AnyModel, lambda: nn.Linear(1, 1), lambda: torch.compile(nn.Linear(1, 1))])
def test_wherever_the_model_takes_attributes(make):
    model = make()
    recorder = flagged(model, "on_epoch_end", epoch=0)
    run(ol.Loop(model, callbacks=[recorder]))
    assert len(recorder.check().of("on_epoch_end")) == 1


@pytest.mark.parametrize("is_compiled", [True, False])
def test_on_any_of_several_models(is_compiled):
    models = {"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)}
    if is_compiled:
        models["b"] = torch.compile(models["b"])
    recorder = flagged(models["b"], "on_epoch_end", epoch=0)
    run(ol.Loop(models, callbacks=[recorder]))
    assert len(recorder.check().of("on_epoch_end")) == 1


def test_a_flag_set_on_what_a_compiled_model_was_made_of():
    """`torch.compile` keeps attributes on the original, and a callback may hold either."""
    original = nn.Linear(1, 1)
    recorder = flagged(original, "on_epoch_end", epoch=0)
    run(ol.Loop(torch.compile(original), callbacks=[recorder]))
    assert len(recorder.check().of("on_epoch_end")) == 1


@pytest.mark.parametrize("make", [AnyModel, lambda: nn.Linear(1, 1), lambda: torch.compile(nn.Linear(1, 1))])
def test_a_stale_flag_is_cleared_at_the_beginning(make):
    model = make()
    model.stop_training = True
    loop = run(ol.Loop(model, callbacks=[recorder := Recorder()]))
    assert len(recorder.of("on_epoch_end")) == 3
    assert loop.run.outcome == "completed"
    assert model.stop_training is False


def test_a_flag_is_not_left_on_models_that_have_none():
    model = nn.Linear(1, 1)
    run(ol.Loop(model))
    assert "stop_training" not in model.__dict__


def test_a_flag_from_the_first_training_does_not_stop_the_second():
    model = nn.Linear(1, 1)
    recorder = flagged(model, "on_epoch_end", epoch=0)
    with ol.Loop(model, callbacks=[recorder]) as loop:
        for _ in loop.epochs(2):
            list(loop.train([1]))
        recorder.act = None
        for _ in loop.epochs(2):
            list(loop.train([1]))
    assert [event.index for event in recorder.check().of("on_epoch_end")] == [0, 0, 1]
    assert [event.run["outcome"] for event in recorder.of("on_train_end")] == ["stopped", "completed"]


# Stages that stand alone.


@pytest.mark.parametrize("stage", ["test", "predict"])
def test_a_stage_that_stands_alone_can_be_stopped(stage):
    def act(recorder, hook, index, logs):
        if hook == f"on_{stage}_batch_end" and index == 1:
            recorder.run.stop("seen enough")

    with ol.Loop(None, callbacks=[recorder := Recorder(act)]) as loop:
        assert len(list(getattr(loop, stage)([1] * 5))) == 2
        assert not loop.run.is_stop_requested
        recorder.act = None
        assert len(list(getattr(loop, stage)([1] * 5))) == 5
        assert len(list(loop.train([1] * 3))) == 3
    assert (recorder.check().last("on_train_end").run["outcome"], loop.run.reason) == ("completed", "")


def test_a_stop_in_a_stage_after_the_training_does_not_change_how_that_ended():
    with ol.Loop(None) as loop:
        for _ in loop.epochs(3):
            loop.stop("enough")
        for _ in loop.test([1, 2]):
            loop.stop("seen enough")
    assert (loop.run.outcome, loop.run.reason) == ("stopped", "enough")


def test_a_stop_from_within_a_silent_stage_stops_the_training():
    def act(recorder, hook, index, logs):
        if hook == "on_epoch_begin":
            for number in loop.test([1, 2, 3]):
                seen.append(number)
                loop.stop("seen enough")

    seen = []
    loop = ol.Loop(None, callbacks=[recorder := Recorder(act)])
    run(loop)
    assert seen == [1, 2, 3]
    assert len(recorder.check().of("on_epoch_end")) == 1
    assert loop.run.reason == "seen enough"


def test_train_without_epochs_stopped_before_its_first_batch():
    for hook in ("on_train_begin", "on_epoch_begin"):
        with ol.Loop(None, callbacks=[recorder := stopping_at(hook, epoch=0)]) as loop:
            assert list(loop.train([1, 2])) == []
        assert recorder.check().hooks[-1] == "on_train_end"
        assert loop.run.outcome == "stopped"


def test_a_stopped_training_does_not_complain_about_an_empty_loader():
    with ol.Loop(None, callbacks=[stopping_at("on_epoch_begin", epoch=0)]) as loop:
        for _ in loop.epochs(1):
            list(loop.train([]))
    assert loop.run.outcome == "stopped"


def test_a_stop_by_the_loader_is_no_callbacks():
    watch = ol.Callback()
    watch.on_train_batch_begin = watch.on_train_batch_end = lambda batch, logs: None

    def batches():
        yield 1.0
        loop.run.stop("enough")
        yield 2.0

    with ol.Loop(None, callbacks=[watch]) as loop:
        for _ in loop.train(batches()):
            pass
    assert (loop.run.reason, loop.run.stopped_by) == ("enough", None)


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
def test_a_stop_by_a_hook_that_is_a_plain_function_is_its_callbacks(hook):
    watch = ol.Callback()
    setattr(watch, hook, lambda batch, logs: loop.run.stop("enough"))
    with ol.Loop(None, callbacks=[watch]) as loop:
        for _ in loop.train([1.0, 2.0]):
            pass
    assert (loop.run.reason, loop.run.stopped_by) == ("enough", "Callback")
