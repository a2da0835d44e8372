"""Units that are all the same are found where they stay so, and not where the first steps set them apart."""

import pytest
import torch
from tests.unit.callbacks.doctor.trainings import (
    Gpt,
    PlainCnn,
    batches,
    cnn,
    digits,
    mlp,
    seen,
    text,
    train,
)
from torch import nn
from torch.nn import functional

import onlooker as ol

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def filled(model, value, has_biases=True):
    """The same model, with one number for all weights, but for those of normalization layers."""
    for name, weight in model.named_parameters():
        if "norm" not in name and (has_biases or weight.dim() > 1):
            nn.init.constant_(weight, value)
    return model


def trained(model, optimizer="adam", data=None, **given):
    """What is said in a training."""
    make = {
        "adam": lambda weights: torch.optim.Adam(weights, lr=1e-3),
        "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1),
        "momentum": lambda weights: torch.optim.SGD(weights, lr=0.02, momentum=0.9, weight_decay=1e-3),
    }[optimizer]
    return train(model, data or batches(*digits()), make(model.parameters()), **given)


class Recurrent(nn.Module):
    """An LSTM, whose gates differ, and a last layer."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


SICK = {
    "mlp": (mlp, {"1.weight", "5.weight"}),
    "an odd number of units": (lambda: mlp(37, 51), {"1.weight", "5.weight"}),
    "tanh": (lambda: mlp(activation=nn.Tanh), {"1.weight", "5.weight"}),
    "sigmoid": (lambda: mlp(activation=nn.Sigmoid), {"1.weight", "5.weight"}),
    "convolutions": (PlainCnn, {"first.weight", "second.weight", "head.weight"}),
    "lstm": (Recurrent, {"rnn.weight_hh_l0", "head.weight"}),
}


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
@pytest.mark.parametrize("value", [0.01, 0.05])
@pytest.mark.parametrize("model", SICK)
def test_one_number_for_all_weights(model, value, optimizer):
    make, places = SICK[model]
    found = [alert for alert in trained(filled(make(), value), optimizer, epochs=1).alerts if alert.rule == RULE]
    assert [alert.step for alert in found] == [20]
    assert found[0].where in places


RULE = "symmetric_units"


@pytest.mark.parametrize("model", [mlp, lambda: mlp(activation=nn.Tanh)], ids=["relu", "tanh"])
def test_zeros_in_layers_that_follow_each_other_are_for_another_rule(model):
    """No step changes them."""
    assert [rule for rule, _ in seen(trained(filled(model(), 0.0), epochs=5))] == ["no_gradient"]


def test_the_normalization_does_not_set_them_apart():
    model = filled(cnn(), 0.05, has_biases=False)
    assert (RULE, "1.weight") in seen(trained(model, epochs=1))


def test_the_alert_says_how_many_and_how_far_apart():
    (alert,) = [one for one in trained(filled(mlp(), 0.05), epochs=1).alerts if one.rule == RULE]
    assert alert.seen.startswith("its 64 rows are all the same, and change in the same way; likewise 3.weight")
    assert alert.evidence["units"] == 64
    assert alert.evidence["apart"] < 1e-3 * alert.evidence["step"]


def test_a_step_that_leaves_no_gradient_behind():
    """It goes by the weights alone then."""
    model, doctor = filled(mlp(), 0.05), ol.callbacks.Doctor(quiet=True)
    optimizer = torch.optim.Adam(model.parameters())
    with ol.Loop(model, optimizer, [doctor]) as loop:
        for _ in loop.epochs(1):
            for x, y in loop.train(batches(*digits())):
                functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                optimizer.zero_grad()
    assert (RULE, "1.weight") in seen(doctor)


def test_a_resumed_training_in_which_less_is_looked_at():
    first = ol.callbacks.Doctor(quiet=True, every=ol.at(steps=[1, 2]))
    trained(filled(mlp(), 0.05), doctor=first, epochs=1)
    second = ol.callbacks.Doctor(quiet=True)

    class Resume(ol.Callback):
        def on_epoch_begin(self, epoch, logs):
            second.load_state_dict(first.state_dict())

    inside = ol.callbacks.Inside(("weights", "updates"), layers="5")
    model = filled(mlp(), 0.05)
    optimizer = torch.optim.Adam(model.parameters())
    assert (RULE, "5.weight") in seen(train(model, batches(*digits()), optimizer, 1, second, more=[Resume(), inside]))


# What begins with one number, and is well.


def with_zeros(model, *names):
    """The same model, with zeros for the weights of these names."""
    for name, weight in model.named_parameters():
        if name.endswith(names):
            nn.init.zeros_(weight)
    return model


def one_constant_layer(place):
    model = mlp(64, 64, 64)
    nn.init.constant_(model[place].weight, 1 / 64)
    return model


class Scaled(nn.Module):
    """Layers whose outputs are normalized pixel by pixel, and scaled channel by channel."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.LayerNorm((8, 8, 8))
        self.scale = nn.Parameter(torch.full((8, 1, 1), 1e-3))
        self.second, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 10)

    def forward(self, x):
        x = self.norm(self.first(x[:, None])).relu()
        return self.head((x + self.scale * self.second(x)).mean((2, 3)))


WELL = {
    "a last layer of zeros": lambda: with_zeros(mlp(), "5.weight", "5.bias"),
    "a logistic regression that begins at 0": lambda: with_zeros(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), "t"),
    "a first layer of one number": lambda: one_constant_layer(1),
    "a layer of one number in the middle": lambda: one_constant_layer(3),
    "scales of one number": Scaled,
    "a convolution of zeros": lambda: with_zeros(PlainCnn(), "second.weight"),
}


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum"])
@pytest.mark.parametrize("model", WELL)
def test_what_the_steps_set_apart_is_well(model, optimizer):
    assert not seen(trained(WELL[model](), optimizer, epochs=3))


@pytest.mark.parametrize("zeros", [("out.weight", "down.weight"), ("places.weight",)], ids=["residual", "places"])
def test_parts_of_a_gpt_that_begin_at_0(zeros):
    assert not seen(trained(with_zeros(Gpt(), *zeros), data=batches(*text(), size=16), epochs=2))


@pytest.mark.parametrize("size", [32, 2000])
def test_numbers_to_be_learned_that_are_far_from_0_and_not_from_each_other(size):
    """Adam's first steps are the same for all outputs, as all gradients have one sign; the gradients are not."""
    x = torch.randn(2000, 12).abs()
    y = x @ torch.randn(12, 6) + 200
    model, data = with_zeros(nn.Linear(12, 6), "weight"), batches(x, y, count=2000, size=size)
    assert not seen(trained(model, data=data, criterion=functional.mse_loss, epochs=max(2, size // 50)))


class Factors(nn.Module):
    """Ratings from factors of users and things, and biases that begin at 0, with a row for padding."""

    def __init__(self):
        super().__init__()
        self.users, self.things = nn.Embedding(50, 8), nn.Embedding(80, 8, padding_idx=0)
        self.user_biases, self.thing_biases = nn.Embedding(50, 1), nn.Embedding(80, 1, padding_idx=0)
        nn.init.normal_(self.users.weight, std=0.1)
        nn.init.normal_(self.things.weight, std=0.1)
        with_zeros(self, "biases.weight")

    def forward(self, pairs):
        users, things = pairs.unbind(1)
        biases = self.user_biases(users) + self.thing_biases(things)
        return (self.users(users) * self.things(things)).sum(1) + biases[:, 0]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_embeddings_of_zeros(optimizer):
    pairs = torch.stack([torch.randint(50, (2000,)), torch.randint(1, 80, (2000,))], 1)
    ratings = 3 + torch.randn(50)[pairs[:, 0]] + torch.randn(80)[pairs[:, 1]]
    data = batches(pairs, ratings, count=2000)
    assert not seen(trained(Factors(), optimizer, data=data, criterion=functional.mse_loss))
