"""Tensors that are looked at together have one timeline, and nobody notices."""

import random

import numpy as np
import pytest

import onlooker as ol
from onlooker.callbacks.inside.timeline import Timeline
from onlooker.callbacks.inside.timelines import Timelines

ALL = ("a", "b", "c", "d", "e")


def same(one, other):
    return all(np.array_equal(value, vars(other)[name], equal_nan=True) for name, value in vars(one).items())


def some_looks(kind, count=70):
    """Return for each look the names that are there."""
    choose = random.Random(0)
    if kind == "all":
        return [ALL] * count
    if kind == "one comes later":
        return [ALL[:4]] * 20 + [ALL] * (count - 20)
    if kind == "one is missing once":
        return [ALL] * 20 + [("a", "b", "d", "e")] + [ALL] * (count - 21)
    if kind == "in turns":
        return [("a", "b", "c"), ("d", "e")] * (count // 2)
    return [tuple(choose.sample(ALL, choose.randint(0, 5))) for _ in range(count)]


@pytest.mark.parametrize("kind", ["all", "one comes later", "one is missing once", "in turns", "at random"])
@pytest.mark.parametrize("is_resumed", [False, True])
def test_each_tensor_has_the_past_that_it_would_have_alone(kind, is_resumed):
    together, alone, first_seen = Timelines(8), {}, {}
    numbers = np.random.default_rng(0)
    for step, names in enumerate(some_looks(kind), start=1):
        summaries = {name: ol.summary(numbers.normal(size=3)) for name in names}
        together.add("weights", step, summaries)
        for name in names:
            first_seen[name] = None
            alone.setdefault(name, Timeline(8, [name])).add(step, summaries)
        if is_resumed and step % 13 == 0:
            together = Timelines.from_state(together.state(), 8)
    assert together.names("weights") == list(first_seen)
    assert together.names("gradients") == []
    for name in ALL:
        assert same(together.read("weights", name), alone[name].read(name))
    assert together.read("weights", "f") is None
    assert together.read("gradients", "a") is None


def test_those_that_are_looked_at_together_have_one_timeline():
    timelines = Timelines(8)
    for step in range(40):
        timelines.add("weights", step, {name: ol.summary(np.ones(3)) for name in ALL})
    assert len(set(timelines._timelines.values())) == 1
    assert len(set(Timelines.from_state(timelines.state(), 8)._timelines.values())) == 1
    timelines.add("weights", 40, {name: ol.summary(np.ones(3)) for name in ("d", "b")})
    assert {one.names for one in timelines._timelines.values()} == {("a", "c", "e"), ("b", "d")}
