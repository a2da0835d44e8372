"""Networks with one layer that is sick, or odd, and where one should look is known."""

import math

import torch
from torch import nn
from torch.optim import SGD, Adam

import onlooker as ol
from onlooker.callbacks.inside.standing_out import layer_looks, worst_first

SICK = "6"
"""The fourth of eight layers; behind it stands `"7"`, a ReLU."""


def network(norm=False, width=16):
    torch.manual_seed(0)
    kinds = [lambda: nn.Linear(width, width), *([lambda: nn.LayerNorm(width)] if norm else []), nn.ReLU]
    model = nn.Sequential(*[kind() for _ in range(8) for kind in kinds], nn.Linear(width, 1))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return model


def train(model, optimizer, *, steps=5, inside=None, before_step=lambda number, model: None, every=None):
    """Train a few steps, and return what has looked inside."""
    torch.manual_seed(1)
    inside = inside or ol.callbacks.Inside(every=every)
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for _ in loop.epochs(1):
            for number, x in enumerate(loop.train([torch.randn(32, 16) for _ in range(steps)])):
                optimizer.zero_grad()
                (model(x) - x.mean(1, keepdim=True).sign()).square().mean().backward()
                before_step(number, model)
                optimizer.step()
    return inside


def ordered(inside):
    return worst_first(layer_looks(inside.latest, inside._past.beginnings))


def scaled(factor, make, lr, steps=3):
    model = network()
    model[6].weight.data.mul_(factor)
    return train(model, make(model.parameters(), lr=lr), steps=steps)


def of_its_own(lr, steps=5):
    """A layer with a learning rate of its own; None for one that no optimizer has."""
    model = network()
    groups = [{"params": [p for name, p in model.named_parameters() if name.partition(".")[0] != SICK]}]
    if lr is not None:
        groups.append({"params": model[6].parameters(), "lr": lr})
    return train(model, Adam(groups, lr=0.001), steps=steps)


def dead(make, lr):
    model = network()
    nn.init.constant_(model[6].bias, -100)
    return train(model, make(model.parameters(), lr=lr))


def silent():
    """A layer of zeros in a network without biases: all that is behind it puts out zeros, too."""
    model = network()
    for layer in model[::2]:
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(model[6].weight)
    return train(model, SGD(model.parameters(), lr=0.01), steps=1)


class LogFrom(nn.Module):
    """Takes a logarithm of negative numbers, from some call on."""

    def __init__(self, call):
        super().__init__()
        self.call, self.calls = call, 0

    def forward(self, x):
        self.calls += 1
        return torch.log(x - 50) if self.calls >= self.call else x.relu()


def bad_forward(call, steps):
    model = network()
    model[7] = LogFrom(call)
    return train(model, Adam(model.parameters(), lr=0.001), steps=steps)


def bad_gradient(at, steps, every=None):
    def spoil(number, model):
        if number == at:
            model[6].weight.grad[0, 0] = math.nan

    model = network()
    return train(model, Adam(model.parameters(), lr=0.001), steps=steps, before_step=spoil, every=every)


class BadBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.relu()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.nan


def bad_backward():
    model = network()
    model[7] = nn.ReLU()
    model[7].forward = BadBackward.apply
    return train(model, Adam(model.parameters(), lr=0.001), steps=1)


def no_gain():
    model = network(norm=True)
    nn.init.zeros_(model[7].weight)
    groups = [{"params": [p for name, p in model.named_parameters() if not name.startswith("7.")]}]
    return train(model, SGD([*groups, {"params": model[7].parameters(), "lr": 0.0}], lr=0.001))


class Wide(nn.Module):
    """Two hundred small layers, some with long names."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(200)])
        self.a_layer_whose_name_is_longer_than_a_narrow_terminal_is_wide_by_far = nn.Linear(16, 16)

    def forward(self, x):
        for layer in self.layers:
            x = x + 0.1 * layer(x)
        return x + self.a_layer_whose_name_is_longer_than_a_narrow_terminal_is_wide_by_far(x)


class Odd(nn.Module):
    """A layer without elements, one with a single number, and complex and whole numbers."""

    def __init__(self):
        super().__init__()
        self.plain = nn.Linear(16, 1)
        self.nothing = nn.ParameterDict({"weight": nn.Parameter(torch.zeros(0, 3))})
        self.single = nn.ParameterDict({"weight": nn.Parameter(torch.tensor(2.0))})
        self.turning = nn.ParameterDict({"weight": nn.Parameter(torch.ones(3, dtype=torch.complex64))})
        self.whole = nn.ParameterDict({"weight": nn.Parameter(torch.ones(3, dtype=torch.int32), requires_grad=False)})
        self.truth = nn.ParameterDict({"weight": nn.Parameter(torch.ones(3, dtype=torch.bool), requires_grad=False)})

    def forward(self, x):
        nothing = self.nothing["weight"].sum()
        return self.plain(x) * self.single["weight"] + nothing + self.turning["weight"].abs().sum()
