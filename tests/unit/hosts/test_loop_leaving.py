"""A loop that is left: by break, return, an error, Ctrl-C, in every place. The grammar holds, the outcome is right."""

import gc
import weakref

import pytest
import torch
from tests.contract.shapes import FIT_HOOKS
from tests.recorder import Recorder
from torch import nn

import onlooker as ol
from onlooker.core.errors import DataError, LoopError


def loop_with(*callbacks, **named):
    return ol.Loop(None, callbacks=list(callbacks), **named)


class LeavesError(Exception):
    """What a user's code raises."""


WAYS = {
    "break": None,
    "return": None,
    "raise": LeavesError("mine"),
    "Ctrl-C": KeyboardInterrupt(),
    "exit": SystemExit(3),
}
PLACES = ("train batch", "test batch", "nested test batch", "predict batch", "epoch begin", "epoch end", "between")


def body(loop, way, place, epoch=1):
    """A training that is left in epoch 1, in the given place; in each way that is no error it comes back."""

    def leave(here):
        if here == place and now == epoch:
            if WAYS[way] is not None:
                raise WAYS[way]
            return True
        return False

    for now in loop.epochs(3):  # noqa: B007
        if leave("epoch begin"):
            if way == "return":
                return
            break
        for number in loop.train([1.0, 2.0, 3.0]):
            loop.log(loss=number)
            if number == 2.0:
                for other in loop.test([5.0, 6.0], prefix="inner"):
                    loop.log(loss=other)
                    if leave("nested test batch"):
                        if way == "return":
                            return
                        break
                if leave("train batch"):
                    if way == "return":
                        return
                    break
        if leave("between"):
            if way == "return":
                return
            break
        for other in loop.test([7.0, 8.0]):
            loop.log(loss=other)
            if leave("test batch"):
                if way == "return":
                    return
                break
        for _ in loop.predict([1, 2]):
            if leave("predict batch"):
                if way == "return":
                    return
                break
        if leave("epoch end"):
            if way == "return":
                return
            break


def run(way, place, recorder):
    error = WAYS[way]
    loop = loop_with(recorder)

    def go():
        with loop:
            body(loop, way, place)

    if error is None:
        go()
    else:
        with pytest.raises(type(error)) as caught:
            go()
        assert caught.value is error
    return loop


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_leave_in_every_place(way, place):
    recorder = Recorder()
    loop = run(way, place, recorder)
    recorder.check()
    assert recorder.hooks[-1] == "on_train_end"
    last = recorder.last("on_train_end").run
    # A break out of an inner loop is none of the epochs': the training goes on to its end.
    is_inner = way == "break" and place in ("train batch", "test batch", "nested test batch", "predict batch")
    if is_inner:
        expected = ("completed", "")
    elif way in ("break", "return"):
        expected = ("stopped", "the loop was left before its end")
    else:
        outcome = "failed" if way == "raise" else "interrupted"
        expected = (
            outcome,
            {"raise": "LeavesError: mine", "Ctrl-C": "KeyboardInterrupt", "exit": "SystemExit: 3"}[way],
        )
    assert (last["outcome"], last["reason"]) == expected
    assert (loop.run.outcome, loop.run.reason) == expected
    assert len(recorder.of("on_epoch_begin")) == (3 if is_inner else 2)
    assert (loop.run.is_live, loop.run.batch, loop.run.stage) == (False, None, None)


@pytest.mark.parametrize("way", WAYS)
def test_the_outcome_is_known_in_every_hook_that_closes(way):
    recorder = Recorder()
    run(way, "nested test batch", recorder)
    if way == "break":
        return
    closing = recorder.hooks.index("on_test_batch_end", recorder.hooks.index("on_epoch_begin", 10))
    events = recorder.events[closing:]
    assert [event.hook for event in events] == [
        "on_test_batch_end",
        "on_test_end",
        "on_train_batch_end",
        "on_epoch_end",
        "on_train_end",
    ]
    outcome = {"return": "stopped", "raise": "failed", "Ctrl-C": "interrupted", "exit": "interrupted"}[way]
    assert {event.run["outcome"] for event in events} == {outcome}


@pytest.mark.parametrize("way", ["return", "raise", "Ctrl-C"])
def test_what_was_logged_by_then_is_in_the_logs(way):
    recorder = Recorder()
    run(way, "nested test batch", recorder)
    assert recorder.last("on_test_end").logs == {"loss": 5.0}
    assert recorder.last("on_train_batch_end").logs == {"loss": 1.5}
    assert recorder.last("on_epoch_end").logs == recorder.last("on_train_end").logs == {"loss": 1.5, "inner_loss": 5.0}


@pytest.mark.parametrize("way", ["return", "raise", "Ctrl-C"])
def test_each_end_hook_finds_the_batch_that_it_closes(way):
    """Whoever wants to look at the batch that broke the training finds it there."""
    seen = []

    class Watch(ol.Callback):
        def see(self):
            seen.append((self.run.inputs, self.run.outputs))

        def on_train_batch_end(self, batch, logs=None):
            self.see()

        on_test_batch_end = on_train_batch_end

        def on_epoch_end(self, epoch, logs=None):
            self.see()

    error = WAYS[way]

    def go():
        with loop_with(Watch()) as loop:
            for number in loop.train([1.0, 2.0]):
                loop.outputs = -number
                for other in loop.test([5.0, 6.0]):
                    loop.outputs = -other
                    if error is not None:
                        raise error
                    return

    if error is None:
        go()
    else:
        with pytest.raises(type(error)):
            go()
    assert seen == [(5.0, -5.0), (1.0, -1.0), (None, None)]


def test_what_is_logged_in_an_end_hook_that_comes_late_is_too_late():
    class Logs(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            loop.log(late=1.0)

    with loop_with(Logs(), recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            for number in loop.train([1.0, 2.0]):
                loop.log(loss=number)
                break
            for number in loop.train([5.0]):
                loop.log(loss=number)
    assert [event.batch for event in recorder.of("on_train_batch_end")] == [{"loss": 1.0}, {"loss": 5.0}]
    assert recorder.logs("on_epoch_end") == [{"loss": 3.0, "late": 1.0}]


@pytest.mark.parametrize("way", ["break", "return"])
def test_closing_hooks_come_late_but_before_anything_else(way):
    """CPython closes the generator before anybody can know why: the hooks come with the next call on the loop."""
    recorder = Recorder()

    def leave():
        for _ in loop.train([1, 2]):
            if way == "return":
                return
            break

    with loop_with(recorder) as loop:
        for _ in loop.epochs(1):
            leave()
            assert recorder.hooks[-1] == "on_train_batch_begin"
            loop.log(score=1.0)
            assert recorder.hooks[-1] == "on_train_batch_end"
            leave()
            next(iter(loop.test([1])))
            assert recorder.hooks[-3:] == ["on_train_batch_end", "on_test_begin", "on_test_batch_begin"]
    recorder.check()
    assert recorder.logs("on_epoch_end") == [{"score": 1.0}]


def test_a_break_out_of_the_training_then_a_test():
    recorder = Recorder()
    with loop_with(recorder) as loop:
        for _ in loop.epochs(3):
            for _ in loop.train([1, 2]):
                break
            break
        list(loop.test([1]))
    assert recorder.check().hooks[-4:] == ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    assert recorder.hooks[-5] == "on_train_end"
    assert loop.run.outcome == "stopped"


def test_a_break_and_then_another_training():
    with loop_with(recorder := Recorder()) as loop:
        for _ in range(2):
            for _ in loop.epochs(3):
                for _ in loop.train([1, 2]):
                    break
                break
    assert recorder.check().hooks.count("on_train_end") == 2
    assert [event.run["outcome"] for event in recorder.of("on_train_end")] == ["stopped"] * 2


def test_continue_is_nothing_special():
    with loop_with(recorder := Recorder()) as loop:
        for epoch in loop.epochs(2):
            if epoch == 0:
                continue
            for number in loop.train([1.0, 2.0]):
                if number == 1.0:
                    continue
                loop.log(loss=number)
    assert recorder.check().logs("on_epoch_end") == [{}, {"loss": 2.0}]
    assert loop.run.outcome == "completed"


def test_an_error_that_the_user_handles_within_the_loop():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([1.0, 2.0]):
                try:
                    if number == 1.0:
                        raise LeavesError
                    loop.log(loss=number)
                except LeavesError:
                    pass
    assert recorder.check().logs("on_epoch_end") == [{"loss": 2.0}] * 2
    assert (loop.run.outcome, loop.run.reason) == ("completed", "")


def test_an_error_that_the_user_handles_around_a_stage():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(2):
            try:
                for _ in loop.train([1.0, 2.0]):
                    raise LeavesError
            except LeavesError:
                loop.log(failed=1.0)
    assert recorder.check().logs("on_epoch_end") == [{"failed": 1.0}] * 2
    assert loop.run.outcome == "completed"


def test_an_error_that_the_user_handles_around_the_training():
    recorder = Recorder()
    with loop_with(recorder) as loop:
        try:
            for _ in loop.epochs(2):
                raise LeavesError
        except LeavesError:
            pass
    recorder.check()
    assert loop.run.outcome == "stopped"


@pytest.mark.parametrize("stage", ["train", "test", "predict"])
@pytest.mark.parametrize("kind", [LeavesError, KeyboardInterrupt])
def test_a_loader_that_raises(stage, kind):
    def batches():
        yield 1
        raise kind("loader")

    def go():
        with loop:
            for _ in loop.epochs(2):
                list(getattr(loop, stage)(batches()))

    loop = loop_with(recorder := Recorder())
    with pytest.raises(kind, match="loader"):
        go()
    recorder.check()
    assert len(recorder.of(f"on_{stage}_batch_end")) == 1
    assert loop.run.outcome == ("failed" if kind is LeavesError else "interrupted")


def test_a_loader_whose_length_raises():
    class Odd(list):
        def __len__(self):
            raise LeavesError("length")

    with pytest.raises(LeavesError, match="length"), loop_with(recorder := Recorder()) as loop:
        list(loop.train(Odd([1])))
    recorder.check()


@pytest.mark.parametrize("hook", FIT_HOOKS)
@pytest.mark.parametrize("kind", [LeavesError, KeyboardInterrupt])
def test_a_hook_that_raises(hook, kind):
    error = kind("hook")

    def act(recorder, name, index, logs):
        if name == hook:
            recorder.act = None
            raise error

    before, raising, after = Recorder(), Recorder(act), Recorder()
    loop = loop_with(before, raising, after)

    def go():
        with loop:
            for _ in loop.epochs(2):
                list(loop.train([1, 2]))
                list(loop.test([1]))

    with pytest.raises(kind) as caught:
        go()
    assert caught.value is error
    before.check()
    raising.check()
    assert after.check().hooks == before.hooks
    if kind is LeavesError:
        assert any(f"in Recorder.{hook}" in note for note in error.__notes__)
    if hook != "on_train_end":
        assert loop.run.outcome == ("failed" if kind is LeavesError else "interrupted")
        assert before.last("on_train_end").run["outcome"] == loop.run.outcome


CLOSING = ("on_test_batch_end", "on_test_end", "on_train_batch_end", "on_epoch_end", "on_train_end")


def left_by_return(loop):
    for _ in loop.epochs(2):
        for _ in loop.train([1, 2]):
            for _ in loop.test([1]):
                return


def left_by_break_and_a_test_after_it(loop):
    left_by_return(loop)
    list(loop.predict([1]))


def train_without_epochs(loop):
    for _ in loop.train([1, 2]):
        list(loop.test([1]))


@pytest.mark.parametrize("body", [left_by_return, left_by_break_and_a_test_after_it, train_without_epochs])
@pytest.mark.parametrize("kind", [LeavesError, KeyboardInterrupt])
@pytest.mark.parametrize("hook", CLOSING)
def test_an_error_in_a_hook_that_closes_late_is_how_the_training_ends(hook, kind, body):
    """But for one in on_train_end, which finds the outcome that there was before it."""

    def act(recorder, name, index, logs):
        if name == hook:
            recorder.act = None
            raise kind("hook")

    loop = loop_with(Recorder(act), other := Recorder())
    with pytest.raises(kind, match="hook"), loop:
        body(loop)
    outcome = "failed" if kind is LeavesError else "interrupted"
    expected = (outcome, f"{kind.__name__}: hook")
    if hook == "on_train_end":
        expected = (
            ("completed", "") if body is train_without_epochs else ("stopped", "the loop was left before its end")
        )
    last = other.check().last("on_train_end").run
    assert (last["outcome"], last["reason"]) == (loop.run.outcome, loop.run.reason) == expected


def test_of_two_errors_in_hooks_that_close_the_first_is_how_it_ends():
    def raise_at(errors):
        def act(recorder, name, index, logs):
            if name in errors:
                raise errors[name]

        return Recorder(act)

    for second in (LeavesError("second"), KeyboardInterrupt("second")):
        raising = raise_at({"on_train_batch_end": LeavesError("first"), "on_epoch_end": second})
        with pytest.raises((LeavesError, KeyboardInterrupt)) as caught, loop_with(raising, other := Recorder()) as loop:
            left_by_return(loop)
        assert caught.value.__notes__
        assert [event.run["outcome"] for event in other.events[-3:]] == ["stopped", "failed", "failed"]
        assert loop.run.reason == "LeavesError: first"


def test_a_late_error_of_one_stage_that_is_handled_says_nothing_about_the_training():
    def act(recorder, hook, index, logs):
        if hook == "on_test_end" and index is None and recorder.run.epoch == 0:
            raise LeavesError("hook")

    with loop_with(recorder := Recorder(act)) as loop:
        for _ in loop.epochs(2):
            for _ in loop.test([1, 2]):
                break
            try:
                loop.log(score=1.0)
            except LeavesError:
                loop.log(score=2.0)
    assert recorder.check().logs("on_epoch_end") == [{"score": 2.0}, {"score": 1.0}]
    assert (loop.run.outcome, loop.run.reason) == ("completed", "")


def test_an_error_in_the_body_wins_over_those_of_the_closing_hooks():
    def act(recorder, hook, index, logs):
        if hook in ("on_train_batch_end", "on_train_end"):
            raise ValueError(hook)

    loop = loop_with(recorder := Recorder(act), other := Recorder())

    def go():
        with loop:
            for _ in loop.train([1]):
                raise LeavesError("mine")

    with pytest.raises(LeavesError, match="mine") as caught:
        go()
    notes = "\n".join(caught.value.__notes__)
    assert "ValueError('on_train_batch_end')" in notes
    assert "ValueError('on_train_end')" in notes
    assert recorder.check().hooks == other.check().hooks


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_in_a_closing_hook_is_raised_also_where_the_body_has_failed(kind):
    def act(recorder, hook, index, logs):
        if hook == "on_train_end":
            raise kind("now")

    loop = loop_with(recorder := Recorder(act))

    def go():
        with loop:
            for _ in loop.train([1]):
                raise LeavesError("mine")

    with pytest.raises(kind, match="now"):
        go()
    recorder.check()
    assert not loop.run.is_live


# Iterators that are kept.


@pytest.mark.parametrize("outer", ["train", "test", "predict"])
def test_a_kept_iterator_is_over_once_another_stage_has_taken_its_place(outer):
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            kept = iter(getattr(loop, outer)([1, 2, 3]))
            next(kept)
            list(loop.train([1]))
            with pytest.raises(LoopError, match=f"this {outer} stage is over: another stage of the loop"):
                next(kept)
            with pytest.raises(StopIteration):
                next(kept)
    recorder.check()
    assert loop.run.outcome == "completed"


def test_a_kept_train_iterator_may_go_on_after_a_test():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            kept = iter(loop.train([1.0, 2.0]))
            next(kept)
            for _ in loop.test([1]):
                break
            assert next(kept) == 2.0
            assert list(kept) == []
    assert [event.index for event in recorder.check().of("on_train_batch_end")] == [0, 1]


def test_kept_iterators_after_the_end_of_with():
    with loop_with(recorder := Recorder()) as loop:
        epochs = iter(loop.epochs(2))
        next(epochs)
        train = iter(loop.train([1, 2]))
        next(train)
        unused, unused_epochs = iter(loop.test([1])), loop.epochs(2)
    recorder.check()
    for iterator, what in ((train, "train stage"), (epochs, "training")):
        with pytest.raises(LoopError, match=f"this {what} is over"):
            next(iterator)
    for iterator in (unused, iter(unused_epochs)):
        with pytest.raises(LoopError, match="Loop is a context manager"):
            next(iterator)
    assert recorder.hooks.count("on_train_end") == 1


def test_a_kept_iterator_that_nobody_holds_any_more():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            kept = iter(loop.train([1, 2]))
            next(kept)
            del kept
            gc.collect()
            for number in loop.train([3.0]):
                loop.log(loss=number)
    assert [event.index for event in recorder.check().of("on_train_batch_end")] == [0, 1]


def test_two_iterators_side_by_side():
    """`zip(loop.train(a), loop.train(b))`: only one stage can be under way, and it is said, and what to write."""

    def go():
        with loop_with(recorder) as loop:
            for _ in loop.epochs(1):
                list(zip(loop.train([1, 2]), loop.train([3, 4]), strict=True))

    recorder = Recorder()
    with pytest.raises(LoopError, match=r"two loaders side by side are one: loop.train\(zip\(first, second\)\)"):
        go()
    assert recorder.check().hooks.count("on_train_batch_begin") == 1


def test_one_stage_iterated_twice_in_a_row():
    with loop_with(recorder := Recorder()) as loop:
        for _ in loop.epochs(1):
            stage = loop.train([1, 2])
            list(stage)
            list(stage)
    assert [event.index for event in recorder.check().of("on_train_batch_end")] == [0, 1, 2, 3]


def test_a_generator_function_of_the_users_around_the_loop():
    """What is left open in a generator of the user's own is closed when `with` ends, within it."""
    recorder = Recorder()

    def mine():
        with loop_with(recorder) as loop:
            for _ in loop.epochs(3):
                yield from loop.train([1, 2])

    generator = mine()
    next(generator)
    generator.close()
    assert recorder.check().last("on_train_end").run["outcome"] == "stopped"


def test_a_return_within_with():
    recorder = Recorder()

    def mine():
        with loop_with(recorder) as loop:
            for _ in loop.epochs(3):
                for number in loop.train([1, 2]):
                    loop.log(loss=number)
                    return "mine"

    assert mine() == "mine"
    last = recorder.check().last("on_train_end")
    assert (last.run["outcome"], last.logs) == ("stopped", {"loss": 1.0})


def test_a_loop_that_was_never_left_is_not_kept_alive():
    def mine():
        with loop_with(Recorder()) as loop:
            for _ in loop.epochs(3):
                for _ in loop.train([1, 2]):
                    break
                break
        return weakref.ref(loop.run)

    known = mine()
    gc.collect()
    assert known() is None


# Stages that are left, and what is put back.


def build():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    model[1].eval()  # a part in a mode of its own
    return model


def modes(model):
    return [part.training for part in model.modules()], torch.is_grad_enabled()


AS_IT_WAS = ([True, True, False], True)
EVALUATING = ([False, False, False], False)


@pytest.mark.parametrize("stage", ["test", "predict"])
@pytest.mark.parametrize("way", ["to its end", "break", "raise", "kept", "kept and dropped"])
@pytest.mark.parametrize("is_within", ["alone", "epoch", "batch", "hook"])
def test_modes_and_gradients_are_put_back(stage, way, is_within):
    model = build()
    seen = []

    def use(loop):
        if way == "raise":
            try:
                for _ in getattr(loop, stage)([1, 2]):
                    seen.append(modes(model))
                    raise LeavesError
            except LeavesError:
                pass
        elif way.startswith("kept"):
            iterator = iter(getattr(loop, stage)([1, 2]))
            next(iterator)
            seen.append(modes(model))
            if way == "kept":
                return iterator
            del iterator
        else:
            for _ in getattr(loop, stage)([1, 2]):
                seen.append(modes(model))
                if way == "break":
                    break
        assert modes(model) == AS_IT_WAS
        return None

    kept = None

    class Uses(ol.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if is_within == "hook":
                self.kept = use(loop)

    with ol.Loop(model, callbacks=[Uses()]) as loop:
        if is_within == "alone":
            kept = use(loop)
        for _ in loop.epochs(1):
            if is_within == "epoch":
                kept = use(loop)
            for _ in loop.train([1, 2]):
                assert modes(model) == AS_IT_WAS
                if is_within == "batch":
                    kept = use(loop)
        assert modes(model) == AS_IT_WAS
    del kept
    assert modes(model) == AS_IT_WAS
    assert seen
    assert set(map(str, seen)) == {str(EVALUATING)}


def test_a_kept_iterator_does_not_leave_gradients_off_after_with():
    model = build()
    with ol.Loop(model) as loop:
        kept = iter(loop.test([1, 2]))
        next(kept)
        assert modes(model) == EVALUATING
    assert modes(model) == AS_IT_WAS
    with torch.no_grad():
        kept.close()
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("stage", ["test", "predict"])
def test_keep_mode_leaves_all_alone(stage):
    model = build()
    with ol.Loop(model) as loop:
        for _ in getattr(loop, stage)([1], keep_mode=True):
            assert modes(model) == AS_IT_WAS


def test_training_leaves_modes_alone():
    model = build()
    model.eval()
    with ol.Loop(model) as loop, torch.no_grad():
        for _ in loop.epochs(1):
            for _ in loop.train([1]):
                assert modes(model) == EVALUATING


def test_the_users_own_mode_in_a_test_is_respected_to_its_end():
    model = build()
    with ol.Loop(model) as loop:
        for number in loop.test([1, 2]):
            if number == 2:
                assert modes(model)[0] == [True, True, True]
            model.train()  # dropout at test time, as some do
    assert modes(model) == AS_IT_WAS


def test_several_models_are_evaluated_together():
    models = {"a": build(), "b": build()}
    with ol.Loop(models) as loop:
        for _ in loop.test([1]):
            assert modes(models["a"]) == modes(models["b"]) == EVALUATING
    assert modes(models["a"]) == modes(models["b"]) == AS_IT_WAS


def test_test_hooks_see_the_model_evaluating():
    seen = []

    class Watch(ol.Callback):
        def on_test_begin(self, logs=None):
            seen.append(modes(self.model))

        on_test_end = on_test_begin

    with ol.Loop(build(), callbacks=[Watch()]) as loop:
        list(loop.test([1]))
    assert seen == [EVALUATING] * 2


def test_an_empty_test_puts_back_modes_too():
    model = build()
    with ol.Loop(model) as loop:
        with pytest.raises(DataError):
            list(loop.test([]))
        assert modes(model) == AS_IT_WAS


# Whether an epoch came to its end.


class Complete(ol.Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, batch, logs):
        self.seen.append(("batch", self.run.is_epoch_complete))

    def on_epoch_end(self, epoch, logs):
        self.seen.append((epoch, self.run.is_epoch_complete))


def leave(how):
    """Two epochs of two batches and a test; the second is left."""
    with ol.Loop(None, callbacks=[complete := Complete(), history := ol.callbacks.History()]) as loop:
        for epoch in loop.epochs(3):
            for batch in loop.train([0, 1]):
                loop.log(loss=1.0)
                if epoch and batch == 0:
                    if how == "return":
                        return complete, history
                    if how == "break train":
                        break
            if epoch and how == "break epochs":
                break
            for _ in loop.test([0]):
                loop.log(loss=1.0)
                if epoch and how == "break in test":
                    return complete, history
            if epoch and how == "break after test":
                break
    return complete, history


@pytest.mark.parametrize(
    ("how", "is_complete", "epochs"),
    [
        ("nothing", True, [0, 1, 2]),
        ("return", False, [0]),
        ("break in test", False, [0]),
        ("break train", True, [0, 1, 2]),  # the body went on and came to its end
        ("break epochs", True, [0, 1]),
        ("break after test", True, [0, 1]),
    ],
)
def test_an_epoch_says_whether_it_came_to_its_end(how, is_complete, epochs):
    complete, history = leave(how)
    assert (0, True) in complete.seen
    assert (1, is_complete) in complete.seen
    assert ("batch", True) not in complete.seen
    assert history.epochs == epochs


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_epoch_that_an_error_ends_is_not_complete(error):
    complete = Complete()
    with pytest.raises(error), ol.Loop(None, callbacks=[complete]) as loop:  # noqa: PT012
        for _ in loop.epochs(2):
            for _ in loop.train([0]):
                pass
            raise error
    assert complete.seen[-1] == (0, False)


def test_a_run_of_one_epoch_without_epochs_is_complete_where_it_was_not_left():
    for leaves in (False, True):
        with ol.Loop(None, callbacks=[complete := Complete()]) as loop:
            for _ in loop.train([0, 1]):
                if leaves:
                    break
        assert complete.seen[-1] == (0, not leaves)
