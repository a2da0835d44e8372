"""Observing changes nothing, and when nobody looks nothing is there: no hook, no copy, no function replaced."""

import gc
import random
import warnings
import weakref

import numpy as np
import pytest
import torch
from tests.unit.callbacks.inside.test_inside_numbers import gan
from tests.unit.callbacks.inside.trainings import (
    WHAT,
    end_of,
    hooks_of,
    hooks_of_optimizer,
    inputs,
    loss_of,
    mlp,
    same,
    train,
)

import onlooker as ol

CLEAN = hooks_of()[1]

WAYS = {
    "plain": {},
    "accumulated": {"accumulate": 2},
    "autocast": {"autocast": True},
    "clipped": {"clip": lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 0.1)},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["mlp", "cnn", "gpt"])
def test_a_training_ends_the_same(kind, way):
    ends, losses = [], []
    for callbacks in ([ol.callbacks.Inside(WHAT)], []):
        model, seen = train(kind, callbacks, **WAYS[way])
        ends.append(end_of(model))
        losses.append(seen.losses)
        assert hooks_of(model) == (0, CLEAN)
    assert same(*ends)
    assert same(*losses)
    assert callbacks or len(losses[0]) == 12


def test_a_gan_ends_the_same():
    ends = []
    for callbacks in ([ol.callbacks.Inside(WHAT)], []):
        random.seed(1)
        np.random.seed(1)
        models, _ = gan(callbacks, passes=2)
        ends.append([part for model in models.values() for part in end_of(model)])
    assert same(*ends)


@pytest.mark.slow
@pytest.mark.parametrize("in_place", [False, True])
def test_compiled(in_place):
    """The whole is one call: its output is seen, not what happens within; weights have their clean names."""

    def wrap(model):
        if in_place:
            model.compile()
            return model
        return torch.compile(model)

    ends = []
    inside = ol.callbacks.Inside(WHAT)
    for callbacks in ([inside], []):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ol.OnlookerWarning)
            try:
                model, seen = train("mlp", callbacks, wrap=wrap)
            except Exception as error:
                if "compiler" in str(error).lower():
                    pytest.skip(f"no compiler: {error!r:.100}")
                raise
        ours = [str(one.message) for one in caught if issubclass(one.category, ol.OnlookerWarning)]
        assert len(ours) == (in_place and bool(callbacks))
        assert hooks_of(model) == (0, CLEAN)
        ends.append([*seen.losses, *end_of(model)])
    assert same(*ends)
    assert list(inside.latest["weights"]) == list(inside.latest["gradients"]) == list(dict(mlp().named_parameters()))
    assert list(inside.latest.get("activations", {})) == ([] if in_place else ["model"])


class Count(ol.Callback):
    """Counts hooks in each batch: before `Inside`, after it, and between."""

    def __init__(self, optimizer, model):
        self.optimizer, self.of_model, self.found = optimizer, model, []

    def now(self):
        return hooks_of(self.of_model), hooks_of_optimizer(self.optimizer)


def test_hooks_are_there_only_while_somebody_looks():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inside = ol.callbacks.Inside(WHAT, every=ol.every(steps=3))
    before, count = hooks_of_optimizer(optimizer), Count(optimizer, model)
    watched = []
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        counting = hooks_of_optimizer(optimizer)  # of the loop itself
        for _ in loop.epochs(1):
            counting = hooks_of_optimizer(optimizer)
            for number, x in enumerate(loop.train(inputs("mlp"))):
                is_watched = count.now() != ((0, CLEAN), counting)
                assert is_watched == (number % 3 == 2)
                assert (count.now()[0][1] != CLEAN) == is_watched
                watched.append(is_watched)
                optimizer.zero_grad()
                loss_of("mlp", model, x).backward()
                optimizer.step()
    assert sum(watched) == 2
    assert (count.now(), hooks_of_optimizer(optimizer)) == (((0, CLEAN), before), before)
    assert inside.history("0.weight", "updates").steps.tolist() == [3, 6]


def test_copies_of_weights_are_let_go_while_nobody_looks():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inside, kept = ol.callbacks.Inside(WHAT, every=ol.every(steps=3)), []
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for x in loop.train(inputs("mlp")):
                optimizer.zero_grad()
                loss_of("mlp", model, x).backward()
                optimizer.step()
                kept.append(len(inside._looking._kept))
    assert kept == [0, 0, 4, 0, 0, 4]
    assert not inside._looking._kept


@pytest.mark.parametrize("where", ["body", "step", "forward"])
def test_after_an_error(where):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = hooks_of_optimizer(optimizer)

    def fail(*given):
        raise ZeroDivisionError

    if where == "step":
        optimizer.register_step_pre_hook(fail)
        before = hooks_of_optimizer(optimizer)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012, SIM117
        with ol.Loop(model, optimizer, callbacks=[ol.callbacks.Inside(WHAT)]) as loop:
            for _ in loop.epochs(1):
                for x in loop.train(inputs("mlp")):
                    loss_of("mlp", model, x).backward()
                    if where == "body":
                        fail()
                    if where == "forward":
                        model[1].forward = fail
                        model(x)
                    optimizer.step()
    assert (hooks_of(model), hooks_of_optimizer(optimizer)) == ((0, CLEAN), before)


def test_a_break_out_of_the_batch():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with ol.Loop(model, optimizer, callbacks=[ol.callbacks.Inside(WHAT)]) as loop:
        for _ in loop.epochs(1):
            for _ in loop.train(inputs("mlp")):
                break
    assert hooks_of(model) == (0, CLEAN)


def test_wrappers_of_others_stay(monkeypatch):
    """Somebody wraps a function for good while we look, and another had done so before."""
    calls = []

    def wrapped(function, name):
        def clip(*given, **named):
            calls.append(name)
            return function(*given, **named)

        return clip

    first = wrapped(torch.nn.utils.clip_grad_norm_, "first")
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", first)
    model, other = mlp(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    insides = [ol.callbacks.Inside(("gradients",)), ol.callbacks.Inside(("gradients",), every=ol.every(steps=2))]
    with ol.Loop(model, optimizer, callbacks=insides) as loop:
        for _ in loop.epochs(1):
            for number, x in enumerate(loop.train(inputs("mlp"))):
                optimizer.zero_grad()
                loss_of("mlp", model, x).backward()
                other.append(float(model[0].weight.grad.norm()))
                if number == 2:
                    monkeypatch.setattr(
                        torch.nn.utils, "clip_grad_norm_", wrapped(torch.nn.utils.clip_grad_norm_, "late")
                    )
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
                optimizer.step()
    assert calls.count("first") == 6
    assert calls.count("late") == 4
    assert insides[0].history("0.weight", "gradients").norm == pytest.approx(other, rel=1e-5)
    assert insides[1].history("0.weight", "gradients").norm == pytest.approx(other[1::2], rel=1e-5)


def test_use_of_the_model_by_other_callbacks_is_not_counted():
    class Draws(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            with self.run.observing(seed=0):
                self.model(torch.randn(50, 4))

    inside = ol.callbacks.Inside(WHAT)
    train("mlp", [Draws(), inside])
    assert inside.latest["activations"]["0"].count == 5 * 8


def test_models_are_let_go():
    inside = ol.callbacks.Inside(WHAT)
    model, _ = train("mlp", [inside])
    kept = weakref.ref(model)
    inside.__dict__.pop("model")
    inside.run.model, inside.run.view = None, None
    del model
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("watch", [lambda: ol.callbacks.Inside(WHAT), ol.callbacks.Doctor], ids=["inside", "doctor"])
def test_a_compiled_step_ends_the_same_and_is_compiled_once_more_at_most(watch):
    def run(*callbacks):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        torch.manual_seed(0)
        model = mlp()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        step = torch.compile(lambda: optimizer.step(), backend="aot_eager")
        with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
            for _ in loop.epochs(2):
                for x in loop.train(inputs("mlp")):
                    optimizer.zero_grad()
                    loss_of("mlp", model, x).backward()
                    step()
        return [*model.state_dict().values(), torch.rand(2)], torch._dynamo.utils.counters["stats"]["unique_graphs"]

    bare, graphs = run()
    watching = watch()
    with pytest.warns(ol.OnlookerWarning, match="step is compiled"):
        found, more = run(watching)
    assert same(found, bare)
    assert more <= graphs + 1
    if isinstance(watching, ol.callbacks.Inside):
        assert set(watching.latest) == set(WHAT)
        assert watching.latest_step == 12


def test_within_a_compiled_function_outputs_are_left_out_with_a_word_and_all_else_is_seen():
    def run(*callbacks):
        torch._dynamo.reset()
        torch.manual_seed(0)
        model = mlp()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        compiled = torch.compile(lambda x: loss_of("mlp", model, x), backend="aot_eager")
        with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
            for _ in loop.epochs(2):
                for x in loop.train(inputs("mlp")):
                    optimizer.zero_grad()
                    compiled(x).backward()
                    optimizer.step()
        return [*model.state_dict().values(), torch.rand(2)]

    bare, inside = run(), ol.callbacks.Inside(WHAT)
    with pytest.warns(ol.OnlookerWarning, match="within a function that torch.compile compiles") as warned:
        assert same(run(inside), bare)
    assert len([one for one in warned if one.category is ol.OnlookerWarning]) == 1
    assert (set(inside.latest), inside.latest_step) == ({"weights", "gradients", "updates"}, 12)


def test_a_scaler_that_skips_steps_goes_on_skipping_the_same():
    def run(callbacks):
        torch.manual_seed(0)
        model = mlp()
        optimizer, scaler = (
            torch.optim.Adam(model.parameters(), lr=0.01),
            torch.amp.GradScaler("cpu", init_scale=2.0**30),
        )
        scales = []
        with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
            for _ in loop.epochs(3):
                for x in loop.train(inputs("mlp")):
                    optimizer.zero_grad()
                    with torch.autocast("cpu", torch.float16):
                        loss = loss_of("mlp", model, x)
                    scaler.scale(loss.float()).backward()
                    if loop.run.batch == 3:
                        next(model.parameters()).grad[0, 0] = torch.inf
                    scaler.step(optimizer)
                    scaler.update()
                    loop.log(loss=loss)
                    scales.append(scaler.get_scale())
        return [*model.state_dict().values(), torch.rand(2)], scales

    bare, scales = run([])
    found, seen = run([ol.callbacks.Inside(WHAT), ol.callbacks.Doctor(quiet=True), ol.callbacks.FindNaN()])
    assert same(found, bare)
    assert seen == scales
    assert scales[-1] < 2.0**28, "steps were skipped"
