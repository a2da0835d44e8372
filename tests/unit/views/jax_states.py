"""Small states of JAX and the steps that make the next ones, for the tests of their views."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

X = np.random.default_rng(7).normal(size=(20, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
BATCHES = [(X[:8], Y[:8]), (X[8:16], Y[8:16]), (X[16:], Y[16:])]

ADAM = optax.inject_hyperparams(optax.adam)(learning_rate=0.05)


def make_state(tx=ADAM):
    params = {"layer1": {"kernel": jnp.zeros((4, 1)), "bias": jnp.zeros(1)}}
    return {"params": params, "opt_state": tx.init(params)}


def loss_of(params, x, y):
    return jnp.mean((x @ params["layer1"]["kernel"] + params["layer1"]["bias"] - y) ** 2)


def _step(state, x, y, tx=ADAM):
    loss, gradients = jax.value_and_grad(loss_of)(state["params"], x, y)
    updates, opt_state = tx.update(gradients, state["opt_state"], state["params"])
    return {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state}, loss, gradients


step = jax.jit(_step, static_argnames="tx")
donating_step = functools.partial(jax.jit, static_argnames="tx", donate_argnames="state")(_step)
