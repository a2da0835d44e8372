"""Batches come to a device with all that is in them, and what the loader yielded stays as it was."""

import collections
import dataclasses
import types

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from onlooker.hosts.trainer.batches import Batches, splits_to_pairs
from onlooker.hosts.trainer.moving import to_device

CPU, META = torch.device("cpu"), torch.device("meta")
ONE = torch.zeros(2)
Pair = collections.namedtuple("Pair", ["left", "right"])

moves = []


class Recorded(torch.Tensor):
    """A tensor that writes down how it is moved, and claims to be elsewhere."""

    device = torch.device("meta")

    def to(self, *arguments, **named):
        moves.append((*arguments, named))
        return self


def test_what_comes_from_a_device_is_waited_for():
    """An array that arrives behind one's back is read before it is there."""
    moves.clear()
    tensor = torch.zeros(2).as_subclass(Recorded)
    to_device(tensor, CPU)
    to_device(tensor, torch.device("cuda"))
    to_device(tensor, torch.device("meta"))  # is there
    to_device(tensor, None)
    assert moves == [(CPU, {"non_blocking": False}), (torch.device("cuda"), {"non_blocking": True})]


def test_what_is_within_goes_too():
    moved = to_device({"pair": Pair(ONE, [ONE, "word"]), "tuple": (ONE, 3)}, META)
    assert type(moved["pair"]) is Pair
    assert moved["pair"].left.device.type == moved["pair"].right[0].device.type == "meta"
    assert moved["pair"].right[1] == "word"
    assert moved["tuple"][0].device.type == "meta"
    assert moved["tuple"][1] == 3


@dataclasses.dataclass
class Fields:
    x: object
    y: object = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: object
    made: object = dataclasses.field(init=False, default="made")


@dataclasses.dataclass(frozen=True, slots=True)
class Slots:
    x: object


@dataclasses.dataclass
class Begun:
    """One that cannot be made anew from its fields."""

    x: object
    size: dataclasses.InitVar[int]

    def __post_init__(self, size):
        self.x = self.x + size


class Attrs:
    """As `attrs` makes frozen classes."""

    __attrs_attrs__ = (types.SimpleNamespace(name="x"),)
    __slots__ = ("x",)

    def __init__(self, x):
        object.__setattr__(self, "x", x)

    def __setattr__(self, name, value):
        raise AttributeError(name)

    def __getstate__(self):
        return {"x": self.x}

    def __setstate__(self, state):
        object.__setattr__(self, "x", state["x"])


class OwnWay(Fields):
    """As torch_geometric's batches: moves itself, in place."""

    def to(self, device, non_blocking=False):
        self.x, self.y = self.x.to(device), "moved"
        return self


class OwnWayOnly(Fields):
    def to(self, device):
        return OwnWayOnly(self.x.to(device), "moved")


class OwnWayForgotten(Fields):
    def to(self, device):
        self.x, self.y = self.x.to(device), "moved"


class Quantity(Fields):
    """Whose `to` is for something else."""

    def to(self, unit):
        return {"m": 1.0}[unit]


class UserDict(collections.UserDict):
    pass


OBJECTS = {
    "a dataclass": Fields(ONE, 3),
    "a frozen dataclass": Frozen(ONE),
    "a dataclass with slots": Slots(ONE),
    "a dataclass that cannot be made anew": Begun(ONE, 2),
    "a class of attrs": Attrs(ONE),
    "an object": types.SimpleNamespace(x=ONE, name="word"),
    "one that moves itself": OwnWay(ONE),
    "one that moves itself, with no word of waiting": OwnWayOnly(ONE),
    "one that moves itself and returns nothing": OwnWayForgotten(ONE),
    "one that converts itself to units": Quantity(ONE),
}


@pytest.mark.parametrize("thing", OBJECTS.values(), ids=OBJECTS)
def test_objects(thing):
    before = thing.x
    moved = to_device({"in": (thing, 1)}, META)["in"][0]
    assert type(moved) is type(thing)
    assert moved.x.device == META
    assert moved is not thing
    assert thing.x is before  # the loader may yield it again
    moves_itself = type(thing).__name__.startswith("OwnWay")
    for name in ("y", "made", "name"):
        if hasattr(thing, name):
            assert getattr(moved, name) == ("moved" if moves_itself else getattr(thing, name))


@pytest.mark.parametrize("name", [name for name in OBJECTS if not name.startswith("one that")])
def test_what_is_there_is_left_alone(name):
    thing = OBJECTS[name]
    assert to_device(thing, CPU) is thing
    assert to_device(thing, None) is thing


def test_what_is_within_objects():
    inner = Fields([ONE, "word"], {"z": ONE})
    moved = to_device(Fields(inner, (inner, UserDict(x=ONE))), META)
    assert moved.x is moved.y[0]
    assert moved.x.x[0].device == moved.x.y["z"].device == moved.y[1]["x"].device == META
    assert moved.x.x[1] == "word"


def test_an_object_that_holds_itself():
    thing = Fields(ONE)
    thing.y = [thing, thing]
    moved = to_device(thing, META)
    assert moved.y[0] is moved.y[1] is moved
    assert moved.x.device == META
    assert thing.y == [thing, thing]


@pytest.mark.parametrize(
    "thing",
    [
        UserDict(x=ONE),
        collections.OrderedDict(x=ONE),
        collections.defaultdict(list, x=ONE),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_dicts_of_other_kinds_stay_of_their_kind(thing):
    moved = to_device(thing, META)
    assert type(moved) is type(thing)
    assert moved["x"].device == META
    assert thing["x"] is ONE


def test_a_mapping_that_cannot_be_copied_becomes_a_dict():
    moved = to_device(types.MappingProxyType({"x": ONE}), META)
    assert type(moved) is dict
    assert moved["x"].device == META


def test_packed_sequences():
    """Their lengths stay on the CPU."""
    packed = pack_sequence([torch.zeros(3), torch.zeros(2)])
    moved = to_device((packed, 1), META)[0]
    assert moved.data.device == META
    assert moved.batch_sizes.device == CPU


def test_an_encoding_of_transformers():
    transformers = pytest.importorskip("transformers", reason="transformers are another host's")
    encoding = transformers.BatchEncoding({"input_ids": ONE, "words": ["a"]})
    moved = to_device(encoding, META)
    assert type(moved) is transformers.BatchEncoding
    assert moved.input_ids.device == META
    assert moved["words"] == ["a"]
    assert encoding.input_ids is ONE


class Closing:
    """Whose end closes what its copy would still need."""

    def __init__(self):
        self.x = ONE

    def __del__(self):
        pass


class Unwilling:
    def __init__(self):
        self.x = ONE

    def __copy__(self):
        raise RuntimeError


LEFT = {
    "what is closed at its end": Closing(),
    "what cannot be copied": Unwilling(),
    "a module": torch.nn.Linear(1, 1),
    "a class": Fields,
    "a function": len,
    "a word": "word",
    "a number": 3,
    "None": None,
    "an object": object(),
}


@pytest.mark.parametrize("thing", LEFT.values(), ids=LEFT)
def test_what_cannot_be_moved_is_left_alone(thing):
    assert to_device([thing], META)[0] is thing


def test_an_error_while_moving_is_one():
    class Failing(Fields):
        def to(self, device, non_blocking=False):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        to_device(Failing(ONE), META)


def test_inputs_and_targets_that_are_objects():
    batches = Batches([Fields(Slots(ONE), Frozen(ONE))], splits_to_pairs(lambda batch: (batch.x, batch.y)), META)
    ((inputs, targets),) = batches
    assert (type(inputs), type(targets)) == (Slots, Frozen)
    assert inputs.x.device == targets.x.device == META
