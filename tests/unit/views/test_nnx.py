"""What is seen of modules of Flax NNX, and that observing them leaves no trace."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx

import onlooker as ol
from onlooker.core.errors import AbsentError
from onlooker.views import find_view
from onlooker.views.nnx import NnxView

X = jnp.asarray(np.random.default_rng(7).normal(size=(8, 4)), "float32")
ADAM = optax.inject_hyperparams(optax.adam)(learning_rate=0.05)


class Net(nnx.Module):
    def __init__(self, seed=0):
        rngs = nnx.Rngs(seed, dropout=1)
        self.first = nnx.Linear(4, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.blocks = nnx.List([nnx.Linear(8, 2, rngs=rngs)])

    def __call__(self, x):
        return self.blocks[0](self.dropout(nnx.relu(self.norm(self.first(x)))))


class Noisy(nnx.Module):
    """A module with a mode of its own, which draws and remembers in each call."""

    is_noisy = True

    def __init__(self):
        self.rngs = nnx.Rngs(3)
        self.scale = nnx.Param(jnp.ones(()))
        self.calls = nnx.Variable(jnp.zeros((), int))

    def __call__(self, x):
        self.calls[...] += 1
        self.last = nnx.Intermediate(x.sum())
        return x + self.scale[...] * jax.random.normal(self.rngs.params(), x.shape)

    def eval(self, **attributes):
        super().eval(**attributes)
        self.is_noisy = False


def optimizer_of(module, tx=ADAM):
    return nnx.Optimizer(module, tx, wrt=nnx.Param)


def values_of(*owners):
    """Return all that the variables hold, by path."""
    found = {}
    for owner in owners:
        for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.state(owner)):
            is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            found[(id(owner), str(path))] = np.array(jax.random.key_data(leaf) if is_key else leaf)
    return found


def same(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@nnx.jit
def step(model, optimizer, x):
    loss, gradients = nnx.value_and_grad(lambda model: (model(x) ** 2).mean())(model)
    optimizer.update(model, gradients)
    return loss, gradients


NAMES = ["blocks.0.bias", "blocks.0.kernel", "first.bias", "first.kernel", "norm.bias", "norm.scale"]


def test_weights_are_the_parameters():
    view = find_view(Net())
    assert isinstance(view, NnxView)
    assert sorted(view.weights()) == NAMES
    assert list(view.weights("*.scale")) == ["norm.scale"]
    assert view.weights()["first.kernel"] is view.model.first.kernel.get_raw_value()


def test_several_modules():
    models = {"generator": Net(), "critic": Net(1)}
    optimizers = {name: optimizer_of(model) for name, model in models.items()}
    view = find_view(models, optimizers)
    assert sorted(view.weights("critic.*")) == [f"critic.{name}" for name in NAMES]
    assert view.get_learning_rate() == pytest.approx(0.05)
    view.set_learning_rate({"critic": 0.5})
    assert view.get_learning_rate() == pytest.approx({"generator": 0.05, "critic": 0.5})
    assert len(view.flag_holders()) == 2
    with pytest.raises(TypeError, match="something else under 'optimizer'"):
        find_view({"model": models["critic"], "optimizer": optimizers["critic"]})


def test_gradients_have_the_names_of_their_weights():
    model = Net()
    optimizer = optimizer_of(model)
    view = find_view(model, optimizer)
    assert view.gradients() == {}
    _, gradients = step(model, optimizer, X)
    view.give_gradients(gradients)
    assert sorted(view.gradients()) == NAMES
    assert list(view.gradients("*.scale")) == ["norm.scale"]


def test_gradients_that_nobody_hands_over():
    model = Net()
    view = find_view(model)
    assert view.has_stepped()
    with pytest.raises(AbsentError, match=r"write loop\.gradients = gradients"):
        view.gradients()


@pytest.mark.parametrize("optimizer", [ADAM, ADAM.init(jnp.ones(1)), torch.optim.SGD([torch.ones(1)], 0.1)])
def test_an_optimizer_of_another_kind(optimizer):
    with pytest.raises(TypeError, match=r"expected a flax\.nnx\.Optimizer"):
        find_view(Net(), {"": optimizer})


def test_a_learning_rate_is_set_in_place():
    model = Net()
    optimizer = optimizer_of(model, optax.chain(optax.clip(1.0), ADAM))
    view = find_view(model, optimizer)
    view.set_learning_rate(0.0)
    before = values_of(model.first, model.blocks)
    step(model, optimizer, X)
    assert same(values_of(model.first, model.blocks), before)
    view.set_learning_rate(0.25)
    view.scale_learning_rate(2)
    assert view.get_learning_rate() == 0.5
    step(model, optimizer, X)
    assert not same(values_of(model.first, model.blocks), before)


def test_without_a_learning_rate():
    model = Net()
    with pytest.raises(AbsentError, match=r"optax\.inject_hyperparams"):
        find_view(model, optimizer_of(model, optax.adam(0.1))).get_learning_rate()
    assert "pass the nnx.Optimizer to Loop" in find_view(model).lacks("learning_rate")


def test_nothing_is_to_be_assigned():
    model = Net()
    with ol.Loop(model) as loop:
        assert loop.state is model
        with pytest.raises(AbsentError, match="changes in place"):
            loop.state = model


def test_variables_with_references_are_refused():
    with nnx.var_defaults(ref=True):
        model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="ref=True"):
        find_view(model)


# Steps.


def test_steps_are_those_of_the_optimizer():
    """The body accumulates gradients over two batches: then the optimizer goes through every second step only."""
    model = Net()
    optimizer = optimizer_of(model)
    steps = []

    class Note(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            steps.append(self.run.step)

    with ol.Loop(model, optimizer, callbacks=[Note()]) as loop:
        for number in loop.train(range(4)):
            if number % 2:
                step(model, optimizer, X)
            else:
                nnx.jit(lambda model, x: model(x))(model, X)
    assert steps == [0, 1, 1, 2]


def test_without_an_optimizer_each_batch_is_a_step():
    with ol.Loop(Net()) as loop:
        for _ in loop.train(range(3)):
            pass
    assert loop.run.step == 3


# Modes.


def modes_of(model):
    return model.dropout.deterministic, model.norm.use_running_average


def test_a_test_stage_evaluates_and_puts_back():
    model, seen = Net(), []
    model.norm.eval()  # one part is frozen

    def look(_):
        seen.append(modes_of(model))

    with ol.Loop(model) as loop:
        for number in loop.train(range(1)):
            look(number)
            any(map(look, loop.test(range(1))))
            look(number)
        any(map(look, loop.test(range(1), keep_mode=True)))
    assert seen == [(False, True), (True, True), (False, True), (False, True)]


def test_a_mode_of_the_users_own():
    model = Noisy()
    with find_view(model).evaluating():
        assert not model.is_noisy
    assert model.is_noisy
    assert "is_noisy" not in vars(model)


def test_an_attribute_that_is_set_in_a_test_stage_stays():
    model = Net()
    model.stop_training = False
    with ol.Loop(model) as loop:
        for _ in loop.epochs(5):
            for _ in loop.train(range(1)):
                pass
            for _ in loop.test(range(1)):
                model.stop_training = True
    assert (loop.run.outcome, loop.run.epoch) == ("stopped", 0)


# Observing.


def test_observing_leaves_no_trace():
    model = Net()
    optimizer = optimizer_of(model)
    view = find_view(model, optimizer)
    before = values_of(model, optimizer)
    with view.observing():
        assert modes_of(model) == (True, True)
        model.train()
        model(X)
        step(model, optimizer, X)
        assert not same(values_of(model, optimizer), before)
    assert same(values_of(model, optimizer), before)
    assert modes_of(model) == (False, False)
    assert not view.has_stepped()


def test_what_a_call_adds_is_removed():
    model = Noisy()
    view = find_view(model)
    before = values_of(model)
    with view.observing():
        model(X)
        assert model.last[...].shape == ()
    assert same(values_of(model), before)
    assert not hasattr(model, "last")
    model(X)
    last = model.last[...]
    with view.observing():
        model(X)
    assert model.last[...] is last
    assert int(model.calls[...]) == 1


def test_what_is_seeded_is_drawn_again():
    model = Noisy()
    view, drawn = find_view(model), []
    for seed in (1, 1, 2):
        with view.observing(seed=seed):
            drawn.append((np.array(model(X)), np.array(model(X)), np.random.random()))
        model(X)
    assert all(np.array_equal(one, other) for one, other in zip(drawn[0], drawn[1], strict=True))
    assert not np.array_equal(drawn[0][0], drawn[0][1])
    assert not np.array_equal(drawn[0][0], drawn[2][0])


def test_streams_that_are_seeded_differ():
    models = {"first": Net(), "second": Net()}

    def keys():
        variables = [variable for _, variable in nnx.to_flat_state(nnx.state(models))]
        return [str(jax.random.key_data(one[...])) for one in variables if isinstance(one, nnx.RngKey)]

    before = keys()
    assert before[0] == before[1]
    with find_view(models).observing(seed=0):
        assert len({*keys(), *before}) == 3
    assert keys() == before


def test_an_error_within_observing():
    model = Net()
    before = values_of(model)
    with contextlib.suppress(ZeroDivisionError), find_view(model).observing():
        model(X)
        raise ZeroDivisionError
    assert same(values_of(model), before)
    assert modes_of(model) == (False, False)


# Files.


def test_what_comes_back_from_a_file(tmp_path):
    path = str(tmp_path / "run.npz")
    model = Net()
    optimizer = optimizer_of(model)
    view = find_view(model, optimizer)
    step(model, optimizer, X)
    before = values_of(model, optimizer)
    view.save(path, {"step": 1})
    step(model, optimizer, X)
    assert not same(values_of(model, optimizer), before)
    assert view.load(path) == {"step": 1}
    assert same(values_of(model, optimizer), before)
    assert not view.has_stepped()

    other = Net(5)
    other_optimizer = optimizer_of(other)
    assert find_view(other, other_optimizer).load(path) == {"step": 1}
    pairs = zip(values_of(other, other_optimizer).values(), before.values(), strict=True)
    assert all(np.array_equal(one, saved) for one, saved in pairs)
    loss, _ = step(model, optimizer, X)
    assert step(other, other_optimizer, X)[0] == loss


def test_state_dict_is_a_snapshot():
    model = Net()
    optimizer = optimizer_of(model)
    view = find_view(model, optimizer)
    before, state = values_of(model, optimizer), view.state_dict()
    step(model, optimizer, X)
    view.load_state_dict(state)
    assert same(values_of(model, optimizer), before)
