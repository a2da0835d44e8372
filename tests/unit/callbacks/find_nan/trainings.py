"""Real trainings that a test makes sick in one batch."""

import random

import torch
from torch import nn

import onlooker as ol

SICK = 5
"""The batch of the first epoch in which it begins."""


class Net(nn.Module):
    """Two layers with dropout, and a place in between where something may go wrong."""

    def __init__(self, spoil=None):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.middle = Middle(spoil)
        self.last = nn.Linear(8, 1)

    def forward(self, x):
        return self.last(self.middle(self.drop(torch.relu(self.norm(self.first(x))))))


class Middle(nn.Module):
    """Does something to numbers, in the batches that are marked by their first number."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def forward(self, x):
        return x if self.spoil is None or not Middle.is_on else self.spoil(x)

    is_on = False


def batches(count=9, sick=SICK):
    """Batches of 16 pairs."""
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(16, 4, generator=generator) for _ in range(count)]
    return [(x, x.sum(1, keepdim=True)) for x in inputs]


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def seed():
    torch.manual_seed(0)
    random.seed(0)


def mean_square(outputs, targets):
    return (outputs - targets).square().mean()


def loop(
    callbacks,
    *,
    spoil=None,
    loss=mean_square,
    make_optimizer=adam,
    data=None,
    epochs=2,
    accumulate=1,
    autocast=None,
    logged=None,
    make_model=Net,
):
    """Train by hand; return the model, the optimizer and the losses."""
    seed()
    model = make_model(spoil)
    optimizer = make_optimizer(model)
    losses = [] if logged is None else logged
    with ol.Loop(model, optimizer, callbacks=callbacks) as course:
        for _ in course.epochs(epochs):
            for x, y in course.train(batches() if data is None else data):
                Middle.is_on = (course.run.epoch, course.run.batch) == (0, SICK)
                with torch.autocast("cpu", autocast, enabled=autocast is not None):
                    value = loss(model(x), y)
                (value / accumulate).backward()
                if (course.run.batch + 1) % accumulate == 0:
                    optimizer.step()
                    optimizer.zero_grad()
                course.log(loss=value)
                losses.append(float(value))
    return model, optimizer, losses


def state_of(model, optimizer):
    """All that a training leaves behind."""
    slots = [value for slot in optimizer.state_dict()["state"].values() for value in slot.values()]
    tensors = [*model.state_dict().values(), *(torch.as_tensor(one) for one in slots)]
    return [one.clone() for one in tensors] + [torch.rand(3), torch.tensor(random.random())]


def is_finite(model):
    return all(bool(torch.isfinite(one).all()) for one in model.state_dict().values())


def find(run=loop, **named):
    """Train with a `FindNaN`, and return what it has found."""
    find_nan = ol.callbacks.FindNaN(**named.pop("arguments", {}))
    run([find_nan], **named)
    assert find_nan.finding is not None
    return find_nan.finding
