"""What comes first in the table: networks with one layer that is sick, and where one should look is known."""

import math

import pytest
import torch
from tests.unit.callbacks.inside.sick_networks import (
    bad_backward,
    bad_forward,
    bad_gradient,
    dead,
    network,
    no_gain,
    of_its_own,
    ordered,
    scaled,
    silent,
    train,
)
from torch import nn
from torch.optim import SGD, Adam

import onlooker as ol
from onlooker.callbacks.inside.beginnings import Beginnings
from onlooker.callbacks.inside.standing_out import layer_looks


@pytest.mark.parametrize(
    ("inside", "layer", "words"),
    [
        (lambda: scaled(100, Adam, 0.001), "6", "weights are 140 times larger than what keeps the size"),
        (lambda: scaled(100, SGD, 1e-12), "6", "weights are 140 times larger"),
        (lambda: scaled(1e-3, Adam, 1e-5), "6", "times smaller than what keeps the size"),
        (lambda: scaled(1e-3, SGD, 0.001), "6", "times smaller than what keeps the size"),
        (lambda: of_its_own(0.3, steps=60), "6", "times larger than at the first look"),
        (lambda: of_its_own(1e-9), "6", "times smaller than what is usual"),
        (lambda: of_its_own(None), "6", "no optimizer changes it"),
        (lambda: dead(Adam, 0.001), "7", "100.0% of its outputs are zero"),
        (lambda: dead(SGD, 0.01), "7", "100.0% of its outputs are zero"),
        (silent, "6", "100.0% of its outputs are zero"),
        (no_gain, "7", "100.0% of its outputs are zero"),
        (lambda: bad_forward(3, steps=6), "7", "not finite since step 3, before all others"),
        (lambda: bad_forward(3, steps=3), "7", "not finite since step 3, before all others"),
        (lambda: bad_gradient(3, steps=6), "6", "not finite since step 4, before all others"),
        (lambda: bad_gradient(3, steps=4), "6", "not finite since step 4"),
        (bad_backward, "6", "not finite since step 1, before all others"),
    ],
    ids=[
        *("giant-adam", "giant-sgd", "tiny-adam", "tiny-sgd", "fast", "slow", "forgotten", "dead-adam", "dead-sgd"),
        *(
            "silent",
            "no gain",
            "log, later",
            "log, now",
            "bad gradient, later",
            "bad gradient, now",
            "bad backward pass",
        ),
    ],
)
def test_where_a_person_should_look_comes_first(inside, layer, words):
    first = ordered(inside())[0]
    assert first.name == layer
    assert words in "; ".join(first.remarks)
    assert first.stands_out


@pytest.mark.parametrize(
    ("steps", "name", "words"),
    [
        (5, "6", "not finite since step 5, before all others"),  # what the layers before it have put out was finite
        (6, "0", "not finite since step 6, as are all others: which was first cannot be told"),
    ],
)
def test_where_it_began_is_not_made_up(steps, name, words):
    looks = ordered(bad_gradient(3, steps=steps, every=ol.every(steps=steps)))
    assert looks[0].name == name
    assert looks[0].remarks[0] == words
    assert not any("others" in remark for one in looks[1:] for remark in one.remarks)


def test_a_gradient_that_is_lost_is_so_from_the_end():
    assert [one.name for one in ordered(dead(SGD, 0.01))][:5] == ["7", "6", "4", "2", "0"]


def test_layers_are_in_the_order_in_which_data_passes_them():
    model = network()
    inside = train(model, Adam(model.parameters(), lr=0.001))
    assert [one.name for one in layer_looks(inside.latest)] == [str(at) for at in range(17)]
    assert not any(one.remarks for one in ordered(inside))


def test_a_layer_without_outputs_stands_where_it_is_in_the_model():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.last = nn.Parameter(torch.ones(16)), nn.Linear(16, 16)

        def forward(self, x):
            return self.last(x * self.scale)

    model = nn.Sequential(nn.Linear(16, 16), Inner(), nn.Linear(16, 1))
    inside = train(model, Adam(model.parameters(), lr=0.001))
    assert [one.name for one in layer_looks(inside.latest)] == ["0", "1", "1.last", "2"]


def test_what_is_frozen_on_purpose_does_not_come_before_what_is_sick():
    model = network()
    model[:12].requires_grad_(False)
    model[14].weight.data.mul_(200)
    inside = train(model, Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3))
    looks = ordered(inside)
    assert looks[0].name == "14"
    frozen = next(one for one in looks if one.name == "2")
    assert frozen.remarks == ["no optimizer changes it"]
    assert not frozen.stands_out


@pytest.mark.parametrize("steps", [1, 30])
def test_what_begins_with_zeros_may_grow(steps):
    model = network()
    nn.init.zeros_(model[16].weight)
    nn.init.zeros_(model[16].bias)
    inside = train(model, Adam(model.parameters(), lr=1e-5), steps=steps)
    remarks = "; ".join(next(one for one in ordered(inside) if one.name == "16").remarks)
    assert "at the first look" not in remarks
    assert steps > 1 or "keeps the size" not in remarks


def test_what_has_become_finite_again_is_forgotten():
    beginnings = Beginnings()
    for step, value in enumerate([math.nan, 1.0, math.inf, math.inf], 1):
        beginnings.take(
            step, {"gradients": {"a.weight": ol.summary(value)}, "activations": {"b": ol.summary(math.nan)}}
        )
    assert beginnings.not_finite() == {"a": (3, 1), "b": (1, 0)}
    assert Beginnings.from_state(beginnings.state_dict()).not_finite() == beginnings.not_finite()


def test_a_resumed_training_remembers_how_it_began():
    inside = of_its_own(0.3, steps=60)
    copy = ol.callbacks.Inside()
    copy.load_state_dict(inside.state_dict())
    copy._past.latest = inside.latest
    assert [one.remarks for one in ordered(copy)] == [one.remarks for one in ordered(inside)]
    old = {"tensors": inside.state_dict()["tensors"]}
    copy.load_state_dict(old)  # of a version that did not keep it
    assert copy.names("weights") == inside.names("weights")
