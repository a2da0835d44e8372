"""Weighted running means, against plain Python, on devices and off them."""

import gc
import math
import warnings
import weakref
from decimal import Decimal
from fractions import Fraction

import hypothesis.stateful as stateful
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from tests.names import without_address

from onlooker.core import means as means_module
from onlooker.core.errors import LogError, OnlookerWarning
from onlooker.core.logs import Logs
from onlooker.core.means import Means
from onlooker.core.numbers import TRIAL_LENGTH, Numbers
from onlooker.core.pending import LENGTH, PendingLogs

from .counting_library import Array, CountingLibrary


@pytest.fixture
def library():
    return CountingLibrary()


@pytest.fixture
def means(library):
    return Means(Numbers(library.find), lambda: "epoch 3, batch 12")


def log_batches(means, *batches):
    for values, weight in batches:
        means.log(values, weight)
        means.end_batch()


def test_the_last_batch_is_smaller(means):
    log_batches(means, ({"loss": 1.0}, 32), ({"loss": 2.0}, 32), ({"loss": 9.0}, 8))
    assert means.mean()["loss"] == pytest.approx((1 * 32 + 2 * 32 + 9 * 8) / 72)


def test_a_name_in_some_batches_only_is_averaged_over_those(means):
    log_batches(means, ({"loss": 1.0}, 1), ({"loss": 3.0, "extra": 10.0}, 1), ({"extra": 20.0}, 3))
    assert means.mean() == {"loss": 2.0, "extra": 17.5}


def test_the_last_value_counts_where_a_name_comes_twice_in_a_batch(means):
    means.log({"loss": 100.0}, 64)
    means.log({"loss": 1.0}, 1)
    means.end_batch()
    log_batches(means, ({"loss": 3.0}, 1))
    assert means.mean() == {"loss": 2.0}


def test_each_name_has_its_own_weight(means):
    means.log({"loss": 1.0}, 1)
    means.log({"tokens": 1.0}, 100)
    means.end_batch()
    means.log({"loss": 3.0}, 3)
    means.log({"tokens": 2.0}, 300)
    means.end_batch()
    assert means.mean() == {"loss": 2.5, "tokens": 1.75}


def test_a_batch_without_values_changes_nothing(means):
    log_batches(means, ({"loss": 1.0}, 1), ({}, 5))
    means.end_batch()
    assert means.mean() == {"loss": 1.0}
    assert Means(Numbers(lambda kind: None), str).mean() == {}


def test_batch_logs_have_the_mean_so_far_and_the_batchs_own(means):
    log_batches(means, ({"loss": 1.0}, 1))
    means.log({"loss": 3.0, "extra": 5.0}, 3)
    logs = means.batch_logs()
    assert logs == {"loss": 2.5, "extra": 5.0}
    assert logs.batch == {"loss": 3.0, "extra": 5.0}
    assert means.batch_logs().batch == {}
    assert means.mean() == {"loss": 2.5, "extra": 5.0}


def test_a_kept_logs_is_a_snapshot(means, library):
    means.log({"loss": Array(1.0), "here": 1.0}, 1)
    first = means.batch_logs()
    means.log({"loss": Array(3.0), "here": 3.0}, 1)
    second = means.batch_logs()
    assert (dict(second), dict(second.batch)) == ({"loss": 2.0, "here": 2.0}, {"loss": 3.0, "here": 3.0})
    assert (dict(first), dict(first.batch)) == ({"loss": 1.0, "here": 1.0}, {"loss": 1.0, "here": 1.0})


def test_what_somebody_writes_into_the_logs_does_not_come_back(means):
    means.log({"loss": 1.0}, 1)
    logs = means.batch_logs()
    logs["loss"] = logs["new"] = 100.0
    means.log({"loss": 3.0}, 1)
    assert means.batch_logs() == {"loss": 2.0}


def test_values_on_a_device_stay_there(means, library):
    for number in range(5):
        means.log({"loss": Array(float(number))}, 2)
        assert type(means.batch_logs()) is PendingLogs
    logs = means.mean()
    assert library.transfers == []
    assert logs["loss"] == 2.0
    assert library.transfers == [1]


def test_values_that_move_between_here_and_a_device(means, library):
    log_batches(
        means,
        ({"a": 1.0, "b": Array(1.0)}, 1),
        ({"a": Array(2.0), "b": 2.0}, 1),
        ({"a": 6.0, "b": Array(6.0)}, 2),
    )
    assert means.mean() == {"a": 3.75, "b": 3.75}


def test_arrays_that_are_here_become_floats_at_once(means, library):
    means.log({"loss": Array(1.0, is_on_device=False)}, 1)
    logs = means.batch_logs()
    assert type(logs.batch["loss"]) is float
    assert logs["loss"] == 1.0
    assert type(logs) is Logs
    assert library.transfers == []


@pytest.mark.parametrize(
    "value",
    [1, True, 1.0, Decimal(1), Fraction(1), type("Number", (), {"__float__": lambda self: 1.0})()],
    ids=without_address,
)
def test_numbers_of_all_kinds(value, library):
    number = Numbers(library.find).read("loss", value)
    assert type(number) is float
    assert number == 1.0


@pytest.mark.parametrize("value", [None, "1.0", b"1", [1.0], {"a": 1}, 1j, object(), float], ids=without_address)
def test_what_is_no_number(value, means):
    with pytest.raises(LogError, match=r"'loss' was logged as .*expected a single number") as caught:
        means.log({"loss": value}, 1)
    assert isinstance(caught.value, ValueError)


def test_something_that_cannot_become_a_number_after_all(means):
    class Sulks:
        def __float__(self):
            raise ValueError("not today")

    with pytest.raises(LogError, match=r"'loss' was logged as .* which is no single number: not today"):
        means.log({"loss": Sulks()}, 1)


@pytest.mark.parametrize("is_on_device", [True, False])
def test_an_array_of_several(means, is_on_device):
    with pytest.raises(
        LogError, match=r"'loss' was logged as an array of shape \(3,\).* log its mean, for example loss=value.mean\(\)"
    ):
        means.log({"loss": Array(1.0, size=3, is_on_device=is_on_device)}, 1)


# What is put off.


def test_sums_are_those_of_adding_each_value_when_it_comes(means):
    """To the last bit, whoever reads when: values are added in the order in which they were logged."""
    total, weights, kept = 0.0, 0.0, []
    for number in range(3 * LENGTH + 5):
        weight = 1 + number % 7
        means.log({"loss": 1 / (number + 3)}, weight)
        total += 1 / (number + 3) * weight
        weights += weight
        logs = means.batch_logs()
        kept.append((logs, total / weights))
        if number % 10 == 0:
            assert logs["loss"] == total / weights
    assert [logs["loss"] for logs, _ in kept[::-1]] == [mean for _, mean in kept[::-1]]
    assert means.mean() == {"loss": total / weights}


def test_values_here_and_on_a_device_are_added_in_one_order(means):
    log_batches(means, ({"loss": Array(1e16)}, 1), ({"loss": Array(1.0)}, 1), ({"loss": -1e16}, 1))
    assert means.mean() == {"loss": 0.0}  # -1e16 first would give 1 / 3


@pytest.mark.slow
def test_so_many_values_are_kept_and_no_more(means, library):
    arrays = weakref.WeakSet()
    for number in range(10 * LENGTH):
        means.log({"loss": Array(float(number))}, 1)
        arrays.add(dict.__getitem__(means.batch_logs().batch, "loss").array)
        if number % 25 == 0:
            gc.collect()
            assert len(arrays) <= LENGTH
    assert library.transfers == []
    assert means.mean()["loss"] == (10 * LENGTH - 1) / 2


def test_a_name_that_comes_again_and_again_in_one_batch_is_kept_once(means):
    for number in range(5 * LENGTH):
        means.log({"loss": float(number), f"other {number % 2}": 1.0}, 1)
    assert len(means._entries) <= 2
    logs = means.batch_logs()
    assert logs == {"loss": 5.0 * LENGTH - 1, "other 0": 1.0, "other 1": 1.0}
    assert list(logs) == ["loss", "other 0", "other 1"]


def test_what_is_assigned_or_deleted_before_anybody_reads_stays_so(means):
    log_batches(means, ({"loss": 1.0, "other": 1.0, "third": 1.0}, 1))
    means.log({"loss": 3.0, "other": 3.0, "third": 3.0}, 1)
    logs = means.batch_logs()
    logs["loss"] = 3.0  # as its own value
    del logs["other"]
    logs["new"] = 7.0
    assert logs == {"loss": 3.0, "third": 2.0, "new": 7.0}


def test_unread_logs_can_be_compared(means):
    log_batches(means, ({"loss": 1.0}, 1))
    first, second = means.batch_logs(), means.batch_logs()
    assert first == second
    means.log({"loss": 3.0}, 1)
    third = means.batch_logs()
    assert means.batch_logs() == third != first
    assert {"loss": 2.0} == means.batch_logs()  # noqa: SIM300 -- the other way round is the line above


def test_what_somebody_writes_into_a_batchs_own_values_does_not_come_back(means):
    means.log({"loss": 1.0}, 1)
    logs = means.batch_logs()
    logs.batch["loss"] = 100.0
    assert logs["loss"] == 1.0
    assert means.mean() == {"loss": 1.0}


def test_of_values_of_which_one_is_refused_none_counts(means):
    log_batches(means, ({"loss": 1.0}, 1))
    with pytest.raises(LogError):
        means.log({"new": 5.0, "loss": 5.0, "other": "word"}, 1)
    logs = means.batch_logs()
    assert list(logs) == ["loss"]
    assert (logs, logs.batch) == ({"loss": 1.0}, {})


class Immutable(CountingLibrary):
    """Arrays that cannot change, but can be given away."""

    def __init__(self):
        super().__init__()
        self.copies = 0

    def can_stay(self, array):
        return True

    def is_gone(self, array):
        return array.number is None

    def snapshot(self, array):
        self.copies += 1
        return super().snapshot(array)


def log_immutable(library, count, given_away):
    """Log arrays, some of which are given away in the batch after; return the logs of all batches, unread."""
    means, kept = Means(Numbers(library.find), lambda: "epoch 0"), []
    for number in range(count):
        array = Array(float(number))
        means.log({"loss": array}, 1)
        kept.append(means.batch_logs())
        if given_away(number):
            array.number = None
    return means, kept


def test_arrays_that_cannot_change_are_copied_only_at_first():
    library = Immutable()
    means, kept = log_immutable(library, 100, lambda number: False)
    assert library.copies == TRIAL_LENGTH
    assert [logs.batch["loss"] for logs in kept] == [float(number) for number in range(100)]
    assert means.mean() == {"loss": 49.5}


@pytest.mark.parametrize("given_away", [lambda number: True, lambda number: number == TRIAL_LENGTH - 1])
def test_arrays_that_are_given_away_are_copied(given_away):
    library = Immutable()
    means, kept = log_immutable(library, 100, given_away)
    assert library.copies == 100
    assert [logs.batch["loss"] for logs in kept] == [float(number) for number in range(100)]
    assert means.mean() == {"loss": 49.5}


def test_an_array_that_is_given_away_later_is_missed_with_a_word():
    means, kept = log_immutable(Immutable(), 20, lambda number: number == 15)
    assert kept[14]["loss"] == 7.0
    for read in (
        lambda: kept[15]["loss"],
        lambda: dict(kept[19]),
        lambda: dict(means.mean()),
        lambda: kept[15].batch["loss"],
    ):
        with pytest.raises(LogError, match=r"'loss' was logged as an array that was donated to a step before .*copy"):
            read()


# NaN.


def test_nan_makes_the_mean_nan_and_says_so_once(means):
    with pytest.warns(OnlookerWarning) as records:
        log_batches(means, ({"loss": 1.0}, 1), ({"loss": math.nan}, 1), ({"loss": math.nan}, 1), ({"loss": 1.0}, 1))
    assert [str(record.message) for record in records] == [
        "'loss' is NaN (epoch 3, batch 12), and so is its mean over the epoch from here on"
    ]
    assert math.isnan(means.mean()["loss"])


def test_nan_on_a_device_is_said_when_it_is_read(means, library):
    means.log({"loss": Array(math.nan), "fine": Array(1.0)}, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logs, again = means.batch_logs(), means.mean()
    with pytest.warns(OnlookerWarning, match="'loss' is NaN"):
        logs["fine"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again["loss"]


def test_nan_in_a_batch_before_that_which_is_read(means, library):
    """That batch's own value is finite, the mean is not."""
    log_batches(means, ({"loss": Array(math.nan)}, 1))
    means.log({"loss": Array(1.0)}, 1)
    with pytest.warns(OnlookerWarning, match="'loss' is NaN"):
        means.batch_logs()["loss"]


def test_nan_on_a_device_is_said_with_the_epochs_mean(means, library):
    log_batches(means, ({"loss": Array(math.nan)}, 1), ({"loss": Array(1.0)}, 1))
    with pytest.warns(OnlookerWarning) as records:
        means.mean()["loss"]
    assert [str(record.message) for record in records] == [
        "the mean of 'loss' is NaN (epoch 3, batch 12): at least one of the values in it was"
    ]


@pytest.mark.parametrize("make", [float, Array])
def test_nan_is_said_again_only_after_a_mean_that_was_finite(library, make):
    epochs, known = [1.0, math.nan, math.nan, 1.0, 1.0, math.nan, math.nan], set()
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        for epoch, number in enumerate(epochs):
            means = Means(Numbers(library.find), lambda epoch=epoch: f"epoch {epoch}", known)
            log_batches(means, ({"loss": make(2.0)}, 1), ({"loss": make(number)}, 1), ({"loss": make(2.0)}, 1))
            assert math.isnan(means.mean()["loss"]) is math.isnan(number)
    assert [str(record.message).partition("(")[2][:7] for record in records] == ["epoch 1", "epoch 5"]


def test_infinity_is_a_number(means):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log_batches(means, ({"loss": math.inf}, 1), ({"loss": 1.0}, 1))
    assert means.mean() == {"loss": math.inf}


# Against plain Python.


class MeansAgainstPlainPython(stateful.RuleBasedStateMachine):
    """Log anything, read any time, keep what was read: it is what plain Python says, then and later."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(means_module, "LENGTH", 3)  # so that many chunks come to their end
        self.library = CountingLibrary()
        self.means = Means(Numbers(self.library.find), lambda: "somewhere")
        self.folded = {}  # by name: values and weights of the batches that are over
        self.batch = {}  # by name: the value and the weight of this batch
        self.kept = []

    names = st.sampled_from("abc")
    numbers = st.floats(-1e6, 1e6)

    @stateful.rule(name=names, number=numbers, weight=st.integers(1, 64), place=st.sampled_from(["", "0"]))
    def log(self, name, number, weight, place):
        self.means.log({name: Array(number, place) if place else number}, weight)
        self.batch[name] = (number, weight)

    @stateful.rule()
    def end_batch(self):
        self.means.end_batch()
        self.fold()

    @stateful.rule(is_read=st.booleans())
    def read_batch(self, is_read):
        logs = self.means.batch_logs()
        own = {name: number for name, (number, _) in self.batch.items()}
        self.fold()
        self.keep(logs, self.expected(), own, is_read)

    @stateful.rule(is_read=st.booleans())
    def read_mean(self, is_read):
        self.keep(self.means.mean(), self.expected(), {}, is_read)

    def fold(self):
        for name, entry in self.batch.items():
            self.folded.setdefault(name, []).append(entry)
        self.batch = {}

    def expected(self):
        return {
            name: math.fsum(number * weight for number, weight in entries) / sum(weight for _, weight in entries)
            for name, entries in self.folded.items()
        }

    def keep(self, logs, expected, own, is_read):
        if is_read:
            self.check(logs, expected, own)
        self.kept.append((logs, expected, own))

    def check(self, logs, expected, own):
        assert list(logs) == list(expected)
        transfers = len(self.library.transfers)
        assert dict(logs) == pytest.approx(expected, rel=1e-9, abs=1e-6)
        assert dict(logs.batch) == own
        assert len(self.library.transfers) <= transfers + 1

    def teardown(self):
        self.patch.undo()
        for kept in self.kept:
            self.check(*kept)


TestMeansAgainstPlainPython = MeansAgainstPlainPython.TestCase
TestMeansAgainstPlainPython.settings = settings(max_examples=60, stateful_step_count=30)


def test_means_that_somebody_else_has_made_take_the_place_of_those_of_the_batches(means):
    log_batches(means, ({"loss": 1.0, "f1": 0.5}, 32), ({"loss": 2.0, "f1": 0.7}, 8))
    means.replace({"f1": 0.9, "auc": 0.8})
    assert list(means.mean().items()) == [("loss", pytest.approx(1.2)), ("f1", 0.9), ("auc", 0.8)]


def test_sums_for_a_checkpoint_are_fetched_together(means, library):
    log_batches(means, ({"a": Array(1.0), "b": Array(2.0), "c": 3.0}, 2), ({"a": Array(5.0)}, 1))
    assert means.sums() == {"a": (7.0, 3.0), "b": (4.0, 2.0), "c": (6.0, 2.0)}
    assert library.transfers == [2]


def test_means_go_on_from_the_sums_of_others():
    first, second, whole = (Means(Numbers(lambda kind: None), lambda: "epoch 0") for _ in range(3))
    for number, weight in ((0.1, 3), (0.7, 5)):
        for means in (first, whole):
            means.log({"loss": number}, weight)
            means.end_batch()
    first.log({"loss": 9.0}, 1)  # of a batch that is not over, and so in no sum
    second.go_on_from(first.sums())
    for means in (second, whole):
        means.log({"loss": 0.3}, 2)
    assert second.batch_logs() == whole.batch_logs()
    assert second.mean() == whole.mean()
