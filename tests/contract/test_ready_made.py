"""All ready-made callbacks that observe, together, in a classifier and in a GAN: nothing in the training shows it."""

import functools
import io
import random

import keras
import numpy as np
import pytest
import torch
from tests.contract.acting import on
from tests.contract.keras_host import seed_keras
from tests.contract.row import same
from tests.contract.shapes import fit_calls

import onlooker as ol
from onlooker.core.declaration import ABSENT
from onlooker.core.hooks import HOOKS
from onlooker.hosts.declared.keras import on_backend

NOISE = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
REAL = np.random.default_rng(2).normal(size=(12, 6)).astype("float32")


ASKS = {"weights": lambda run: run.weights(), "learning_rate": lambda run: run.learning_rate}


class LooksAround(ol.Callback):
    """Asks the run for all that it gives in every hook, and lets the model draw in every third: JAX takes its time."""

    def __init__(self, draw):
        self.draw, self.drawn, self.calls = draw, [], 0
        for hook, scope in HOOKS.items():
            setattr(self, hook, self.look if scope.index is None else self.look_at)

    def look(self, logs):
        run = self.run
        dict(logs), dict(logs.batch), run.inputs, run.outputs
        for ability, ask in ASKS.items():
            if run.host.abilities[ability].level != ABSENT:
                ask(run)
        run.record(ol.Scalars({"seen": 1.0}))
        with run.observing(seed=3):
            if self.calls % 3 == 0:
                self.drawn.append(self.draw(self.model))
            self.calls += 1
            random.random(), np.random.random()

    def look_at(self, index, logs):
        self.look(logs)


def observers(draw, directory, gives=lambda ability: True):
    """Return all of them that a host can run, and the text that the progress bar writes.

    Args:
        draw: makes pictures of the model.
        directory: where they go.
        gives: says whether the host has an ability.
    """
    text = io.StringIO()
    grid = ol.callbacks.ImageGrid(draw, directory, before_training=True)
    bar = ol.callbacks.Progress(stream=text, live=False)
    found = [bar, ol.callbacks.History(), grid, LooksAround(draw)]
    if gives("on_train_batch_end"):
        what = ["updates"] if gives("weights") else []
        what += [ability for ability in ("weights", "gradients", "activations") if gives(ability)]
        if what:
            found.append(ol.callbacks.Inside(what))
        found += [ol.callbacks.Doctor(quiet=True), ol.callbacks.FindNaN()]
    return found, text


def as_pictures(array):
    """Squeeze any numbers between 0 and 1, and lay them out as pictures of one row."""
    return 1 / (1 + np.exp(-np.asarray(array, dtype="float64")))[:, np.newaxis, :]


def check_that_they_worked(callbacks, text, draws=6):
    _, history, grid, looks, *inside = callbacks
    assert all(one.latest for one in inside if isinstance(one, ol.callbacks.Inside)), "it has looked"
    assert "epoch 2/2" in text.getvalue()
    assert len(history.history["loss"]) == 2
    assert len(grid.drawings) == 3
    assert len(looks.drawn) >= draws


@functools.cache
def plain(gan):
    """Train without any callback; once, since JAX compiles each anew."""
    return gan()


@pytest.fixture(autouse=True)
def seeded():
    random.seed(1)
    np.random.seed(1)


@pytest.mark.needs("observing")
def test_a_classifier(host, tmp_path):
    def end(callbacks):
        random.seed(1)
        np.random.seed(1)
        subject = host.make()
        host.fit(subject, callbacks, epochs=2)
        return [*host.state_of(subject), host.draw(), np.array(random.random()), np.random.random(3)]

    callbacks, text = observers(lambda model: as_pictures(host.use(model)), tmp_path, host.gives)
    assert same(end(callbacks), end([]))
    check_that_they_worked(callbacks, text, draws=len(fit_calls(host)) / 3)


# A GAN in a hand-written loop: two modules with batch norm and dropout, two optimizers.


def torch_gan(callbacks=()):
    torch.manual_seed(3)
    random.seed(1)
    np.random.seed(1)
    generator = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 6)
    )
    critic = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.4), torch.nn.Linear(8, 1)
    )
    models = {"generator": generator, "critic": critic}
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=0.01) for name, model in models.items()}
    loader = torch.utils.data.DataLoader(torch.tensor(REAL), batch_size=8, shuffle=True)
    criterion = torch.nn.functional.binary_cross_entropy_with_logits
    with ol.Loop(models, optimizers, list(callbacks)) as loop:
        for _ in loop.epochs(2):
            for real in loop.train(loader):
                fake = generator(torch.randn(len(real), 3))
                judged_real, judged_fake = critic(real), critic(fake.detach())
                loss = criterion(judged_real, torch.ones_like(judged_real)) + criterion(
                    judged_fake, torch.zeros_like(judged_fake)
                )
                optimizers["critic"].zero_grad()
                for _ in loop.test([1], prefix=f"within{random.random()}"):
                    pass  # hooks between a forward pass and its backward pass
                loss.backward()
                optimizers["critic"].step()
                judged = critic(fake)
                generator_loss = criterion(judged, torch.ones_like(judged))
                optimizers["generator"].zero_grad()
                generator_loss.backward()
                optimizers["generator"].step()
                loop.log(loss=loss, generator_loss=generator_loss)
    slots = [
        value for one in optimizers.values() for slot in one.state_dict()["state"].values() for value in slot.values()
    ]
    found = [value for model in models.values() for value in model.state_dict().values()]
    state = [torch.as_tensor(value).numpy().copy() for value in [*found, *slots]]
    return [*state, torch.rand(3).numpy(), np.array(random.random()), np.random.random(3)]


def test_a_gan_in_a_loop(tmp_path):
    callbacks, text = observers(
        lambda models: as_pictures(models["generator"](torch.tensor(NOISE) + torch.rand(1)).detach().numpy()), tmp_path
    )
    assert same(torch_gan(callbacks), plain(torch_gan))
    check_that_they_worked(callbacks, text)


# A GAN in Keras, on any backend: one loss, whose gradient is turned round where it enters the generator.


@keras.saving.register_keras_serializable("tests")
class Turned(keras.layers.Layer):
    """Passes numbers on, and their gradients turned round."""

    def call(self, x):
        return 2 * keras.ops.stop_gradient(x) - x


class KerasGan(keras.Model):
    """Generator and critic, trained by one optimizer."""

    def __init__(self):
        super().__init__()
        layers = keras.layers
        self.generator = keras.Sequential(
            [layers.Input((3,)), layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dense(6)]
        )
        self.critic = keras.Sequential(
            [
                layers.Input((6,)),
                layers.Dense(8, "relu"),
                layers.BatchNormalization(),
                layers.Dropout(0.4),
                layers.Dense(1),
            ]
        )
        self.turned = Turned()
        self.seed = keras.random.SeedGenerator(5)

    def call(self, real, training=None):
        noise = keras.random.normal((keras.ops.shape(real)[0], 3), seed=self.seed)
        fake = self.generator(noise, training=training)
        return keras.ops.concatenate(
            [self.critic(real, training=training), self.critic(self.turned(fake), training=training)], axis=1
        )


def adversarial(_, judged):
    """What the critic wants: positive for the real ones, negative for the others."""
    return keras.ops.mean(keras.ops.softplus(-judged[:, :1]) + keras.ops.softplus(judged[:, 1:]), axis=-1)


def keras_gan(callbacks=()):
    random.seed(1)
    keras.utils.set_random_seed(3)
    model = KerasGan()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=adversarial)
    model.train_on_batch(REAL[:8], REAL[:8])  # builds it
    seed_keras(4)
    model.fit(
        REAL, REAL, batch_size=8, epochs=2, verbose=0, callbacks=list(callbacks), validation_data=(REAL[:8], REAL[:8])
    )
    state = [keras.ops.convert_to_numpy(one).copy() for one in [*model.variables, *model.optimizer.variables]]
    return [
        *state,
        keras.ops.convert_to_numpy(keras.random.normal((3,))),
        np.array(random.random()),
        np.random.random(3),
    ]


def test_a_gan_in_keras(tmp_path):
    declared = on_backend(keras.backend.backend()).abilities
    callbacks, text = observers(
        lambda model: as_pictures(keras.ops.convert_to_numpy(model.generator(NOISE + np.random.rand(), training=True))),
        tmp_path,
        lambda name: name not in declared or declared[name].level != ABSENT,
    )
    assert same(keras_gan(callbacks), plain(keras_gan))
    check_that_they_worked(callbacks, text)


def test_what_would_have_shown(tmp_path):
    """Drawing without `observing` does change both GANs: the comparison sees what it is there to see."""

    class Draws(ol.Callback):
        def __init__(self, draw):
            self.draw = draw

        def on_epoch_begin(self, epoch, logs=None):
            self.draw(self.model)

    assert not same(torch_gan([Draws(lambda models: models["generator"](torch.tensor(NOISE)))]), plain(torch_gan))
    assert not same(keras_gan([Draws(lambda model: model(REAL, training=True))]), plain(keras_gan))


@pytest.mark.needs("keras_callbacks")
def test_of_ones_own_class_and_those_of_keras_together(host, tmp_path):
    """Nothing of ours disturbs Keras' own callbacks either, where they run."""
    order = []
    ours = on(host, on_epoch_end=lambda callback, epoch, logs: order.append("ours"))
    theirs = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: order.append("theirs"))
    host.fit(host.make(), [ours, theirs, ol.callbacks.History()], epochs=2)
    assert order == ["ours", "theirs"] * 2
