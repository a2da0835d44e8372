"""`Inside` in Keras on PyTorch and JAX, in JAX loops, in Lightning and in Transformers: the numbers, and no trace."""

import functools
import itertools
import os
import subprocess
import sys
import tempfile

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from tests.unit.callbacks.inside.trainings import WHAT, Sink, hooks_of, norm

import onlooker as ol
from onlooker.core.errors import AttachError

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
IN_KERAS = WHAT if keras.backend.backend() == "torch" else ("weights", "updates")


class Weights(keras.callbacks.Callback):
    """Notes the weights after each batch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_batch_end(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.found.append({one.path: np.array(one) for one in self.model.trainable_weights})


def fit_keras(callbacks, **optimizer):
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(given)
    hidden = keras.layers.Dropout(0.5, name="dropout")(keras.layers.BatchNormalization(name="normal")(hidden))
    tail = keras.Sequential([keras.layers.Dense(3, name="first"), keras.layers.Dense(1, name="last")], name="tail")
    model = keras.Model(given, tail(hidden))
    model.compile(keras.optimizers.Adam(0.01, **optimizer), "mse")
    start = {one.path: np.array(one) for one in model.trainable_weights}
    history = model.fit(X, X[:, :1], epochs=2, batch_size=16, verbose=0, callbacks=callbacks)
    return model, history.history["loss"], start


@pytest.mark.parametrize("optimizer", [{}, {"clipnorm": 0.01}])
def test_keras(optimizer):
    inside, weights = ol.callbacks.Inside(IN_KERAS), Weights()
    model, losses, start = fit_keras([weights, inside], **optimizer)
    other, other_losses, _ = fit_keras([], **optimizer)
    assert losses == other_losses
    assert all(map(np.array_equal, model.get_weights(), other.get_weights()))
    for name in start:
        states = [start[name], *(one[name] for one in weights.found)]
        differences = [after - before for before, after in itertools.pairwise(states)]
        expected = [np.linalg.norm(one.astype("float64")) for one in differences]
        assert inside.history(name, "updates").norm == pytest.approx(expected, rel=1e-5)
    assert "normal/moving_mean" in inside.latest["weights"]
    assert "normal/moving_mean" not in inside.latest["updates"]
    if keras.backend.backend() == "torch":
        assert list(inside.latest["activations"]) == ["hidden", "normal", "dropout", "tail/first", "tail/last"]
        assert inside.latest["gradients"]["hidden/kernel"].norm > 0.01, "before clipping"
        assert hooks_of(model)[0] == 0


@pytest.mark.slow
def test_keras_on_jax():
    if keras.backend.backend() != "torch":
        pytest.skip("this is the test below it, in a process of its own")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        "test_keras and not on_jax",
    ]
    done = subprocess.run(
        command, env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout, done.stdout


def test_keras_refuses_what_is_not_to_be_had():
    if keras.backend.backend() != "torch":
        with pytest.raises(AttachError, match="needs 'gradients'"):
            fit_keras([ol.callbacks.Inside(("gradients",))])
        with pytest.raises(AttachError) as caught:
            fit_keras([ol.callbacks.Inside()])
        works = "without 'gradients' and 'activations' it works: Inside(what=('weights', 'updates'))"
        assert str(caught.value).endswith(f"the gradients never leave it; use the torch backend; {works}")


# JAX.

TX = optax.adam(0.1)


def loss_fn(params, x):
    return jnp.mean((jnp.tanh(x @ params["w"]) @ params["v"] + params["b"]) ** 2)


@functools.partial(jax.jit, donate_argnums=0)
def step(state, x):
    loss, gradients = jax.value_and_grad(loss_fn)(state["params"], x)
    updates, opt_state = TX.update(gradients, state["opt_state"], state["params"])
    return {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state}, loss, gradients


def train_jax(callbacks, gives_gradients=True):
    key = jax.random.key(0)
    params = {"w": jax.random.normal(key, (4, 8)), "v": jax.random.normal(key, (8, 1)), "b": jnp.zeros(())}
    noted = []
    with ol.Loop({"params": params, "opt_state": TX.init(params)}, callbacks=callbacks) as loop:
        for _ in loop.epochs(2):
            for number in loop.train(range(4)):
                before = np.array(loop.state["params"]["w"])
                loop.state, loss, gradients = step(loop.state, jax.random.normal(jax.random.key(number), (16, 4)))
                if gives_gradients:
                    loop.gradients = gradients
                noted.append((np.array(gradients["w"]), np.array(loop.state["params"]["w"]) - before))
                loop.log(loss=loss)
        return jax.tree.map(np.array, loop.state), noted


def test_a_jax_loop_that_donates_its_state():
    inside = ol.callbacks.Inside(("weights", "gradients", "updates"))
    state, noted = train_jax([inside])
    for what, place in (("gradients", 0), ("updates", 1)):
        expected = [np.linalg.norm(one[place].astype("float64")) for one in noted]
        assert inside.history("w", what).norm == pytest.approx(expected, rel=1e-5)
    assert inside.latest["weights"]["b"].shape == ()
    assert all(map(np.array_equal, jax.tree.leaves(state), jax.tree.leaves(train_jax([])[0])))


def test_a_jax_loop_that_hands_over_no_gradients():
    inside = ol.callbacks.Inside(("weights", "gradients"))
    with pytest.warns(ol.OnlookerWarning, match="write loop.gradients = gradients") as caught:
        train_jax([inside], gives_gradients=False)
    assert len([one for one in caught if issubclass(one.category, ol.OnlookerWarning)]) == 1
    assert (list(inside.latest), inside.latest_step) == (["weights"], 8)


def test_flax_nnx():
    def go(callbacks):
        first, last = nnx.Linear(4, 8, rngs=nnx.Rngs(0)), nnx.Linear(8, 1, rngs=nnx.Rngs(2))
        model = nnx.Sequential(first, nnx.Dropout(0.3, rngs=nnx.Rngs(1)), last)
        optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)

        @nnx.jit
        def step(model, optimizer, x):
            loss, gradients = nnx.value_and_grad(lambda model: jnp.mean(model(x) ** 2))(model)
            optimizer.update(model, gradients)
            return loss, gradients

        with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
            for _ in loop.epochs(2):
                for x in loop.train([jnp.asarray(X[:8]), jnp.asarray(X[8:16])]):
                    loss, loop.gradients = step(model, optimizer, x)
                    loop.log(loss=loss)
        return jax.tree.leaves(nnx.to_pure_dict(nnx.state(model, nnx.Param)))

    inside = ol.callbacks.Inside(("weights", "gradients", "updates"))
    assert all(map(np.array_equal, go([inside]), go([])))
    assert len(inside.latest["updates"]) == len(inside.latest["gradients"]) == 4


def test_jax_refuses_activations():
    with pytest.raises(AttachError) as caught:
        train_jax([ol.callbacks.Inside()])
    assert "needs 'activations', which is absent in Loop (JAX): the step is compiled" in str(caught.value)
    assert str(caught.value).endswith(
        "; without 'activations' it works: Inside(what=('weights', 'gradients', 'updates'))"
    )
    train_jax([ol.callbacks.Inside(what=("weights", "gradients", "updates"))])


def test_scikit_learn():
    from sklearn.linear_model import SGDRegressor

    class Weights(ol.Callback):
        def __init__(self):
            self.found = []

        def on_train_batch_end(self, batch, logs):
            self.found.append(self.run.weights()["coef_"].copy())

    def fit(*callbacks):
        return ol.fit_sklearn(SGDRegressor(random_state=0), X, X[:, 0], epochs=2, batch_size=16, callbacks=callbacks)

    inside, weights = ol.callbacks.Inside(("weights", "updates")), Weights()
    assert np.array_equal(fit(inside, weights).coef_, fit().coef_)
    expected = [np.linalg.norm(after - before) for before, after in itertools.pairwise(weights.found)]
    assert inside.history("coef_", "updates").norm == pytest.approx(expected), (
        "in the first batch there are none before"
    )
    with pytest.raises(AttachError, match="needs 'gradients'"):
        fit(ol.callbacks.Inside())
    with pytest.raises(AttachError, match=r"without 'gradients' it works: Inside\(what=\('weights', 'updates'\)\)$"):
        fit(ol.callbacks.Inside("gradients"))


def test_where_nothing_can_be_looked_at_nothing_is_advised():
    with pytest.raises(AttachError, match=r"Onlooker does not know this kind of model$"):
        ol.Loop(object(), callbacks=[ol.callbacks.Inside()])


# Trainers of others on PyTorch.


@pytest.mark.parametrize(
    ("settings", "every"),
    [
        ({}, 1),
        ({"gradient_clip_val": 0.01}, 1),
        ({"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}, 1),
        ({"accumulate_grad_batches": 2, "gradient_clip_val": 0.1}, 2),
    ],
)
def test_lightning(settings, every):
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))
            self.norms = []

        def training_step(self, batch, number):
            return self.net(batch).square().mean()

        def on_after_backward(self):
            self.norms.append(norm([one.grad for one in self.parameters()]))

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.05)

    def fit(*callbacks):
        torch.manual_seed(0)
        module = Module()
        trainer = lightning.Trainer(
            max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
            enable_model_summary=False, callbacks=[ol.for_lightning(*callbacks)] if callbacks else [], **settings,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(torch.from_numpy(X), batch_size=16))
        return module

    inside, sink = ol.callbacks.Inside(), Sink()
    module, other = fit(inside, sink), fit()
    assert all(map(torch.equal, module.state_dict().values(), other.state_dict().values()))
    assert sink.scalars("gradient_norm") == pytest.approx(module.norms[every - 1 :: every], rel=1e-5)
    clipped = sink.scalars("clipped_gradient_norm")
    assert bool(clipped) == bool(settings)
    assert all(one <= 0.1001 for one in clipped)
    assert list(inside.latest["activations"]) == ["net.0", "net.1", "net.2"]
    assert list(inside.latest["updates"]) == list(inside.latest["weights"])
    assert hooks_of(module)[0] == 0


@pytest.mark.parametrize("accumulate", [1, 2])
def test_transformers(accumulate):
    from tests.unit.hosts.transformers.trainers import Line, make_trainer

    def fit(*callbacks):
        torch.manual_seed(0)
        model, squares = Line(0.3), []
        for one in model.parameters():
            one.register_post_accumulate_grad_hook(lambda p: squares.append(norm([p.grad]) ** 2))
        adapters = [ol.for_transformers(*callbacks)] if callbacks else []
        with tempfile.TemporaryDirectory() as folder:
            make_trainer(
                folder, *adapters, model=model, max_grad_norm=0.01, gradient_accumulation_steps=accumulate
            ).train()
        norms = np.sqrt(np.array(squares).reshape(-1, 2).sum(axis=1))
        return model, norms[accumulate - 1 :: accumulate]

    inside, sink = ol.callbacks.Inside(), Sink()
    (model, norms), (other, _) = fit(inside, sink), fit()
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))
    assert sink.scalars("gradient_norm") == pytest.approx(list(norms), rel=1e-5)
    assert sink.scalars("clipped_gradient_norm") == pytest.approx([0.01] * len(norms), rel=1e-3)
    assert list(inside.latest["updates"]) == ["linear.weight", "linear.bias"]
    assert hooks_of(model)[0] == 0
