"""What newcomers get wrong with a loop: it is said at once, where it was, and in words that help."""

import collections
import itertools

import numpy as np
import pytest
import torch
from tests.contract.shapes import FIT_HOOKS
from tests.recorder import Recorder

import onlooker as ol
from onlooker.core.errors import LogError, LoopError

# ------------------------------------------------------------------------- nesting


def twice(loop, kind):
    return loop.epochs(2) if kind == "epochs" else getattr(loop, kind)([1, 2])


def begin_epochs(loop, outer):
    for _ in outer:
        for _ in loop.epochs(2):
            pytest.fail("the inner one must not begin")


def begin_train(loop, outer):
    for _ in outer:
        list(loop.train([1, 2]))
        pytest.fail("the inner one must not begin")


def begin_by_hand(loop, outer):
    for _ in outer:
        next(iter(loop.train([1, 2])))
        pytest.fail("the inner one must not begin")


@pytest.mark.parametrize(
    ("outer", "begin"),
    [
        ("epochs", begin_epochs),
        ("train", begin_epochs),
        ("train", begin_train),
        ("train", begin_by_hand),
        ("test", begin_train),
        ("predict", begin_train),
        ("test", begin_epochs),
    ],
)
def test_what_cannot_be_nested_is_refused_before_it_begins(outer, begin):
    loop = ol.Loop(None, callbacks=[recorder := Recorder()])
    with (
        pytest.raises(LoopError, match=r"would end the (training|\w+ stage) around it, which is still under way"),
        loop,
    ):
        begin(loop, twice(loop, outer))
    recorder.check()
    if outer in ("epochs", "train"):
        assert recorder.hooks.count("on_train_begin") == 1
        assert loop.run.outcome == "failed"
        assert loop.run.reason.startswith("LoopError: loop.")


@pytest.mark.parametrize("inner", ["train", "test", "predict"])
@pytest.mark.parametrize("outer", ["test", "predict"])
def test_nothing_can_be_nested_in_a_test_or_prediction(outer, inner):
    def go():
        with loop:
            for _ in loop.epochs(1):
                for _ in twice(loop, outer):
                    list(twice(loop, inner))

    loop = ol.Loop(None, callbacks=[recorder := Recorder()])
    with pytest.raises(LoopError, match=f"loop.{inner} cannot be nested here: it would end the {outer} stage"):
        go()
    assert len(recorder.check().of(f"on_{outer}_batch_begin")) == 1
    assert loop.run.outcome == "failed"


def through_enumerate(stage):
    return enumerate(stage)


def through_zip(stage):
    return zip(stage, [1, 2], strict=True)


def through_a_generator(stage):
    for number in stage:
        yield number + 1


def through_yield_from(stage):
    yield from stage


class Bar:
    """A progress bar, as a class."""

    def __init__(self, stage):
        self.stage = stage

    def __iter__(self):
        yield from self.stage


@pytest.mark.parametrize("wrap", [through_enumerate, through_zip, through_a_generator, through_yield_from, Bar])
def test_nesting_is_seen_through_what_is_put_around_a_stage(wrap):
    def go():
        with loop:
            for _ in loop.epochs(1):
                for _ in wrap(loop.train([1, 2])):
                    list(loop.train([3]))

    loop = ol.Loop(None, callbacks=[recorder := Recorder()])
    with pytest.raises(LoopError, match=r"loop\.train cannot be nested here"):
        go()
    assert len(recorder.check().of("on_train_batch_begin")) == 1


def test_the_outer_one_may_go_on_where_the_refusal_is_handled():
    with ol.Loop(None, callbacks=[recorder := Recorder()]) as loop:
        for _ in loop.epochs(1):
            for _ in loop.train([1, 2]):
                with pytest.raises(LoopError, match="cannot be nested"):
                    list(loop.train([3]))
    assert [event.index for event in recorder.check().of("on_train_batch_end")] == [0, 1]
    assert loop.run.outcome == "completed"


class Holder:
    """An object of the user's that keeps an iterator."""


def keep_in_a_variable(iterator):
    kept = iterator
    next(kept)
    yield kept


def keep_in_a_list(iterator):
    yield [next(iterator), iterator]


def keep_in_a_dict(iterator):
    next(iterator)
    yield {"kept": iterator}


def keep_in_an_object(iterator):
    holder = Holder()
    holder.iterator = iterator
    next(iterator)
    yield holder


def keep_in_a_closure(iterator):
    next(iterator)
    yield lambda: iterator


def keep_in_an_enumerate(iterator):
    numbered = enumerate(iterator)
    next(numbered)
    yield numbered


def keep_in_a_slice(iterator):
    some = itertools.islice(iterator, 5)
    next(some)
    yield some


def keep_after_a_break(iterator):
    for _ in iterator:
        break
    yield iterator


def keep_in_a_traceback(iterator):
    try:
        for _ in iterator:
            raise ValueError("kept")
    except ValueError as error:
        kept = error
    yield kept


KEEPING = [value for name, value in list(vars().items()) if name.startswith("keep_")]


@pytest.mark.parametrize("keep", KEEPING)
@pytest.mark.parametrize("kind", ["epochs", "train"])
def test_one_that_was_left_and_is_kept_alive_is_in_nobodys_way(keep, kind):
    with ol.Loop(None, callbacks=[recorder := Recorder()]) as loop:
        (kept,) = keep(iter(twice(loop, kind)))
        for _ in loop.epochs(1):
            list(loop.train([1]))
        del kept
    assert recorder.check().hooks.count("on_train_begin") == 2
    assert loop.run.outcome == "completed"


def raise_in_a_for(epochs):
    for _ in epochs:
        raise ValueError("in a function")


def raise_with_a_variable(epochs):
    kept = iter(epochs)
    next(kept)
    raise ValueError("in a function")


@pytest.mark.parametrize("fail", [raise_in_a_for, raise_with_a_variable])
def test_a_traceback_that_is_kept_keeps_nothing_in_the_way(fail):
    with ol.Loop(None, callbacks=[recorder := Recorder()]) as loop:
        try:
            fail(loop.epochs(2))
        except ValueError:
            for _ in loop.epochs(1):  # while the error is being handled, with all its frames
                list(loop.train([1]))
    assert [event.run["outcome"] for event in recorder.check().of("on_train_end")] == ["stopped", "completed"]


# ------------------------------------------------------------------- StopIteration


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_a_hook_that_finds_nothing_in_an_iterator_is_named(hook, leaves):
    def act(recorder, name, index, logs):
        if name == hook:
            next(iter([]))

    def go():
        with loop:
            for _ in loop.epochs(2):
                for _ in loop.train([1, 2]):
                    for _ in loop.test([1]):
                        if leaves:
                            return

    loop = ol.Loop(None, callbacks=[recorder := Recorder(act), other := Recorder()])
    with pytest.raises(LoopError, match="a hook raised StopIteration") as caught:
        go()
    assert any(note.startswith(f"in Recorder.{hook}") for note in caught.value.__notes__)
    assert isinstance(caught.value.__cause__, StopIteration)
    assert recorder.check().hooks == other.check().hooks
    if hook != "on_train_end":
        assert loop.run.outcome == "failed"
        assert loop.run.reason.startswith("LoopError: a hook raised StopIteration")


def test_a_loader_that_raises_it_when_it_is_to_be_iterated():
    class Odd:
        def __iter__(self):
            raise StopIteration

    with pytest.raises(LoopError, match="the loader raised StopIteration"), ol.Loop(None) as loop:
        list(loop.train(Odd()))


# ------------------------------------------------------------------------- logging


def log(*values, **named):
    with ol.Loop(None) as loop:
        for _ in loop.train([1.0]):
            loop.log(*values, **named)


@pytest.mark.parametrize("value", [torch.tensor(1.0), np.float32(1), 1.0, [1.0], "loss"], ids=repr)
def test_a_value_without_a_name(value):
    kind = type(value).__name__
    with pytest.raises(LogError, match=rf"not a {kind} without one; write loop.log\(loss=loss\)"):
        log(value)


@pytest.mark.parametrize("name", [1, None, ("a", "b")], ids=repr)
def test_a_name_that_is_no_string(name):
    with pytest.raises(LogError, match="names, which are strings"):
        log({name: 2.0, "loss": 3.0})


def test_a_dict_that_itself_raises_is_left_to_say_why():
    class Odd(collections.UserDict):
        def keys(self):
            raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        log(Odd(loss=1.0))


@pytest.mark.parametrize("weight", ["a", "3", torch.zeros(2), np.ones(2), [1], torch.tensor(0.0), 1j], ids=repr)
def test_a_weight_that_is_no_number(weight):
    with pytest.raises(LogError, match="must be a positive number: how many samples"):
        log(loss=1.0, weight=weight)


@pytest.mark.parametrize("weight", [torch.tensor(3.0), torch.tensor([3]), np.float32(3), np.array(3)], ids=repr)
def test_a_weight_that_is_an_array_with_one_element(weight):
    with ol.Loop(None, callbacks=[recorder := Recorder()]) as loop:
        for number in loop.train([1.0, 5.0]):
            loop.log(loss=number, weight=weight if number == 1.0 else 1)
    (logs,) = recorder.logs("on_epoch_end")
    assert logs == {"loss": 2.0}
    assert type(logs["loss"]) is float


@pytest.mark.parametrize("is_in_batch", [True, False])
@pytest.mark.parametrize("size", [400, 5000])
def test_a_number_that_is_too_large(size, is_in_batch):
    with ol.Loop(None) as loop:
        for _ in loop.epochs(1):
            if not is_in_batch:
                with pytest.raises(LogError, match="'loss' was logged as a number that is too large"):
                    loop.log(loss=10**size)
            for _ in loop.train([1.0]):
                if is_in_batch:
                    with pytest.raises(LogError, match="'loss' was logged as a number that is too large"):
                        loop.log(loss=10**size)


# -------------------------------------------------------------------------- saving


def test_saving_to_a_directory(tmp_path):
    with ol.Loop(torch.nn.Linear(1, 1)) as loop, pytest.raises(IsADirectoryError, match="expected the path of a file"):
        loop.run.save(tmp_path)
