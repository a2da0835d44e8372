"""Batches are taken apart: tuples, lists, dicts, named tuples, dataclasses and objects with arrays as attributes."""

import collections
import dataclasses

import numpy as np
import pytest
from tests.names import without_address

from onlooker.core.parts import attributes, named_parts

ONE, TWO = np.zeros(1), np.zeros(2)
Pair = collections.namedtuple("Pair", ["x", "y"])


@dataclasses.dataclass
class Fields:
    x: object
    y: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slots:
    x: object


class Own:
    def __init__(self, **parts):
        self.__dict__.update(parts)


class Attrs:
    """As `attrs` makes classes."""

    __attrs_attrs__ = (Own(name="x"),)
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x


SHAPES = {
    "one": (ONE, {"": ONE}),
    "a tuple": ((ONE, [TWO]), {"[0]": ONE, "[1][0]": TWO}),
    "a dict": ({"x": {"of": ONE}}, {"['x']['of']": ONE}),
    "a dict of another kind": (collections.UserDict(x=ONE), {"['x']": ONE}),
    "a named tuple": (Pair(ONE, (TWO,)), {".x": ONE, ".y[0]": TWO}),
    "a dataclass": (Fields(ONE, [TWO]), {".x": ONE, ".y[0]": TWO}),
    "a dataclass in a dataclass": (
        (Fields(Fields(ONE), "word"), 3),
        {"[0].x.x": ONE, "[0].x.y": None, "[0].y": "word", "[1]": 3},
    ),
    "slots": (Slots(ONE), {".x": ONE}),
    "attrs": (Attrs(ONE), {".x": ONE}),
    "an object": (Own(x=ONE, rest={"y": [TWO]}, name="word", words=["a"]), {".x": ONE, ".rest['y'][0]": TWO}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_taken_apart(name):
    data, parts = SHAPES[name]
    found = dict(named_parts(data))
    assert list(found) == list(parts)
    assert all(found[path] is part for path, part in parts.items())


@pytest.mark.parametrize(
    "data", [Own(name="word"), Own(whole=Own(x=ONE)), Own, len, "word", 3, ONE, None], ids=without_address
)
def test_what_is_no_batch_is_left_whole(data):
    """An object within an object may be a whole data set."""
    assert attributes(data) == {}
    assert list(named_parts(data)) == [("", data)]


def test_what_holds_itself_is_gone_through_once():
    data = Own(x=ONE)
    data.inner = [ONE, data]
    assert [path for path, _ in named_parts(data)] == [".x", ".inner[0]"]
    fields = Fields(ONE)
    fields.y = [fields, fields]
    assert [path for path, _ in named_parts((fields, fields))] == ["[0].x"]
