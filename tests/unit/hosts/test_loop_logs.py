"""What was logged where, and which logs each hook gets from it."""

import math
import warnings

import numpy as np
import pytest
import torch
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import LogError, LoopError, OnlookerWarning


def loop_with(*callbacks):
    return ol.Loop(None, callbacks=list(callbacks))


def samples(*sizes):
    """Batches of so many samples, each with its number from 1 on."""
    return [torch.full((size, 2), float(number)) for number, size in enumerate(sizes, start=1)]


# Means.


def test_means_in_each_hook():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([1.0, 2.0, 6.0]):
                loop.log(loss=number)
            for number in loop.test([10.0, 20.0]):
                loop.log(loss=number)
    recorder.check()
    assert recorder.logs("on_train_batch_end") == [{"loss": 1.0}, {"loss": 1.5}, {"loss": 3.0}] * 2
    assert [event.batch for event in recorder.of("on_train_batch_end")] == [{"loss": n} for n in (1.0, 2.0, 6.0)] * 2
    assert recorder.logs("on_test_batch_end") == [{"loss": 10.0}, {"loss": 15.0}] * 2
    assert recorder.logs("on_test_end") == [{"loss": 15.0}] * 2
    assert recorder.logs("on_epoch_end") == [{"loss": 3.0, "val_loss": 15.0}] * 2
    assert recorder.logs("on_train_end") == [{"loss": 3.0, "val_loss": 15.0}]
    for hook in ("on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_test_begin", "on_test_batch_begin"):
        assert all(logs == {} for logs in recorder.logs(hook))
    for hook in ("on_epoch_end", "on_test_end", "on_train_end"):
        assert all(event.batch == {} for event in recorder.of(hook))


@pytest.mark.parametrize("stage", ["train", "test"])
@pytest.mark.parametrize("form", [torch.Tensor, tuple, dict])
def test_the_last_batch_is_smaller(stage, form):
    batches = samples(4, 4, 2)
    if form is tuple:
        batches = [(batch, None) for batch in batches]
    elif form is dict:
        batches = [{"x": batch} for batch in batches]
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            for batch in getattr(loop, stage)(batches):
                array = batch[0] if form is tuple else batch["x"] if form is dict else batch
                loop.log(loss=array.mean())
    name = "loss" if stage == "train" else "val_loss"
    assert recorder.last("on_epoch_end").logs == {name: pytest.approx((1 * 4 + 2 * 4 + 3 * 2) / 10)}
    assert [logs["loss"] for logs in recorder.logs(f"on_{stage}_batch_end")] == pytest.approx([1.0, 1.5, 1.8])


def test_weight_says_it_where_it_cannot_be_seen():
    with loop_with(recorder := Recorder()) as loop:
        for tokens in loop.train([3, 1]):
            loop.log(loss=float(tokens), weight=tokens)
    assert recorder.logs("on_train_end") == [{"loss": 2.5}]


def test_a_weight_for_these_values_only():
    with loop_with(recorder := Recorder()) as loop:
        for batch in loop.train(samples(1, 3)):
            loop.log(loss=float(batch[0, 0]))
            loop.log(tokens=float(batch[0, 0]), weight=5)
    assert recorder.logs("on_train_end") == [{"loss": 1.75, "tokens": 1.5}]


def test_the_weight_is_that_of_the_batch_also_after_a_test_within_it():
    with loop_with(recorder := Recorder()) as loop:
        for batch in loop.train(samples(1, 3)):
            for other in loop.test(samples(7)):
                loop.log(loss=float(other[0, 0]))
            loop.log(loss=float(batch[0, 0]))
    assert recorder.logs("on_train_end")[0]["loss"] == 1.75


@pytest.mark.parametrize("weight", [0, -1, -0.5, math.inf, math.nan], ids=repr)
def test_a_weight_that_is_none(weight):
    with loop_with() as loop:
        for _ in loop.train([1]):
            with pytest.raises(LogError, match="must be a positive number: how many samples"):
                loop.log(loss=1.0, weight=weight)


def test_a_name_in_some_batches_only_is_averaged_over_those():
    with loop_with(recorder := Recorder()) as loop:
        for number in loop.train([1.0, 2.0, 3.0]):
            loop.log(loss=number)
            if number != 2.0:
                loop.log(extra=number * 10)
    assert recorder.logs("on_train_batch_end")[1] == {"loss": 1.5, "extra": 10.0}
    assert recorder.of("on_train_batch_end")[1].batch == {"loss": 2.0}
    assert recorder.logs("on_train_end") == [{"loss": 2.0, "extra": 20.0}]


def test_the_last_value_counts_where_a_name_comes_twice_in_a_batch():
    with loop_with(recorder := Recorder()) as loop:
        for number in loop.train([1.0, 2.0]):
            loop.log(loss=100.0)
            loop.log(loss=number)
    assert recorder.logs("on_train_end") == [{"loss": 1.5}]


def test_a_batch_in_which_nothing_is_logged():
    with loop_with(recorder := Recorder()) as loop:
        for number in loop.train([1.0, 2.0]):
            if number == 1.0:
                loop.log(loss=number)
    assert recorder.logs("on_train_batch_end") == [{"loss": 1.0}, {"loss": 1.0}]
    assert recorder.of("on_train_batch_end")[1].batch == {}


def test_a_training_in_which_nothing_is_logged():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            list(loop.train([1]))
            list(loop.test([1]))
    assert all(event.logs == {} for event in recorder.check().events)


def test_each_epoch_begins_with_new_means():
    with loop_with(recorder := Recorder()) as loop:
        for epoch in loop.epochs(2):
            for number in loop.train([1.0, 3.0]):
                loop.log(loss=number * 10**epoch)
    assert recorder.logs("on_epoch_end") == [{"loss": 2.0}, {"loss": 20.0}]


# How values are given.


def test_names_that_are_no_identifiers():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.train([1]):
            loop.log({"loss/real": 1.0, "weight": 2.0, "values": 3.0}, self=4.0, fake=5.0)
    assert recorder.logs("on_train_end") == [{"loss/real": 1.0, "weight": 2.0, "values": 3.0, "self": 4.0, "fake": 5.0}]


def test_what_was_passed_is_left_alone():
    values = {"loss": torch.tensor(1.0)}
    with loop_with() as loop:
        for _ in loop.train([1]):
            loop.log(values, extra=1.0)
    assert list(values) == ["loss"]
    assert isinstance(values["loss"], torch.Tensor)


def test_numbers_of_all_kinds_come_out_as_floats():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.train([1]):
            loop.log(a=1, b=True, c=torch.tensor(1.0), d=np.float32(1), e=np.array([1]), f=torch.tensor([[1]]))
    (logs,) = recorder.logs("on_train_end")
    assert logs == dict.fromkeys("abcdef", 1.0)
    assert {type(value) for value in logs.values()} == {float}


@pytest.mark.parametrize("value", [None, "1", [1.0], torch.ones(3), np.ones(2), torch.ones(0)], ids=repr)
def test_what_is_no_number_names_the_key(value):
    with loop_with() as loop:
        for _ in loop.train([1]):
            with pytest.raises(LogError, match="'loss' was logged as"):
                loop.log(loss=value)


def test_a_tensor_that_is_changed_later_does_not_change_what_was_logged():
    kept = []

    class Keeps(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kept.append(logs)

    value = torch.tensor(0.0)
    with loop_with(Keeps()) as loop:
        for number in loop.train([1.0, 2.0]):
            value.fill_(number)
            loop.log(loss=value)
            value.fill_(-100.0)
    assert [(logs["loss"], logs.batch["loss"]) for logs in kept] == [(1.0, 1.0), (1.5, 2.0)]


# Outside of batches.


def test_in_an_epoch_but_outside_a_batch_it_is_a_value_of_the_epoch():
    with loop_with(recorder := Recorder()) as loop:
        for epoch in loop.epochs(2):
            loop.log(before=epoch)
            for number in loop.train([1.0, 3.0]):
                loop.log(loss=number)
            loop.log(after=torch.tensor(5.0))
            loop.log(after=7.0)
    assert recorder.logs("on_epoch_end") == [{"loss": 2.0, "before": float(epoch), "after": 7.0} for epoch in range(2)]


def test_a_value_of_the_epoch_wins_over_the_mean_of_that_name():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            for number in loop.train([1.0, 3.0]):
                loop.log(loss=number)
            loop.log(loss=9.0)
    assert recorder.logs("on_epoch_end") == [{"loss": 9.0}]


@pytest.mark.parametrize("place", ["before", "after"])
def test_where_there_is_nothing_to_log_to(place):
    with loop_with() as loop:
        if place == "after":
            list(loop.train([1]))
        with pytest.raises(LogError, match=r"nothing to log to here; log within loop.epochs, loop.train or loop.test"):
            loop.log(loss=1.0)


def test_after_a_test_that_was_left_it_is_a_value_of_the_epoch():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            for number in loop.test([1.0, 2.0]):
                loop.log(loss=number)
                break
            loop.log(score=5.0)
    assert recorder.check().logs("on_epoch_end") == [{"score": 5.0, "val_loss": 1.0}]


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_epoch_begin", "on_train_batch_end"])
def test_from_within_a_hook(hook):
    """From a batch's end hook on, that batch is over: what is logged then must not slip into the next one."""

    class Logs(ol.Callback):
        pass

    callback = Logs()
    setattr(callback, hook, lambda index, logs: loop.log(extra=float(index), weight=100))
    with loop_with(callback, recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            for number in loop.train([1.0, 2.0]):
                loop.log(loss=number)
    assert recorder.logs("on_epoch_end") == [
        {"loss": 1.5, "extra": {"on_train_batch_begin": 0.5, "on_epoch_begin": 0.0, "on_train_batch_end": 1.0}[hook]}
    ]
    batches = [event.batch for event in recorder.of("on_train_batch_end")]
    extra = [{"extra": 0.0}, {"extra": 1.0}] if hook == "on_train_batch_begin" else [{}, {}]
    assert batches == [{"loss": 1.0} | extra[0], {"loss": 2.0} | extra[1]]


# Tests.


def test_prefixes():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for prefix, factor in (("val", 1.0), ("holdout", 10.0), ("val_a", 100.0), ("va", 1000.0)):
                for number in loop.test([1.0, 3.0], prefix=prefix):
                    loop.log(loss=number * factor)
    assert (
        recorder.check().logs("on_epoch_end")
        == [{"val_loss": 2.0, "holdout_loss": 20.0, "val_a_loss": 200.0, "va_loss": 2000.0}] * 2
    )
    assert recorder.logs("on_test_end")[:2] == [{"loss": 2.0}, {"loss": 20.0}]


def test_a_prefix_that_begins_like_an_earlier_one_is_another():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            for prefix in ("test_clean", "test"):
                for number in loop.test([1.0], prefix=prefix):
                    loop.log(loss=number)
    assert recorder.logs("on_epoch_end") == [{"test_clean_loss": 1.0, "test_loss": 1.0}]


@pytest.mark.parametrize("is_logging", [True, False])
def test_two_tests_with_one_prefix_in_an_epoch(is_logging):
    recorder = Recorder()

    def run():
        with loop_with(recorder) as loop:
            for _ in loop.epochs(1):
                for _ in range(2):
                    for number in loop.test([1.0]):
                        if is_logging:
                            loop.log(loss=number)

    with pytest.raises(LoopError, match="already had a test with prefix='val'; give the second another prefix"):
        run()
    assert recorder.check().hooks.count("on_test_begin") == 1


def test_a_test_within_batches_may_come_as_often_as_it_likes_and_the_last_counts():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([1.0, 2.0]):
                for other in loop.test([number, number]):
                    loop.log(loss=other * 10)
                loop.log(loss=number)
    assert recorder.check().logs("on_epoch_end") == [{"loss": 1.5, "val_loss": 20.0}] * 2
    assert recorder.logs("on_train_batch_end")[:2] == [{"loss": 1.0}, {"loss": 1.5}]


def test_a_test_of_the_epoch_may_follow_those_within_its_batches():
    """Every so many batches and once more at the end: the epoch's logs have the last one's values."""
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([1.0, 2.0]):
                for other in loop.test([number]):
                    loop.log(loss=other * 10)
            for other in loop.test([7.0]):
                loop.log(loss=other)
    assert recorder.check().logs("on_epoch_end") == [{"val_loss": 7.0}] * 2


def test_a_test_within_a_batch_that_was_left_is_none_of_the_epochs():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            for number in loop.train([1.0, 2.0]):
                for other in loop.test([number]):
                    loop.log(loss=other)
                    break
                break
            for other in loop.test([7.0]):
                loop.log(loss=other)
    assert recorder.check().logs("on_epoch_end") == [{"val_loss": 7.0}]


@pytest.mark.parametrize("place", ["batch", "epoch before", "epoch after"])
def test_a_name_that_comes_from_a_test_too_is_said_once(place):
    def go():
        with loop_with(recorder) as loop:
            for _ in loop.epochs(2):
                for _ in loop.train([1.0]):
                    if place == "batch":
                        loop.log(val_loss=1.0)
                if place == "epoch before":
                    loop.log(val_loss=1.0)
                for other in loop.test([7.0]):
                    loop.log(loss=other)
                if place == "epoch after":
                    loop.log(val_loss=1.0)

    recorder = Recorder()
    with pytest.warns(ol.OnlookerWarning) as caught:
        go()
    assert recorder.check().logs("on_epoch_end") == [{"val_loss": 7.0}] * 2
    (warning,) = caught
    assert str(warning.message).startswith(
        "'val_loss' was logged (epoch 0), and a test of the epoch has a value of this"
    )
    assert warning.filename == __file__


def test_a_test_does_not_mix_with_the_batch_around_it():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.train([1.0]):
            loop.log(before=1.0)
            for other in loop.test([5.0]):
                loop.log(inner=other)
            loop.log(after=2.0)
    event = recorder.last("on_train_batch_end")
    assert event.logs == event.batch == {"before": 1.0, "after": 2.0}


def test_a_stage_knows_its_means_when_it_is_over():
    with loop_with() as loop:
        stage = loop.test([1.0, 3.0])
        assert stage.logs == {}
        for number in stage:
            loop.log(loss=number)
            assert stage.logs == {}
        assert stage.logs == {"loss": 2.0}
        for number in stage:
            loop.log(loss=number * 10)
        assert stage.logs == {"loss": 20.0}


def test_what_was_passed_to_log_is_left_as_it_was():
    values = {"loss": torch.tensor(2.0)}
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.train([1]):
            loop.log(values)
            loop.log(values, weight=3)
    assert recorder.logs("on_train_end") == [{"loss": 2.0}]
    assert type(values["loss"]) is torch.Tensor


def test_a_tensor_that_is_changed_afterwards():
    loss = torch.zeros(())
    with loop_with(recorder := Recorder()) as loop:
        for number in loop.train([1.0, 2.0]):
            loss.fill_(number)
            loop.log(loss=loss)
            loss.fill_(100.0)
    assert recorder.logs("on_train_end") == [{"loss": 1.5}]


# What callbacks assign.


def test_what_is_assigned_is_seen_by_the_later_callbacks_and_the_epochs_logs():
    class Assigns(ol.Callback):
        def on_test_end(self, logs=None):
            logs["score"] = logs["loss"] * 2

        def on_epoch_end(self, epoch, logs=None):
            logs["double"] = logs["loss"] * 2
            del logs["unwanted"]

    before, after = Recorder(), Recorder()
    with loop_with(before, Assigns(), after) as loop:
        for _ in loop.epochs(1):
            for number in loop.train([1.0]):
                loop.log(loss=number, unwanted=0.0)
            for number in loop.test([3.0]):
                loop.log(loss=number)
    assert before.logs("on_test_end") == [{"loss": 3.0}]
    assert after.logs("on_test_end") == [{"loss": 3.0, "score": 6.0}]
    assert before.logs("on_epoch_end") == [{"loss": 1.0, "unwanted": 0.0, "val_loss": 3.0, "val_score": 6.0}]
    assert after.logs("on_epoch_end") == [{"loss": 1.0, "val_loss": 3.0, "val_score": 6.0, "double": 2.0}]
    assert before.logs("on_train_end") == after.logs("on_train_end") == after.logs("on_epoch_end")


def test_what_is_assigned_at_a_batchs_end_does_not_stay():
    class Assigns(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            logs["extra"] = logs["loss"] = 100.0

    with loop_with(Assigns(), recorder := Recorder()) as loop:
        for number in loop.train([1.0, 3.0]):
            loop.log(loss=number)
    assert recorder.logs("on_train_batch_end") == [{"loss": 100.0, "extra": 100.0}] * 2
    assert recorder.logs("on_train_end") == [{"loss": 2.0}]


def test_a_kept_logs_is_a_snapshot():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([1.0, 3.0]):
                loop.log(loss=number)
    for event in recorder.events:
        assert dict(event.kept) == event.logs
        assert dict(event.kept.batch) == event.batch


def test_whether_anybody_listens_makes_no_difference_to_the_means():
    results = []
    for callbacks in ([], [Recorder()]):

        class Last(ol.Callback):
            def on_train_end(self, logs=None):
                results.append(dict(logs))

        with loop_with(*callbacks, Last()) as loop:
            for _ in loop.epochs(2):
                for batch in loop.train(samples(3, 1)):
                    loop.log(loss=batch.mean())
                for batch in loop.test(samples(1, 2)):
                    loop.log(loss=batch.mean())
    assert results[0] == results[1] == {"loss": 1.25, "val_loss": pytest.approx(5 / 3)}


# NaN.


@pytest.mark.parametrize("value", [math.nan, torch.tensor(math.nan), np.float64("nan")], ids=repr)
def test_nan_makes_the_mean_nan_and_says_so(value):
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            for number in loop.train([1.0, 2.0, 3.0]):
                if number != 2.0:
                    loop.log(loss=number)
                else:
                    with pytest.warns(OnlookerWarning, match=r"'loss' is NaN \(epoch 0, batch 1\)") as records:
                        loop.log(loss=value)
                    assert records[0].filename == __file__
    logs = recorder.logs("on_train_batch_end")
    assert logs[0] == {"loss": 1.0}
    assert math.isnan(logs[1]["loss"])
    assert math.isnan(recorder.logs("on_epoch_end")[0]["loss"])


def said_of_nan(epochs, is_nan, values=float):
    """What is said in a training whose epochs and tests are NaN where `is_nan` says so."""
    with loop_with(Recorder()) as loop, warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        for epoch in loop.epochs(epochs):
            for stage in (loop.train, loop.test, loop.predict):
                for number in stage([1, 2, 3]):
                    is_sick = number == 2 and is_nan(epoch, stage)
                    loop.log(loss=values(math.nan if is_sick else 1.0))
    return [str(record.message) for record in records]


def test_nan_is_said_once_in_a_run():
    (said,) = said_of_nan(3, lambda epoch, stage: stage.__name__ == "train")
    assert said.startswith("'loss' is NaN (epoch 0, batch 1)")


def test_nan_is_said_again_after_an_epoch_without():
    said = said_of_nan(6, lambda epoch, stage: stage.__name__ == "train" and epoch not in (2, 3))
    assert [words.partition("(")[2][:7] for words in said] == ["epoch 0", "epoch 4"]


def test_nan_is_said_of_each_stage_by_itself():
    said = said_of_nan(3, lambda epoch, stage: True)
    assert [words.partition("(")[2].partition(")")[0] for words in said] == [
        "epoch 0, batch 1",
        "epoch 0, test, batch 1",
        "epoch 0, predict, batch 1",
    ]


def test_nan_is_said_again_in_the_next_training():
    with loop_with() as loop, warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        for _ in range(2):
            for _ in loop.epochs(2):
                for _ in loop.train([1, 2, 3]):
                    loop.log(loss=math.nan)
    assert len(records) == 2


# A silent stage.


def test_a_stage_from_within_a_hook_calls_no_hooks_and_returns_its_logs():
    returned = []

    class Tests(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            stage = loop.test([1.0, 3.0])
            for number in stage:
                loop.log(loss=number)
                assert self.run.inputs == number
            returned.append(dict(stage.logs))
            assert self.run.inputs is None

    with loop_with(Tests(), recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([10.0]):
                loop.log(loss=number)
    assert returned == [{"loss": 2.0}] * 2
    assert "on_test_begin" not in recorder.check().hooks
    assert recorder.logs("on_epoch_end") == [{"loss": 10.0}] * 2


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
def test_a_silent_stage_in_a_batchs_hook_leaves_the_batch_alone(hook):
    class Tests(ol.Callback):
        def see(self):
            for number in loop.test([100.0]):
                loop.log(loss=number, other=number)

    callback = Tests()
    setattr(callback, hook, lambda batch, logs: callback.see())
    with loop_with(callback, recorder := Recorder()) as loop:
        for number in loop.train([1.0, 3.0]):
            assert loop.run.inputs == number
            loop.log(loss=number)
    assert recorder.check().logs("on_train_batch_end") == [{"loss": 1.0}, {"loss": 2.0}]


def test_training_from_within_a_hook_is_refused():
    class Trains(ol.Callback):
        def __init__(self, use):
            self.use = use

        def on_epoch_begin(self, epoch, logs=None):
            with pytest.raises(LoopError, match="a callback cannot train from within a hook"):
                list(self.use(loop))

    for use in (lambda loop: loop.train([1]), lambda loop: loop.epochs(1)):
        with loop_with(Trains(use), recorder := Recorder()) as loop:
            list(loop.train([1]))
        recorder.check()


def test_training_within_a_silent_test_is_refused():
    class Tests(ol.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            for _ in loop.test([1]):
                with pytest.raises(LoopError, match="cannot train from within a hook"):
                    list(loop.train([1]))

    with loop_with(Tests()) as loop:
        list(loop.train([1]))


def test_silent_stages_within_silent_stages():
    returned = []

    class Tests(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            outer = loop.test([1.0, 3.0])
            for number in outer:
                inner = loop.predict([number, number * 3])
                for other in inner:
                    loop.log(loss=other)
                returned.append(dict(inner.logs))
                loop.log(loss=number)
            returned.append(dict(outer.logs))

    with loop_with(Tests(), recorder := Recorder()) as loop:
        list(loop.train([1]))
    assert returned == [{"loss": 2.0}, {"loss": 6.0}, {"loss": 2.0}]
    assert "on_predict_begin" not in recorder.check().hooks


def test_a_silent_stage_that_was_left_or_kept_open():
    kept = []

    class Tests(ol.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            for number in loop.test([1.0, 3.0]):
                loop.log(loss=number)
                break

        def on_train_batch_end(self, batch, logs=None):
            iterator = iter(loop.test([1.0, 3.0]))
            next(iterator)
            kept.append(iterator)

    with loop_with(Tests(), recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([10.0, 20.0]):
                loop.log(loss=number)
    assert recorder.check().logs("on_epoch_end") == [{"loss": 15.0}] * 2
    assert loop.run.outcome == "completed"
    for iterator in kept:
        with pytest.raises(LoopError, match="this test stage is over"):
            next(iterator)
