"""The rows of `Loop` where the loop is one of JAX: Flax NNX modules, Equinox modules, and a plain tree with optax."""

import functools

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y, batches_of
from tests.contract.row import Row

import onlooker as ol
from onlooker.hosts.declared.loop_jax import LOOP_JAX

# Made once: a compiled step is found again by the optimizer's functions.
ADAM, AT_REST = (optax.inject_hyperparams(optax.adam)(learning_rate=rate) for rate in (0.05, 0.0))
NO_ATTRIBUTE = "a state of JAX takes no attributes; run.stop stops"
NO_KERAS = "Keras' own callbacks are refused in a loop of JAX"


def cross_entropy(outputs, y):
    return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()


def squared_error(outputs, y):
    return jnp.mean((outputs[:, 0] - y) ** 2)


def metrics(outputs, y, is_line):
    if is_line:
        return {"loss": squared_error(outputs, y)}
    return {"accuracy": (outputs.argmax(1) == y).mean(), "loss": cross_entropy(outputs, y)}


class Subject:
    """What is trained: the first state, or the module, and what else belongs to it."""

    def __init__(self, state, optimizer=None, is_line=False):
        self.first, self.optimizer, self.is_line, self.loop = state, optimizer, is_line, None

    @property
    def state(self):
        return self.first if self.loop is None else self.loop.run.model


class JaxHost(Row):
    """What the rows have in common: the loop, with steps of each row's own."""

    declaration = LOOP_JAX
    file_name = "run.npz"
    lacks = {"keras_callbacks": NO_KERAS, "stop_training": NO_ATTRIBUTE}  # noqa: RUF012 - nobody writes to it

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        with self._loop(subject, callbacks, resume) as loop:
            for epoch in loop.epochs(epochs):
                for batch, (x, y) in enumerate(loop.train(batches_of(X, Y))):
                    if user is not None:
                        user(epoch, batch)
                    seed = 0 if subject.is_line else np.random.randint(2**31)
                    outputs, loop.gradients = self.step(subject, loop, x, y, seed)
                    self._log(subject, loop, outputs, y)
                if validation:
                    self._test(subject, loop)

    def evaluate(self, subject, callbacks):
        with self._loop(subject, callbacks) as loop:
            return self._test(subject, loop)

    def predict(self, subject, callbacks):
        with self._loop(subject, callbacks) as loop:
            for x, _ in loop.predict(batches_of(HELD_OUT_X, HELD_OUT_Y)):
                loop.outputs = self.forward(loop.state, x)

    def evaluate_within(self, subject):
        return self._test(subject, subject.loop)

    def stop_by_user(self, subject):
        subject.loop.stop("the user")

    def model_of(self, subject):
        return subject.state

    def state_of(self, subject):
        leaves = [leaf for leaf in jax.tree_util.tree_leaves(self.whole(subject)) if hasattr(leaf, "dtype")]
        is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
        return [np.array(jax.random.key_data(one) if key else one) for one, key in zip(leaves, is_key, strict=True)]

    def trained_of(self, subject):
        return [np.array(leaf) for leaf in jax.tree_util.tree_leaves(self.parameters(subject))]

    def use(self, model):
        return np.array(self.forward(model, X))

    def whole(self, subject):
        return subject.state

    def _loop(self, subject, callbacks, resume=None):
        subject.loop = ol.Loop(subject.state, subject.optimizer, callbacks, resume=resume)
        return subject.loop

    def _test(self, subject, loop):
        stage = loop.test(batches_of(HELD_OUT_X, HELD_OUT_Y))
        for x, y in stage:
            self._log(subject, loop, self.forward(loop.state, x), y)
        return stage.logs

    def _log(self, subject, loop, outputs, y):
        loop.outputs = outputs
        loop.log(metrics(outputs, y, subject.is_line))


# A plain tree.


def tree_forward(params, x, key=None):
    for number in range(len(params)):
        if number:
            x = jax.nn.relu(x)
            x = x if key is None else x * jax.random.bernoulli(key, 0.7, x.shape) / 0.7
        x = x @ params[f"layer{number}"]["kernel"] + params[f"layer{number}"]["bias"]
    return x


compiled_tree_forward = jax.jit(tree_forward)


@functools.partial(jax.jit, static_argnames="is_line", donate_argnames="state")
def tree_step(state, x, y, seed, is_line):
    def loss_of(params):
        outputs = tree_forward(params, x, None if is_line else jax.random.key(seed))
        return (squared_error if is_line else cross_entropy)(outputs, y), outputs

    gradients, outputs = jax.grad(loss_of, has_aux=True)(state["params"])
    updates, opt_state = ADAM.update(gradients, state["opt_state"], state["params"])
    return {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state}, outputs, gradients


class TreeHost(JaxHost):
    """A dict of parameters and the optimizer's state, donated to each step."""

    name = "Loop (JAX, plain tree)"

    def make(self, number=0):
        np.random.seed(3)  # from which the steps' keys are drawn
        return self._subject()

    def _subject(self, sizes=(4, 8, 2), adam=ADAM, is_line=False):
        keys = jax.random.split(jax.random.key(3), len(sizes))
        params = {
            f"layer{at}": {
                "kernel": jax.random.normal(keys[at], (sizes[at], sizes[at + 1])),
                "bias": jnp.zeros(sizes[at + 1]),
            }
            for at in range(len(sizes) - 1)
        }
        return Subject({"params": params, "opt_state": adam.init(params)}, is_line=is_line)

    def make_line(self):
        return self._subject(sizes=(4, 1), adam=AT_REST, is_line=True)

    def line(self, subject):
        layer = subject.state["params"]["layer0"]
        return np.array(layer["kernel"])[:, 0], np.array(layer["bias"])[0]

    def parameters(self, subject):
        return subject.state["params"]

    def forward(self, state, x):
        return compiled_tree_forward(state["params"], x)

    def step(self, subject, loop, x, y, seed):
        loop.state, outputs, gradients = tree_step(loop.state, x, y, seed, subject.is_line)
        return outputs, gradients


# Equinox.


class Classifier(equinox.Module):
    """A perceptron with dropout."""

    layers: list
    dropout: equinox.nn.Dropout

    def __init__(self, sizes):
        keys = jax.random.split(jax.random.key(4), len(sizes))
        self.layers = [equinox.nn.Linear(sizes[at], sizes[at + 1], key=keys[at]) for at in range(len(sizes) - 1)]
        self.dropout = equinox.nn.Dropout(0.3)

    def __call__(self, x, key=None):
        for layer in self.layers[:-1]:
            x = self.dropout(jax.nn.relu(layer(x)), key=key)
        return self.layers[-1](x)


@equinox.filter_jit
def equinox_step(model, opt_state, x, y, key, is_line):
    def loss_of(model):
        outputs = jax.vmap(lambda one, key: model(one, key))(x, jax.random.split(key, len(x)))
        return (squared_error if is_line else cross_entropy)(outputs, y), outputs

    gradients, outputs = equinox.filter_grad(loss_of, has_aux=True)(model)
    updates, opt_state = ADAM.update(gradients, opt_state, equinox.filter(model, equinox.is_inexact_array))
    return (equinox.apply_updates(model, updates), opt_state), outputs, gradients


@equinox.filter_jit
def equinox_forward(model, x):
    return jax.vmap(model)(x)


class EquinoxHost(JaxHost):
    """An Equinox module and the optimizer's state, as a pair."""

    name = "Loop (JAX, Equinox)"

    def make(self, number=0):
        np.random.seed(3)  # from which the steps' keys are drawn
        return self._subject()

    def _subject(self, sizes=(4, 8, 2), adam=ADAM, is_line=False):
        model = Classifier(sizes)
        opt_state = adam.init(equinox.filter(model, equinox.is_inexact_array))
        return Subject((model, opt_state), is_line=is_line)

    def make_line(self):
        return self._subject(sizes=(4, 1), adam=AT_REST, is_line=True)

    def line(self, subject):
        layer = subject.state[0].layers[0]
        return np.array(layer.weight)[0], np.array(layer.bias)[0]

    def parameters(self, subject):
        return equinox.filter(subject.state[0], equinox.is_inexact_array)

    def forward(self, state, x):
        return equinox_forward(equinox.nn.inference_mode(state[0]), x)

    def step(self, subject, loop, x, y, seed):
        key = jax.random.key(seed)
        loop.state, outputs, gradients = equinox_step(*loop.state, x, y, key, subject.is_line)
        return outputs, gradients


# Flax NNX.


class Net(nnx.Module):
    """A perceptron with batch statistics and dropout."""

    def __init__(self, rngs):
        self.first = nnx.Linear(4, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.last = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))


@functools.partial(nnx.jit, static_argnames="is_line")
def nnx_step(model, optimizer, x, y, is_line):
    def loss_of(model):
        outputs = model(x)
        return (squared_error if is_line else cross_entropy)(outputs, y), outputs

    gradients, outputs = nnx.grad(loss_of, has_aux=True)(model)
    optimizer.update(model, gradients)
    return outputs, gradients


@nnx.jit
def nnx_forward(model, x):
    return model(x)


class NnxHost(JaxHost):
    """A module of Flax NNX, which changes in place, with batch statistics and dropout."""

    name = "Loop (JAX, Flax NNX)"
    lacks = {"keras_callbacks": NO_KERAS}  # noqa: RUF012 - nobody writes to it

    def make(self, number=0):
        np.random.seed(3)  # from which the batches' noise is drawn
        return self._subject(Net(nnx.Rngs(3)), ADAM)

    def make_line(self):
        return self._subject(nnx.Linear(4, 1, rngs=nnx.Rngs(5)), AT_REST, is_line=True)

    def line(self, subject):
        return np.array(subject.state.kernel[...])[:, 0], np.array(subject.state.bias[...])[0]

    def parameters(self, subject):
        return nnx.state(subject.state, nnx.Param)

    def whole(self, subject):
        return nnx.state((subject.state, subject.optimizer))

    def forward(self, model, x):
        return nnx_forward(model, x)

    def step(self, subject, loop, x, y, seed):
        if not subject.is_line:
            x = x + np.random.default_rng(seed).normal(scale=0.01, size=x.shape).astype("float32")
        return nnx_step(subject.first, subject.optimizer, x, y, subject.is_line)

    def _subject(self, module, adam, is_line=False):
        return Subject(module, nnx.Optimizer(module, adam, wrt=nnx.Param), is_line)
