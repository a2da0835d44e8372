"""`Logs` is a dict, really: every way in which Python reads one must see numbers, never a placeholder.

Each way is tried on a fresh lazy `Logs`, so that each has to do the fetching itself.
"""

import collections
import copy
import csv
import dataclasses
import io
import json
import operator
import pickle
import pprint
import string
import types

import pytest

from onlooker.core.errors import MissingLogError
from onlooker.core.logs import DeviceValue, LazyLogs, Logs, combine, fetch_together

from .counting_library import CountingLibrary

PLAIN = {"loss": 0.5, "accuracy": 0.75, "epoch_value": 3.0}


@pytest.fixture
def library():
    return CountingLibrary()


@pytest.fixture
def lazy(library):
    """Two values on a device, one here; a batch with one of each."""
    values = {"loss": library.value(0.5), "accuracy": library.value(1.5, divisor=2.0), "epoch_value": 3.0}
    return LazyLogs(values, batch={"loss": library.value(0.25), "here": 1.0})


def capture(**values):
    return values


def match_one(logs):
    match logs:
        case {"loss": loss, "accuracy": accuracy, **rest}:
            return {"loss": loss, "accuracy": accuracy, **rest}
    raise AssertionError("did not match")


def written_by_csv(logs):
    file = io.StringIO()
    csv.DictWriter(file, list(PLAIN)).writerow(logs)
    return {name: float(text) for name, text in zip(PLAIN, file.getvalue().strip().split(","), strict=True)}


def merged_into(logs):
    target = {"other": 1}
    target.update(logs)
    del target["other"]
    return target


def in_place_or(logs):
    target = {}
    target |= logs
    return target


def collected_by_popitem(logs):
    return dict(logs.popitem() for _ in range(len(logs)))


@dataclasses.dataclass
class Holder:
    logs: dict


READINGS = {
    "dict()": dict,
    "dict(**)": lambda logs: dict(**logs),
    "{**}": lambda logs: {**logs},
    "f(**)": lambda logs: capture(**logs),
    "f(**, **)": lambda logs: capture(**logs),
    "|": lambda logs: logs | {},
    "| from the right": lambda logs: {} | logs,
    "| between two": lambda logs: logs | Logs(),
    "|=": in_place_or,
    "update": merged_into,
    "copy()": lambda logs: logs.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda logs: pickle.loads(pickle.dumps(logs)),
    "pickle, protocol 0": lambda logs: pickle.loads(pickle.dumps(logs, 0)),
    "pickle in Python": lambda logs: pickle.loads(pickle._dumps(logs)),
    "json": lambda logs: json.loads(json.dumps(logs)),
    "json, sorted": lambda logs: json.loads(json.dumps(logs, sort_keys=True)),
    "json, indented": lambda logs: json.loads(json.dumps(logs, indent=1)),
    "json, nested": lambda logs: json.loads(json.dumps({"a": [logs]}))["a"][0],
    "json, to a file": lambda logs: json.loads("".join(json.JSONEncoder().iterencode(logs))),
    "repr": lambda logs: eval(repr(logs)),
    "str": lambda logs: eval(str(logs)),
    "f-string": lambda logs: eval(f"{logs}"),
    "!r": lambda logs: eval(f"{logs!r}"),
    "repr, nested": lambda logs: eval(repr([logs]))[0],
    "pprint": lambda logs: eval(pprint.pformat(logs)),
    "items()": lambda logs: dict(logs.items()),
    "sorted(items())": lambda logs: dict(sorted(logs.items())),
    "keys and values": lambda logs: dict(zip(logs.keys(), logs.values(), strict=True)),
    "[]": lambda logs: {name: logs[name] for name in logs},
    "get": lambda logs: {name: logs.get(name) for name in logs},
    "a kept get": lambda logs: dict(zip(logs, map(logs.get, list(logs)), strict=True)),
    "a kept []": lambda logs: dict(zip(logs, map(logs.__getitem__, list(logs)), strict=True)),
    "a kept items": lambda logs: (logs.items, logs["loss"]) and dict(logs.items()),
    "itemgetter": lambda logs: dict(zip(PLAIN, operator.itemgetter(*PLAIN)(logs), strict=True)),
    "methodcaller": lambda logs: {name: operator.methodcaller("get", name)(logs) for name in PLAIN},
    "setdefault": lambda logs: {name: logs.setdefault(name, "wrong") for name in list(logs)},
    "pop": lambda logs: {name: logs.pop(name) for name in list(logs)},
    "pop with a default": lambda logs: {name: logs.pop(name, "wrong") for name in list(logs)},
    "popitem": collected_by_popitem,
    "match": match_one,
    "format_map": lambda logs: eval(
        "{{'loss': {loss}, 'accuracy': {accuracy}, 'epoch_value': {epoch_value}}}".format_map(logs)
    ),
    "format": lambda logs: eval(
        "{{'loss': {loss}, 'accuracy': {accuracy}, 'epoch_value': {epoch_value}}}".format(**logs)
    ),
    "format with an index": lambda logs: {name: float(f"{{0[{name}]}}".format(logs)) for name in PLAIN},
    "%": lambda logs: eval("{'loss': %(loss)s, 'accuracy': %(accuracy)f, 'epoch_value': %(epoch_value)g}" % logs),  # noqa: UP031
    "Template": lambda logs: {name: float(string.Template(f"${name}").substitute(logs)) for name in PLAIN},
    "eval's locals": lambda logs: {name: eval(name, {}, logs) for name in PLAIN},
    "OrderedDict": lambda logs: dict(collections.OrderedDict(logs)),
    "defaultdict": lambda logs: dict(collections.defaultdict(float, logs)),
    "Counter": lambda logs: dict(collections.Counter(logs)),
    "UserDict": lambda logs: dict(collections.UserDict(logs)),
    "ChainMap": lambda logs: dict(collections.ChainMap({}, logs)),
    "MappingProxyType": lambda logs: {name: types.MappingProxyType(logs)[name] for name in PLAIN},
    "MappingProxyType.copy": lambda logs: types.MappingProxyType(logs).copy(),
    "MappingProxyType |": lambda logs: types.MappingProxyType(logs) | {},
    "SimpleNamespace": lambda logs: vars(types.SimpleNamespace(**logs)),
    "dataclasses.asdict": lambda logs: dataclasses.asdict(Holder(logs))["logs"],
    "csv.DictWriter": written_by_csv,
    "map over items": lambda logs: dict(map(tuple, logs.items())),
    "subclass of dict": lambda logs: type("Mine", (dict,), {})(logs),
}


@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
def test_every_way_to_read_a_dict_sees_the_numbers(lazy, library, read):
    assert read(lazy) == PLAIN
    assert library.transfers == [3]  # the batch's own value came with it


@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
def test_reading_what_was_fetched_or_never_lazy_gives_the_same(lazy, read):
    lazy["loss"]
    assert read(lazy) == PLAIN
    assert read(Logs(PLAIN)) == PLAIN


@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
def test_the_batch_is_read_the_same_ways(library, read):
    values = {"loss": library.value(0.5), "accuracy": library.value(0.75), "epoch_value": 3.0}
    logs = LazyLogs({"mean": library.value(9.0)}, batch=values)
    assert read(logs.batch) == PLAIN
    assert library.transfers == [3]
    assert logs == {"mean": 9.0}


COMPARISONS = {
    "== a dict": lambda logs: operator.eq(logs, PLAIN),
    "a dict ==": lambda logs: operator.eq(PLAIN, logs),
    "== itself plain": lambda logs: operator.eq(logs, Logs(PLAIN)),
    "not !=": lambda logs: not operator.ne(logs, PLAIN),
    "a dict not !=": lambda logs: not operator.ne(PLAIN, logs),
    "!= another": lambda logs: operator.ne(logs, {**PLAIN, "loss": 9.0}),
    "not == another": lambda logs: not operator.eq(logs, {**PLAIN, "loss": 9.0}),
    "in a list": lambda logs: logs in [PLAIN],
    "within a list": lambda logs: [logs] == [PLAIN],
    "within a dict": lambda logs: {"a": logs} == {"a": PLAIN},
    "== no dict": lambda logs: logs != 3,
}


@pytest.mark.parametrize("compare", COMPARISONS.values(), ids=COMPARISONS)
def test_comparing(lazy, compare):
    assert compare(lazy)


NAMES_ONLY = {
    "in": lambda logs: "loss" in logs and "val_loss" not in logs,
    "len": lambda logs: len(logs) == 3,
    "bool": bool,
    "list": lambda logs: list(logs) == list(PLAIN),
    "keys()": lambda logs: list(logs.keys()) == list(PLAIN),
    "sorted": lambda logs: sorted(logs) == sorted(PLAIN),
    "set": lambda logs: set(logs) == set(PLAIN),
    "keys() &": lambda logs: logs.keys() & {"loss"} == {"loss"},
    "reversed": lambda logs: list(reversed(logs)) == list(reversed(PLAIN)),
    "iter": lambda logs: next(iter(logs)) == "loss",
    "join": lambda logs: ",".join(logs) == ",".join(PLAIN),
    "unpack": lambda logs: [*logs] == [*PLAIN],
    "isinstance": lambda logs: isinstance(logs, dict) and isinstance(logs, collections.abc.MutableMapping),
    "the batch's names": lambda logs: list(logs.batch) == ["loss", "here"] and "loss" in logs.batch,
}


@pytest.mark.parametrize("look", NAMES_ONLY.values(), ids=NAMES_ONLY)
def test_looking_at_names_fetches_nothing(lazy, library, look):
    assert look(lazy)
    assert library.transfers == []


def test_one_read_fetches_all_at_once_and_only_once(lazy, library):
    batch = lazy.batch
    assert lazy["loss"] == 0.5
    assert (lazy["accuracy"], lazy.batch["loss"], batch["loss"], batch["here"]) == (0.75, 0.25, 0.25, 1.0)
    assert library.transfers == [3]
    assert type(lazy) is Logs
    assert type(lazy.batch) is dict


def test_one_transfer_for_each_device(library):
    logs = LazyLogs(
        {"a": library.value(1.0), "b": library.value(2.0, "device 1"), "c": library.value(3.0)},
        batch={"a": library.value(4.0, "device 1")},
    )
    assert logs == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert library.transfers == [2, 2]
    assert logs.batch == {"a": 4.0}


def test_values_of_two_libraries_are_fetched_by_their_own(library):
    other = CountingLibrary()
    assert fetch_together([library.value(1.0), other.value(2.0), library.value(3.0)]) == [1.0, 2.0, 3.0]
    assert (library.transfers, other.transfers) == ([2], [1])


def test_a_fetch_that_fails_leaves_the_logs_to_be_read_again(lazy, library):
    fetch, library.fetch = library.fetch, lambda arrays: 1 / 0
    with pytest.raises(ZeroDivisionError):
        lazy["loss"]
    library.fetch = fetch
    assert lazy == PLAIN


WRITINGS = {
    "[]=": lambda logs: logs.__setitem__("loss", 9.0),
    "update": lambda logs: logs.update(loss=9.0),
    "|=": lambda logs: operator.ior(logs, {"loss": 9.0}),
}


@pytest.mark.parametrize("write", WRITINGS.values(), ids=WRITINGS)
def test_what_is_assigned_outlives_the_fetch_and_needs_none(lazy, library, write):
    write(lazy)
    lazy["new"] = 1.0
    assert library.transfers == []
    assert dict(lazy) == {**PLAIN, "loss": 9.0, "new": 1.0}
    assert lazy.batch["loss"] == 0.25


def test_what_is_deleted_stays_away(lazy):
    del lazy["loss"]
    assert dict(lazy) == {"accuracy": 0.75, "epoch_value": 3.0}


def test_what_is_cleared_stays_away(lazy, library):
    lazy.clear()
    assert dict(lazy) == {}
    assert lazy.batch == {"loss": 0.25, "here": 1.0}


def test_a_name_that_is_missing_lists_those_that_are_there(lazy):
    with pytest.raises(MissingLogError) as caught:
        lazy["val_loss"]
    assert isinstance(caught.value, KeyError)
    assert str(caught.value) == "'val_loss' is not in the logs; available: loss, accuracy, epoch_value"
    with pytest.raises(MissingLogError, match="available: nothing"):
        Logs()["loss"]


def test_a_missing_name_without_an_error(lazy):
    assert lazy.get("val_loss") is None
    assert lazy.get("val_loss", 3) == 3
    assert lazy.pop("val_loss", 4) == 4
    assert lazy.setdefault("val_loss", 5) == 5
    with pytest.raises(KeyError):
        lazy.pop("val_accuracy")


def test_the_batch_is_empty_where_there_is_none(library):
    assert Logs().batch == {}
    assert LazyLogs({"loss": library.value(1.0)}).batch == {}


def test_copies_keep_the_batch_and_go_their_own_way(lazy):
    for copied in (lazy.copy(), copy.copy(lazy), copy.deepcopy(lazy), pickle.loads(pickle.dumps(lazy))):
        assert type(copied) is Logs
        assert copied.batch == {"loss": 0.25, "here": 1.0}
        copied["loss"] = 9.0
        copied.batch["loss"] = 9.0
    assert (lazy["loss"], lazy.batch["loss"]) == (0.5, 0.25)


def test_a_copy_of_the_batch_is_a_plain_dict(lazy):
    for copied in (lazy.batch.copy(), copy.copy(lazy.batch), copy.deepcopy(lazy.batch)):
        assert type(copied) is dict


def test_logs_hash_as_little_as_a_dict(lazy):
    for logs in (lazy, Logs()):
        with pytest.raises(TypeError, match="unhashable"):
            hash(logs)


def test_pandas_sees_the_numbers(lazy, library):
    pandas = pytest.importorskip("pandas")
    other = LazyLogs({"loss": library.value(1.0)})
    assert pandas.Series(lazy).to_dict() == PLAIN
    frame = pandas.DataFrame([LazyLogs({"loss": library.value(2.0)}), other])
    assert frame["loss"].tolist() == [2.0, 1.0]
    assert frame["loss"].dtype == float


def test_the_notice_gets_what_was_fetched_and_only_once(library):
    noticed = []
    logs = LazyLogs({"loss": library.value(0.5), "here": 1.0}, batch={"own": library.value(2.0)}, notice=noticed.append)
    logs["loss"]
    logs["here"]
    assert noticed == [{"loss": 0.5, "own": 2.0}]


def test_a_notice_that_raises_leaves_the_numbers_in_place(library):
    def refuse(fetched):
        raise UserWarning("NaN")

    logs = LazyLogs({"loss": library.value(0.5)}, notice=refuse)
    with pytest.raises(UserWarning, match="NaN"):
        logs["loss"]
    assert logs["loss"] == 0.5


def test_combine_is_lazy_only_where_something_is(library):
    assert type(combine([{"a": 1.0}, {"a": 2.0, "b": 3.0}])) is Logs
    assert combine([{"a": 1.0}, {"a": 2.0, "b": 3.0}]) == {"a": 2.0, "b": 3.0}
    logs = combine([LazyLogs({"a": library.value(1.0)}), {"b": 2.0}])
    assert library.transfers == []
    assert dict(logs) == {"a": 1.0, "b": 2.0}


def test_no_placeholder_ever_shows_in_a_message(library):
    assert "0x" not in repr(library.value(1.0))
    assert repr(DeviceValue(library, None)) == "<on a device>"
