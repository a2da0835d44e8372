"""Rates that differ between the layers of a network that learns, and rates that are large where gradients are small."""

import pytest
import torch
from tests.unit.callbacks.doctor.trainings import (
    Gpt,
    PlainCnn,
    batches,
    cnn,
    cross_entropy,
    digits,
    mlp,
    seen,
    text,
    train,
)
from torch import nn

import onlooker as ol

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def by_layer(model, rates):
    """Groups for an optimizer, one for each layer with weights, in order."""
    layers = [layer for layer in model.modules() if list(layer.parameters(recurse=False))]
    assert len(layers) == len(rates)
    return [{"params": layer.parameters(), "lr": rate} for layer, rate in zip(layers, rates, strict=True)]


def last_loss(model, optimizer, data=None, **given):
    """Train well: nothing is said. Return the loss of the last epoch."""
    history = ol.callbacks.History()
    assert not seen(train(model, data or batches(*digits()), optimizer, epochs=6, more=[history], **given))
    return history.history["loss"][-1]


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW])
def test_a_last_layer_with_ten_times_the_rate_of_the_others(make):
    rate = {torch.optim.SGD: 0.01, torch.optim.AdamW: 3e-4}[make]
    model = mlp()
    train(model, batches(*digits()), torch.optim.Adam(model.parameters()))
    model[-1] = nn.Linear(64, 10)
    assert last_loss(model, make(by_layer(model, [rate, rate, 10 * rate]))) < 0.3


@pytest.mark.parametrize("factor", [10, 30])
@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_a_layer_with_many_times_the_rate_of_the_others_may_be_well(activation, place, factor):
    """It grows until its steps are small beside it: this is why no rule goes by such rates."""
    rates = [0.05] * 3
    rates[place] *= factor
    model = mlp(activation=activation)
    assert last_loss(model, torch.optim.SGD(by_layer(model, rates))) < 0.25


@pytest.mark.parametrize("decay", [0.5, 0.3])
def test_rates_that_fall_from_layer_to_layer_towards_the_input(decay):
    model = mlp(64, 64, 64)
    rates = [2e-3 * decay**place for place in (3, 2, 1, 0)]
    assert last_loss(model, torch.optim.AdamW(by_layer(model, rates))) < 0.6


@pytest.mark.parametrize("make", [mlp, PlainCnn, cnn])
def test_a_large_rate_with_tiny_gradients(make):
    """A loss divided by 1000, and a rate of 100."""
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=100.0)
    assert 1000 * last_loss(model, optimizer, criterion=lambda outputs, y: cross_entropy(outputs, y) / 1000) < 0.6


def test_adam_with_a_warm_up_and_a_larger_rate_for_embeddings():
    model = Gpt()
    own = [model.tokens.weight, model.places.weight]
    rest = [weight for weight in model.parameters() if not any(weight is one for one in own)]
    optimizer = torch.optim.Adam([{"params": own, "lr": 1e-2}, {"params": rest, "lr": 1e-3}])
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1e-2, 1, 60)
    assert last_loss(model, optimizer, batches(*text(), size=16), schedule=schedule) < 3
