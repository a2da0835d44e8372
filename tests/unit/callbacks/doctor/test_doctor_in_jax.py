"""`Doctor` in loops of JAX: units that are all the same, and parts of an array that are no units."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits
from tests.unit.callbacks.doctor.trainings import seen

import onlooker as ol


def make_weights(make):
    """Weights for two hidden layers and an output."""
    sizes = [64, 32, 16, 10]
    return {
        f"layer{place}": {"kernel": make((before, after)), "bias": jnp.zeros(after)}
        for place, (before, after) in enumerate(itertools.pairwise(sizes))
    }


def loss_of(weights, x, y):
    for place in range(3):
        x = x @ weights[f"layer{place}"]["kernel"] + weights[f"layer{place}"]["bias"]
        x = jnp.tanh(x) if place < 2 else x
    return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()


def fit(weights, loss_of=loss_of):
    """Train with Adam and a Doctor."""
    optimizer = optax.adam(1e-3)
    pixels, labels = load_digits(return_X_y=True)
    pixels = ((pixels - pixels.mean()) / pixels.std()).astype("float32")

    @jax.jit
    def step(state, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(state["params"], x, y)
        updates, opt_state = optimizer.update(gradients, state["opt_state"])
        return {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state}, loss

    doctor = ol.callbacks.Doctor(quiet=True)
    doctor.on_error = "raise"
    order = np.random.default_rng(0).permutation(1792).reshape(-1, 32)
    with ol.Loop({"params": weights, "opt_state": optimizer.init(weights)}, callbacks=[doctor]) as loop:
        for _ in loop.epochs(1):
            for rows in loop.train(order):
                loop.state, loss = step(loop.state, pixels[rows], labels[rows])
                loop.log(loss=loss)
    return doctor


def random(seed=0):
    keys = iter(jax.random.split(jax.random.key(seed), 3))
    return lambda shape: jax.random.normal(next(keys), shape) / shape[0] ** 0.5


def test_units_that_all_begin_with_one_number():
    ((rule, where),) = seen(fit(make_weights(lambda shape: jnp.full(shape, 0.05))))
    assert rule == "symmetric_units"
    assert where.endswith("kernel")


@pytest.mark.parametrize("copies", [1, 4])
def test_weights_that_are_there_several_times_are_well(copies):
    """As for several devices, or for members that average their gradients."""
    weights = jax.tree.map(lambda one: jnp.tile(one[None], (copies, *(1,) * one.ndim)), make_weights(random()))

    def loss_of_all(weights, x, y):
        mean = jax.tree.map(lambda one: one.mean(0), weights)
        return loss_of(mean, x, y)

    assert not seen(fit(weights, loss_of_all))
