"""The guess at a batch's size: right for the usual batches, 1 where it cannot be known, never an error."""

import collections
import dataclasses
import types

import numpy as np
import pytest
import torch

from onlooker.arrays import batch_size

Pair = collections.namedtuple("Pair", "inputs targets")

Object = types.SimpleNamespace


@dataclasses.dataclass
class Fields:
    x: object
    y: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slots:
    x: object


class Attrs:
    """As `attrs` makes classes."""

    __attrs_attrs__ = (Object(name="x"),)
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x


class Angry:
    """Its class lets nobody look into it."""

    @property
    def __dict__(self):
        raise RuntimeError


CASES = {
    "a tensor": (torch.zeros(5, 2), 5),
    "an array": (np.zeros((5, 2)), 5),
    "a pair": ((torch.zeros(5, 2), torch.zeros(3)), 5),
    "a list": ([torch.zeros(5, 2), torch.zeros(3)], 5),
    "a named tuple": (Pair(torch.zeros(5, 2), None), 5),
    "a dict": ({"x": torch.zeros(5, 2), "y": torch.zeros(3)}, 5),
    "a dict with texts first": ({"text": ["a", "b"], "x": torch.zeros(5)}, 5),
    "a dict of dicts": ({"a": {"b": np.zeros((5, 1))}}, 5),
    "a pair with an id first": ((7, torch.zeros(5)), 5),
    "nested in lists": ([[torch.zeros(5)], torch.zeros(3)], 5),
    "images and boxes": ((torch.zeros(5, 3, 8, 8), [torch.zeros(9, 4)]), 5),
    "an ordered dict": (collections.OrderedDict(x=torch.zeros(5)), 5),
    "a mapping that is no dict": (types.MappingProxyType({"x": torch.zeros(5)}), 5),
    "a user dict": (collections.UserDict(x=torch.zeros(5)), 5),
    "a dataclass": (Fields(torch.zeros(5, 2), torch.zeros(3)), 5),
    "a dataclass with an id first": (Fields(7, torch.zeros(5)), 5),
    "a dataclass with slots": (Slots(np.zeros((5, 2))), 5),
    "a class of attrs": (Attrs(torch.zeros(5)), 5),
    "an object with arrays": (Object(name="word", x=torch.zeros(5)), 5),
    "a dataclass with a dict": (Fields({"words": ["a"], "x": torch.zeros(5)}), 5),
    "a dataclass with a list": (Fields([torch.zeros(5), torch.zeros(5)]), 5),
    "a dataclass in a dataclass": (Fields(Fields(torch.zeros(5))), 5),
    "a pair of dataclasses": ((Fields(torch.zeros(5)), Fields(torch.zeros(5))), 5),
    "a dataclass in a dict": ({"inputs": Fields(torch.zeros(5))}, 5),
    "a dataclass beside an array": ((Fields(np.array([480, 640])), torch.zeros(5)), 5),
    "a dataclass of words": (Fields("word", ["a", "b"]), 1),
    "a dataclass with a scalar tensor": (Fields(torch.tensor(1.0)), 1),
    "samples that are objects": ([Fields(torch.zeros(3)), Fields(torch.zeros(4))], 1),
    "a class": (Fields, 1),
    "an object that does not let itself be looked into": (Angry(), 1),
    "a number": (3.0, 1),
    "a word": ("word", 1),
    "bytes": (b"word", 1),
    "words": (["a", "b"], 1),
    "None": (None, 1),
    "nothing": ((), 1),
    "an empty dict": ({}, 1),
    "a tensor without axes": (torch.tensor(1.0), 1),
    "a scalar tensor first": ((torch.tensor(7), torch.zeros(5)), 5),
    "a scalar tensor first, in dicts": ({"meta": {"id": torch.ones(())}, "x": torch.ones(3)}, 3),
    "a scalar of NumPy first": ([np.float32(7), np.zeros((5, 2))], 5),
    "scalar tensors only": ((torch.tensor(1.0), torch.tensor(2.0)), 1),
    "a pair of numbers": ((1.0, 2.0), 1),
    "an empty batch": (torch.zeros(0, 2), 1),
    "an object": (object(), 1),
    "a shape that is none": (types.SimpleNamespace(shape="wide"), 1),
    "too deep": ([[[[[torch.zeros(5)]]]]], 1),
    "an iterator": (iter([torch.zeros(5)]), 1),
    "a set": ({1, 2}, 1),
    "an array far behind": ([0.0] * 1000 + [torch.zeros(5)], 1),
}

RING = Fields(None)
RING.x = RING
CASES["a dataclass that holds itself"] = (RING, 1)


@pytest.mark.parametrize(("data", "size"), CASES.values(), ids=CASES)
def test_batch_size(data, size):
    assert batch_size(data) == size
    assert type(batch_size(data)) is int
