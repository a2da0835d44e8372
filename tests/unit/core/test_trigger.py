"""How triggers are built and shown: every bad value is refused where it is written."""

import functools
import unittest.mock

import pytest
from tests.names import without_address

from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import TriggerError
from onlooker.core.trigger import Trigger, after, at, before, every, when

WHOLE = ("epochs", "batches", "steps")
BUILDERS = {"every": (every, 1), "after": (after, 0), "before": (before, 1)}


@pytest.mark.parametrize("builder", [every, at, after, before], ids=lambda builder: builder.__name__)
def test_exactly_one_argument(builder):
    with pytest.raises(TriggerError, match=r"takes exactly one of epochs, batches, .*; got nothing") as caught:
        builder()
    assert isinstance(caught.value, ValueError)
    with pytest.raises(TriggerError, match="got epochs=1, steps=2"):
        builder(epochs=1, steps=2)


@pytest.mark.parametrize("builder", [every, at, after, before], ids=lambda builder: builder.__name__)
def test_a_name_that_is_none_is_told_the_nearest(builder):
    name, seconds = builder.__name__, "" if builder is at else ", seconds"
    for wrong, right in {
        "epoch": "epochs",
        "batch": "batches",
        "step": "steps",
        "n_epochs": "epochs",
        "Steps": "steps",
    }.items():
        with pytest.raises(TriggerError) as caught:
            builder(**{wrong: 5})
        assert str(caught.value) == (
            f"{name}() takes one of epochs, batches, steps{seconds}, not {wrong}; did you mean {name}({right}=5)?"
        )
    with pytest.raises(TriggerError, match=r"not iterations; name one of them$"):
        builder(steps=1, iterations=5)


@pytest.mark.parametrize("unit", WHOLE)
@pytest.mark.parametrize("name", BUILDERS)
def test_what_is_no_whole_number_of_the_right_size(name, unit):
    builder, least = BUILDERS[name]
    for value in (least - 1, -5, 1.5, 2.0, "3", [1], True, False, object(), float("nan")):
        with pytest.raises(TriggerError, match=rf"{name}\({unit}=.*\) must be a whole number of at least {least}"):
            builder(**{unit: value})
    assert repr(builder(**{unit: least})) == f"{name}({unit}={least})"


@pytest.mark.parametrize("unit", WHOLE)
def test_places_that_are_none(unit):
    least = 1 if unit == "steps" else 0
    for value in (least - 1, [least, least - 1], 1.5, "3", ["3"], [None], True, {"a"}):
        with pytest.raises(TriggerError, match=rf"at\({unit}=.*\) must be a whole number of at least {least}"):
            at(**{unit: value})
    with pytest.raises(TriggerError, match=rf"at\({unit}=\[\]\) would never pass; name at least one"):
        at(**{unit: []})


def test_places_in_all_their_forms():
    numpy = pytest.importorskip("numpy")
    for places in ([3, 1], (1, 3), {1, 3}, range(1, 4, 2), iter([1, 3, 3]), numpy.array([1, 3])):
        assert repr(at(epochs=places)) == "at(epochs=[1, 3])"
    assert repr(at(epochs=numpy.int64(2))) == repr(at(epochs=numpy.array(2))) == "at(epochs=[2])"
    assert repr(every(steps=numpy.int64(2))) == "every(steps=2)"


@pytest.mark.parametrize("name", ["every", "after", "before"])
def test_seconds(name):
    builder, least = BUILDERS[name]
    for value in (-1, float("inf"), float("nan"), "1", [1], True, *([0, 0.0] if least else [])):
        with pytest.raises(TriggerError, match=rf"{name}\(seconds=.*\) must be a positive number of seconds"):
            builder(seconds=value)
    assert repr(builder(seconds=0.5)) == f"{name}(seconds=0.5)"
    assert repr(builder(seconds=30)) == f"{name}(seconds=30)"


def test_after_no_seconds_at_all():
    assert repr(after(seconds=0)) == "after(seconds=0)"


def test_at_takes_no_seconds():
    with pytest.raises(TriggerError, match=r"^at\(\) takes one of epochs, batches, steps, not seconds"):
        at(seconds=3)


@pytest.mark.parametrize("thing", [3, None, "epoch", every(epochs=1)], ids=repr)
def test_when_takes_a_function_of_the_run(thing):
    with pytest.raises(TriggerError, match=r"when\(\) takes a function of the run, not"):
        when(thing)


def test_combined_and_shown():
    a, b, c = every(epochs=5), at(epochs=[0]), after(steps=100)
    assert repr(a | b) == "every(epochs=5) | at(epochs=[0])"
    assert repr(a & b) == "every(epochs=5) & at(epochs=[0])"
    assert repr(~a) == "~every(epochs=5)"
    assert repr((a | b) & c) == "(every(epochs=5) | at(epochs=[0])) & after(steps=100)"
    assert repr(a | b & c) == "every(epochs=5) | (at(epochs=[0]) & after(steps=100))"
    assert repr(~(a | b)) == "~(every(epochs=5) | at(epochs=[0]))"
    assert repr(~~a) == "~~every(epochs=5)"


@pytest.mark.parametrize("other", [3, None, "every", lambda run: True])
def test_combined_with_what_is_no_trigger(other):
    for combine in (
        lambda: every(epochs=1) | other,
        lambda: every(epochs=1) & other,
        lambda: other | every(epochs=1),
        lambda: other & every(epochs=1),
    ):
        with pytest.raises(TriggerError, match=r"^every\(epochs=1\) can be combined by [|&] with another ") as caught:
            combine()
        assert str(caught.value).endswith("by onlooker.when(function)") is callable(other)


@pytest.mark.parametrize("thing", [3, None, "x"])
def test_above_what_is_no_function(thing):
    with pytest.raises(TriggerError, match=r"stands above .*, which is no function"):
        every(epochs=1)(thing)


def test_above_a_class_it_says_where_it_goes():
    with pytest.raises(TriggerError) as caught:

        @every(epochs=2)
        class Watch: ...

    assert str(caught.value) == (
        "every(epochs=2) stands above the class Watch, but a trigger goes above a hook; "
        "for all hooks of a callback write in the class: when = every(epochs=2)"
    )


@pytest.mark.parametrize("builder", [every, at, after, before], ids=lambda builder: builder.__name__)
def test_a_value_without_a_name_is_told_the_names(builder):
    name = builder.__name__
    with pytest.raises(TriggerError) as caught:
        builder(5)
    assert str(caught.value).startswith(
        f"{name}(5) does not say of what; write {name}(epochs=5) or {name}(batches=5) or "
    )
    with pytest.raises(TriggerError, match=rf"does not say of what; write {name}\(epochs=n\) or "):

        @builder
        def on_epoch_end(self, epoch, logs=None): ...


def takes_nothing(): ...
def takes_two(run, more): ...
def takes_keyword(run, *, more): ...
async def asynchronous(run): ...


class Asks:
    def of_the_run(self, run): ...
    def of_nothing(self): ...
    def __call__(self, run, more): ...


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (takes_nothing, "when(takes_nothing): the function takes (nothing), which is too few; expected a function of"),
        (lambda: True, "when(<lambda>): the function takes (nothing), which is too few"),
        (takes_two, "takes (run, more), which is 1 more than it is given"),
        (takes_keyword, "needs the keyword more, which nobody gives"),
        (Asks().of_nothing, "takes (nothing), which is too few"),
        (Asks(), "takes (run, more), which is 1 more than it is given"),
        (functools.partial(takes_two, 1, 2), "takes (nothing), which is too few"),
        (asynchronous, "is async or a generator"),
    ],
)
def test_when_looks_at_what_the_function_takes(function, problem):
    with pytest.raises(TriggerError) as caught:
        when(function)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "function",
    [
        lambda run, more=1: True,
        lambda *anything: True,
        Asks().of_the_run,
        functools.partial(takes_two, more=1),
        bool,
        print,
        unittest.mock.Mock(),
    ],
    ids=without_address,
)
def test_when_takes_whatever_can_be_called_with_a_run(function):
    assert isinstance(when(function), Trigger)


def test_a_predicate_that_raises_says_which_trigger_it_is():
    def is_low(run):
        raise error

    class Watch(Callback):
        @when(is_low)
        def on_epoch_end(self, epoch, logs=None): ...

    error = ValueError("no")
    dispatcher = Dispatcher([Watch()])
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            dispatcher.on_epoch_end(0)
    assert error.__notes__ == ["in the trigger when(is_low)", "in Watch.on_epoch_end, epoch 0 (on_error='raise')"]


def test_above_a_hook_it_gives_back_the_very_function():
    def hook(self, epoch, logs=None): ...

    assert every(epochs=1)(hook) is hook


def test_each_is_a_trigger():
    for trigger in (every(epochs=1), at(epochs=1), after(epochs=1), before(epochs=1), when(bool), ~when(bool)):
        assert isinstance(trigger, Trigger)
        assert isinstance(trigger | trigger, Trigger)
        assert isinstance(trigger & trigger, Trigger)


@pytest.mark.parametrize(
    "combine",
    [
        lambda: every(epochs=2) and every(epochs=3),
        lambda: every(epochs=2) or every(epochs=3),
        lambda: not every(epochs=2),
    ],
)
def test_python_words_cannot_combine_triggers(combine):
    with pytest.raises(TriggerError, match=r"^every\(epochs=2\) is neither true nor false by itself; .* & \| ~"):
        combine()
