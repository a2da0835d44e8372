"""`run.step`: in how many train batches an optimizer has stepped."""

import pytest
import torch
from tests.recorder import Recorder
from torch import nn

import onlooker as ol


def build(count=1):
    models = {str(number): nn.Linear(2, 1) for number in range(count)}
    return models, {name: torch.optim.SGD(model.parameters(), lr=0.1) for name, model in models.items()}


def steps(recorder):
    return [event.run["step"] for event in recorder.of("on_train_batch_end")]


def backward(model):
    model(torch.ones(1, 2)).sum().backward()


def test_without_an_optimizer_each_batch_counts():
    for model in (None, nn.Linear(1, 1)):
        with ol.Loop(model, callbacks=[recorder := Recorder()]) as loop:
            for _ in loop.epochs(2):
                list(loop.train([1, 2]))
                list(loop.test([1, 2]))
        assert steps(recorder.check()) == [1, 2, 3, 4]


def test_with_accumulation_it_lags_the_batches():
    models, optimizers = build()
    with ol.Loop(models["0"], optimizers["0"], callbacks=[recorder := Recorder()]) as loop:
        for _ in loop.epochs(2):
            for batch in loop.train(range(5)):
                backward(models["0"])
                if batch % 2 == 1:
                    optimizers["0"].step()
    assert steps(recorder.check()) == [0, 1, 1, 2, 2, 2, 3, 3, 4, 4]
    assert [event.run["step"] for event in recorder.of("on_train_batch_begin")] == [0, 0, 1, 1, 2, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("count", [2, 5])
def test_with_several_optimizers_it_counts_one_a_batch(count):
    models, optimizers = build(count)
    with ol.Loop(models, optimizers, callbacks=[recorder := Recorder()]) as loop:
        for _ in loop.train(range(3)):
            for name in models:
                backward(models[name])
                optimizers[name].step()
    assert steps(recorder.check()) == [1, 2, 3]


def test_optimizers_that_take_turns():
    """A critic that steps five times for each step of the generator: in each batch some optimizer has stepped."""
    models, optimizers = build(2)
    with ol.Loop(models, optimizers, callbacks=[recorder := Recorder()]) as loop:
        for batch in loop.train(range(4)):
            optimizers["0" if batch % 2 else "1"].step()
    assert steps(recorder) == [1, 2, 3, 4]


def test_several_steps_of_one_optimizer_in_a_batch_count_once():
    models, optimizers = build()
    with ol.Loop(models["0"], optimizers["0"], callbacks=[recorder := Recorder()]) as loop:
        for _ in loop.train(range(2)):
            for _ in range(3):
                optimizers["0"].step()
    assert steps(recorder) == [1, 2]


def test_a_step_after_a_test_within_the_batch_counts():
    models, optimizers = build()
    with ol.Loop(models["0"], optimizers["0"], callbacks=[recorder := Recorder()]) as loop:
        for _ in loop.train(range(2)):
            list(loop.test([1]))
            optimizers["0"].step()
    assert steps(recorder.check()) == [1, 2]


def test_steps_outside_of_train_batches_do_not_count():
    models, optimizers = build()
    with ol.Loop(models["0"], optimizers["0"], callbacks=[recorder := Recorder()]) as loop:
        optimizers["0"].step()
        for _ in loop.epochs(1):
            optimizers["0"].step()
            for _ in loop.test([1]):
                optimizers["0"].step()
            list(loop.train([1, 2]))
        optimizers["0"].step()
    assert steps(recorder) == [0, 0]
    assert loop.run.step == 0


def test_a_batch_that_is_left_after_its_step_has_stepped():
    models, optimizers = build()
    with ol.Loop(models["0"], optimizers["0"], callbacks=[recorder := Recorder()]) as loop:
        for _ in loop.epochs(1):
            for _ in loop.train([1, 2]):
                optimizers["0"].step()
                break
    assert steps(recorder.check()) == [1]


def test_the_optimizer_is_left_as_it_was():
    models, optimizers = build()
    before = len(optimizers["0"]._optimizer_step_post_hooks)
    with ol.Loop(models["0"], optimizers["0"]) as loop:
        list(loop.train([1]))
        assert len(optimizers["0"]._optimizer_step_post_hooks) == before + 1
    assert len(optimizers["0"]._optimizer_step_post_hooks) == before
    with pytest.raises(ValueError, match="no"), ol.Loop(models["0"], optimizers["0"]):
        raise ValueError("no")
    assert len(optimizers["0"]._optimizer_step_post_hooks) == before


def test_two_loops_over_one_optimizer_each_count_their_own():
    models, optimizers = build()
    with ol.Loop(models["0"], optimizers["0"]) as outer:
        for _ in outer.train([1, 2]):
            with ol.Loop(models["0"], optimizers["0"]) as inner:
                for _ in inner.train([1, 2, 3]):
                    optimizers["0"].step()
            assert inner.run.step == 3
        assert outer.run.step == 2


def test_triggers_on_steps_fire_where_the_optimizer_has_stepped():
    models, optimizers = build()
    seen = []

    class Watch(ol.Callback):
        @ol.every(steps=2)
        def on_train_batch_end(self, batch, logs=None):
            seen.append((self.run.epoch, batch))

    with ol.Loop(models["0"], optimizers["0"], callbacks=[Watch()]) as loop:
        for _ in loop.epochs(2):
            for batch in loop.train(range(6)):
                if batch % 2 == 1:
                    optimizers["0"].step()
    assert seen == [(0, 3), (1, 1), (1, 5)]
