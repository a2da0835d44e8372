"""Trainings that are well: no rule speaks. A false alarm is a failure."""

import pytest
import torch
from tests.unit.callbacks.doctor.trainings import (
    Gpt,
    PlainCnn,
    batches,
    cnn,
    digits,
    gan,
    mlp,
    seen,
    text,
    train,
    train_gan,
)
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts, LinearLR, MultiStepLR

import onlooker as ol

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def split():
    """Batches to train on, and others to test on, of the same writers."""
    images, labels = digits()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, labels = images[order], labels[order]
    return batches(images[:1400], labels[:1400], count=1400), batches(images[1400:], labels[1400:], size=200)


CLASSIFIERS = {
    "mlp": mlp,
    "mlp-tanh": lambda: mlp(activation=nn.Tanh),
    "mlp-deep": lambda: mlp(*[64] * 5),
    "cnn": cnn,
    "cnn-plain": PlainCnn,
    "cnn-normalized-first": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), *mlp()[1:]),
}
OPTIMIZERS = {"adam": lambda weights: Adam(weights, lr=2e-3), "sgd": lambda weights: SGD(weights, lr=0.1)}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", CLASSIFIERS)
def test_a_classifier(model, optimizer):
    model, (data, test) = CLASSIFIERS[model](), split()
    history = ol.callbacks.History()
    doctor = train(model, data, OPTIMIZERS[optimizer](model.parameters()), epochs=8, test=test, more=[history])
    assert min(history.history["val_loss"]) < 0.7  # it has been well
    assert not seen(doctor)


SCHEDULES = {
    "cosine": lambda optimizer: CosineAnnealingLR(optimizer, 352),
    "restarts": lambda optimizer: CosineAnnealingWarmRestarts(optimizer, 100),
    "steps": lambda optimizer: MultiStepLR(optimizer, [150, 250]),
    "warm-up": lambda optimizer: LinearLR(optimizer, 1e-3, 1, 100),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule(schedule):
    model, (data, test) = mlp(), split()
    optimizer = Adam(model.parameters(), lr=3e-3)
    assert not seen(train(model, data, optimizer, epochs=8, test=test, schedule=SCHEDULES[schedule](optimizer)))


@pytest.mark.parametrize(("size", "lr"), [(2, 5e-4), (256, 3e-3)])
def test_small_and_large_batches(size, lr):
    model = mlp()
    doctor = train(model, batches(*digits(), size=size), Adam(model.parameters(), lr=lr), epochs=max(1, size // 16))
    assert not seen(doctor)


@pytest.mark.parametrize(
    "optimizer",
    [lambda weights: Adam(weights, lr=2e-3), lambda weights: SGD(weights, lr=0.3, momentum=0.9)],
    ids=["adam", "sgd"],
)
def test_a_gpt(optimizer):
    model = Gpt()
    history = ol.callbacks.History()
    data = batches(*text(), size=16, count=600)
    doctor = train(model, data, optimizer(model.parameters()), epochs=4, more=[history])
    assert history.history["loss"][-1] < 0.9 * history.history["loss"][0]
    assert not seen(doctor)


def test_a_gan(tmp_path):
    models = gan()
    optimizers = {name: Adam(model.parameters(), lr=1e-3, betas=(0.5, 0.99)) for name, model in models.items()}
    noise = torch.randn(16, 16)
    grid = ol.callbacks.ImageGrid(
        lambda models: models["generator"](noise), tmp_path, value_range=(-1, 1), before_training=True
    )
    assert not seen(train_gan(models, optimizers, epochs=20, more=[grid]))


def test_a_critic_with_clipped_weights():
    """Its biases' gradients are often exactly 0, as real samples and others cancel out."""
    models = gan()
    generator, critic = models.values()
    optimizers = {name: torch.optim.RMSprop(model.parameters(), lr=5e-4) for name, model in models.items()}
    doctor = ol.callbacks.Doctor(quiet=True)
    doctor.on_error = "raise"
    with ol.Loop(models, optimizers, callbacks=[doctor]) as loop:
        for _ in loop.epochs(10):
            for number, (real, _) in enumerate(loop.train(batches(*digits(), size=64))):
                loss = critic(generator(torch.randn(len(real), 16)).detach()).mean() - critic(real.tanh()).mean()
                optimizers["discriminator"].zero_grad()
                loss.backward()
                optimizers["discriminator"].step()
                with torch.no_grad():
                    for weight in critic.parameters():
                        weight.clamp_(-0.05, 0.05)
                loop.log(critic_loss=loss)
                if number % 5 == 4:
                    loss = -critic(generator(torch.randn(len(real), 16))).mean()
                    optimizers["generator"].zero_grad()
                    loss.backward()
                    optimizers["generator"].step()
                    loop.log(generator_loss=loss)
    assert not seen(doctor)


@pytest.mark.parametrize("what", [("weights", "updates"), ("activations",), ("gradients",)])
def test_what_is_not_looked_at_is_no_reason_for_an_alert(what):
    model, (data, _) = mlp(), split()
    doctor = train(model, data, Adam(model.parameters()), epochs=3, more=[ol.callbacks.Inside(what)])
    assert not seen(doctor)


def test_a_gan_with_sgd():
    models = gan()
    optimizers = {name: SGD(model.parameters(), lr=0.02, momentum=0.5) for name, model in models.items()}
    assert not seen(train_gan(models, optimizers, epochs=20))
