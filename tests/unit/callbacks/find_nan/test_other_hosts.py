"""`FindNaN` in hosts that run no batch once more: what was seen is named, in which batch, and why there is no more."""

import math

import numpy as np
import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import batches

import onlooker as ol
from onlooker.callbacks import FindNaN
from onlooker.core.errors import AttachError

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")


def test_lightning():
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Linear(4, 1)

        def training_step(self, batch, index):
            loss = (self.net(batch[0]) - batch[1]).square().mean()
            return loss * math.nan if index == 3 else loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    find_nan = FindNaN()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(
        max_epochs=2, callbacks=[ol.for_lightning(find_nan)], enable_model_summary=False, **quiet
    )
    trainer.fit(Module(), torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*pairs()), batch_size=16))
    finding = find_nan.finding
    assert (finding.phase, finding.epoch, finding.batch) == ("unknown", 0, 3)
    assert finding.noticed == "'loss' is nan"
    assert "Lightning cannot run a batch once more: the step is Lightning's" in str(finding)
    assert finding.data is not None
    assert find_nan.run.outcome == "stopped"


def pairs():
    return [torch.cat(parts) for parts in zip(*batches(), strict=True)]


def test_keras():
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1, name="only")])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    x[40, 0] = math.nan
    find_nan = FindNaN(steps_back=1)
    model.fit(x, x[:, 1:2], batch_size=16, epochs=2, verbose=0, shuffle=False, callbacks=[find_nan])
    finding = find_nan.finding
    assert (finding.phase, finding.batch) == ("data", 2)
    assert finding.origin.inputs["the inputs"].nan == 1
    assert "cannot run a batch once more" in str(finding)


def test_a_healthy_training_in_keras():
    """Losses that are not fetched yet are added up there, too."""
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    find_nan = FindNaN(steps_back=3)
    find_nan.on_error = "raise"
    model.fit(np.ones((64, 4)), np.ones((64, 1)), batch_size=4, epochs=2, verbose=0, callbacks=[find_nan])
    assert find_nan.finding is None


def test_losses_in_keras_are_looked_at_when_it_is_time():
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, history = np.ones((400, 4), "float32"), ol.callbacks.History()
    x[80:84] = math.nan  # batch 20
    find_nan = FindNaN(steps_back=5)
    model.fit(x, np.ones((400, 1)), batch_size=4, verbose=0, shuffle=False, callbacks=[find_nan, history])
    assert "noticed at step 25: 'loss' was nan at batch 20 of epoch 0" in str(find_nan.finding)
    assert history.run.step < 30


def fit_keras(find_nan, *, sick, loss="mse", largest=None):
    """Fit to 10 batches an epoch; those of `sick` begin with a NaN, and one may have a large target."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
    x[[4 * batch for batch in sick], 0] = math.nan
    y = np.ones((40, 1), "float32")
    y[[] if largest is None else 4 * largest] = 2.0
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, shuffle=False, callbacks=[find_nan])
    return find_nan.finding


@pytest.mark.parametrize("steps_back", [50, 4])
def test_keras_names_the_batch_not_that_at_which_it_looks(steps_back):
    """One look comes with the last batch of an epoch, when the second batch with NaN is the last but one."""
    finding = fit_keras(FindNaN(steps_back=steps_back), sick=[2, 8])
    assert (finding.phase, finding.epoch, finding.batch, finding.step) == ("data", 0, 2, 2)
    assert finding.noticed == "'loss' was nan at batch 2 of epoch 0"
    assert finding.origin.inputs["the inputs"].nan == 1
    assert np.isnan(np.asarray(finding.data[0])[0, 0])
    assert not finding.alert().advice  # the model is no longer as it was


def test_keras_names_the_batch_where_the_data_are_finite():
    import keras

    def loss(targets, outputs):
        return keras.ops.mean(keras.ops.square(outputs - targets) + keras.ops.sqrt(1.5 - targets))

    finding = fit_keras(FindNaN(), sick=[], loss=loss, largest=7)
    assert (finding.phase, finding.origin, finding.epoch, finding.batch) == ("unknown", None, 0, 7)
    assert finding.noticed == "'loss' was nan at batch 7 of epoch 0"


def test_data_that_are_no_longer_kept():
    find_nan = FindNaN(limit_bytes=3 * 4 * 5 * 4)
    finding = fit_keras(find_nan, sick=[2])
    assert (finding.phase, finding.batch, finding.data) == ("unknown", 2, None)
    assert "let go of at limit_bytes" in str(finding)


class JaxLoop:
    """A linear model in a loop of JAX, of whose batches one begins with a NaN; nobody logs on the CPU."""

    def __init__(self, loss_of):
        import jax

        @jax.jit
        def step(weights, x):
            loss, gradient = jax.value_and_grad(loss_of)(weights, x)
            return weights - 0.01 * gradient, loss

        self._step = step

    def find(self, *, sick, logs=True, count=30, **arguments):
        import jax.numpy as jnp

        find_nan = FindNaN(**arguments)
        data = np.random.default_rng(0).normal(size=(count, 8, 4)).astype("float32")
        data[sick, 0, 0] = math.nan
        with ol.Loop(jnp.ones(4), callbacks=[find_nan]) as loop:
            for _ in loop.epochs(2):
                for x in loop.train(list(data)):
                    loop.state, loss = self._step(loop.state, x)
                    if logs:
                        loop.log(loss=loss)
        return find_nan.finding


def mean_of_squares(weights, x):
    return ((x @ weights) ** 2).mean()


@pytest.mark.parametrize("sick", [5, 29])
def test_jax_names_the_batch(sick):
    finding = JaxLoop(mean_of_squares).find(sick=sick)
    assert (finding.phase, finding.epoch, finding.batch) == ("data", 0, sick)
    assert finding.noticed == f"'loss' was nan at batch {sick} of epoch 0"


def test_jax_names_the_batch_before_whose_step_spoilt_the_weights():
    """Its loss is finite, its gradient is not: `where` does not protect it."""
    import jax.numpy as jnp

    def masked(weights, x):
        return (jnp.where(jnp.isnan(x), 0.0, x * weights) ** 2).mean()

    finding = JaxLoop(masked).find(sick=5)
    assert (finding.phase, finding.batch) == ("data", 5)
    assert finding.noticed == "'loss' was nan at batch 6 of epoch 0"


def test_a_batch_that_is_not_known_is_not_named():
    finding = JaxLoop(mean_of_squares).find(sick=5, logs=False)
    assert (finding.phase, finding.batch) == ("data", 5), "its data tell"
    finding = JaxLoop(lambda weights, x: -10 * (weights**4).sum()).find(sick=[], logs=False, steps_back=20)
    assert (finding.phase, finding.epoch, finding.batch, finding.step) == ("unknown", None, None, None)
    assert "in which of the last 20 batches it began is not known" in str(finding)


def test_what_is_noticed_after_the_last_batch():
    """Of an epoch whose length nobody knows: the batch is known all the same."""
    import jax.numpy as jnp

    find_nan = FindNaN()
    with ol.Loop(jnp.ones(4), callbacks=[find_nan]) as loop:
        for _ in loop.epochs(2):
            for number in loop.train(iter(range(9))):
                loop.state = loop.state * 1.0
                loop.log(loss=jnp.asarray(math.nan if number == 3 else 1.0))
    assert (find_nan.finding.epoch, find_nan.finding.batch) == (0, 3)
    assert find_nan.run.outcome == "stopped"


def test_to_go_on_is_refused_where_that_cannot_be():
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(AttachError, match="FindNaN needs 'replay'"):
        model.fit(np.ones((4, 4)), np.ones((4, 1)), verbose=0, callbacks=[FindNaN(then="restore")])
