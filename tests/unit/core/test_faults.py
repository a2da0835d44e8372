"""What becomes of a hook that raises: all the others are called, the first error wins, and it says where it was."""

import pickle
import warnings

import pytest

from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import LoopError, OnlookerWarning
from onlooker.core.faults import STAGE_ENDS
from onlooker.core.hooks import HOOKS, arguments
from onlooker.core.run import Run
from onlooker.core.trigger import when

POLICIES = ("raise", "warn", "disable")


class Raises(Callback):
    """Raises in every hook, and counts."""

    def __init__(self, error, policy="raise", hooks=tuple(HOOKS)):
        self.error, self.on_error, self.seen = error, policy, []
        for hook in hooks:
            setattr(self, hook, self.raising(hook))

    def raising(self, hook):
        def raise_it(*given):
            self.seen.append(hook)
            raise self.error

        if len(arguments(hook)) == 2:
            return lambda index, logs: raise_it()
        return lambda logs: raise_it()


class Counts(Callback):
    """Notes every hook."""

    def __init__(self):
        self.seen = []
        for hook in HOOKS:
            if len(arguments(hook)) == 2:
                setattr(self, hook, lambda index, logs, hook=hook: self.seen.append(hook))
            else:
                setattr(self, hook, lambda logs, hook=hook: self.seen.append(hook))


def call(dispatcher, hook, index=7):
    getattr(dispatcher, hook)(*([index] if len(arguments(hook)) == 2 else []))


def warned(records):
    assert all(record.category is OnlookerWarning for record in records)
    return [str(record.message) for record in records]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("policy", POLICIES)
def test_all_the_others_are_called(hook, policy):
    before, after = Counts(), Counts()
    dispatcher = Dispatcher([before, Raises(ValueError("no"), policy), after])
    if policy == "raise":
        with pytest.raises(ValueError, match="no"):
            call(dispatcher, hook)
    else:
        with pytest.warns(OnlookerWarning, match="no"):
            call(dispatcher, hook)
    assert before.seen == after.seen == [hook]


@pytest.mark.parametrize(
    ("hook", "place"),
    [
        ("on_epoch_end", "epoch 7"),
        ("on_train_batch_end", "epoch 3, batch 7"),
        ("on_batch_begin", "epoch 3, batch 7"),
        ("on_test_batch_begin", "epoch 3, batch 7"),
        ("on_test_end", "epoch 3"),
        ("on_train_end", "epoch 3"),
    ],
)
def test_the_note_names_callback_hook_epoch_and_batch(hook, place):
    run = Run()
    run.epoch = 3
    callback = Callback()
    hook_itself = hook.replace("on_batch", "on_train_batch")

    def no(*given):
        raise ValueError("no")

    setattr(callback, hook, (lambda batch, logs: no()) if len(arguments(hook_itself)) == 2 else lambda logs: no())
    with pytest.raises(ValueError, match="no") as caught:
        call(Dispatcher([callback], run), hook_itself)
    assert caught.value.__notes__ == [f"in Callback.{hook_itself}, {place} (on_error='raise')"]


def test_the_note_outside_any_epoch():
    with pytest.raises(ValueError, match="no") as caught:
        Dispatcher([Raises(ValueError("no"))]).on_test_begin()
    assert caught.value.__notes__ == ["in Raises.on_test_begin, outside any epoch (on_error='raise')"]


def test_the_first_error_wins_and_later_ones_are_notes_on_it():
    first, second, third = ValueError("first"), KeyError("second"), OSError("third")
    dispatcher = Dispatcher([Raises(first), Raises(second), Raises(third)])
    with pytest.raises(ValueError, match="first") as caught:
        dispatcher.on_epoch_end(0)
    assert caught.value is first
    assert len(first.__notes__) == 3
    assert "KeyError('second')" in first.__notes__[1]
    assert "Raises.on_epoch_end" in first.__notes__[1]
    assert "OSError('third')" in first.__notes__[2]


def test_one_and_the_same_error_twice_is_no_note_on_itself():
    error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        Dispatcher([Raises(error), Raises(error)]).on_epoch_end(0)
    assert not any("and then" in note for note in error.__notes__)


def test_policies_side_by_side():
    first, later = ValueError("first"), ValueError("later")
    counts = Counts()
    dispatcher = Dispatcher(
        [Raises(OSError("one"), "warn"), Raises(first), Raises(OSError("two"), "disable"), Raises(later), counts]
    )
    with pytest.warns(OnlookerWarning) as records, pytest.raises(ValueError, match="first") as caught:
        dispatcher.on_epoch_end(0)
    assert [note.partition(":")[0] for note in caught.value.__notes__] == [
        "in Raises.on_epoch_end, epoch 0 (on_error='raise')",
        "and then ValueError('later'); in Raises.on_epoch_end, epoch 0 (on_error='raise')",
    ]
    assert ["one" in text or "two" in text for text in warned(records)] == [True, True]
    assert counts.seen == ["on_epoch_end"]


def test_the_error_is_the_very_one_with_its_traceback():
    def deep(epoch, logs):
        raise ValueError("here")

    callback = Callback()
    callback.on_epoch_end = deep
    with pytest.raises(ValueError, match="here") as caught:
        Dispatcher([callback]).on_epoch_end(0)
    assert caught.traceback[-1].name == "deep"


def test_a_stop_iteration_which_whoever_iterates_would_swallow_is_another_error():
    class Watch(Callback):
        @when(lambda run: next(iter([])))
        def on_epoch_end(self, epoch, logs): ...

    later = Counts()
    with pytest.raises(LoopError, match=r"^a hook raised StopIteration, which a `for` would take") as caught:
        Dispatcher([Watch(), later]).on_epoch_end(2)
    assert isinstance(caught.value.__cause__, StopIteration)
    assert caught.traceback[-1].name == "<lambda>"
    assert caught.value.__notes__ == [
        "in the trigger when(<lambda>)",
        "in Watch.on_epoch_end, epoch 2 (on_error='raise')",
    ]
    assert later.seen == ["on_epoch_end"]


# "warn"


def test_warn_names_everything_and_goes_on():
    callback = Raises(ValueError("no"), "warn")
    run = Run()
    run.epoch = 3
    dispatcher = Dispatcher([callback], run)
    with pytest.warns(OnlookerWarning) as records:
        dispatcher.on_train_batch_end(7)
    assert warned(records) == ["Raises.on_train_batch_end, epoch 3, batch 7: ValueError('no'); the training goes on"]


@pytest.mark.parametrize("policy", ["warn", "disable"])
def test_a_warning_tells_the_notes_on_an_error_that_are_of_one_line(policy):
    error = ValueError("no")
    error.add_note("in the trigger when(is_low)")
    error.add_note("----\nmore than a warning holds")
    with pytest.raises(ValueError, match="no"):
        Dispatcher([Raises(error)]).on_epoch_end(0)  # its place, which is noted too, is another run's
    assert len(error.__notes__) == 3
    with pytest.warns(OnlookerWarning) as records:
        Dispatcher([Raises(error, policy)]).on_epoch_end(4)
    assert warned(records)[0].startswith(
        "Raises.on_epoch_end, epoch 4: ValueError('no'), in the trigger when(is_low); the "
    )


def test_one_warning_for_each_hook_and_type():
    callback = Raises(ValueError("no"), "warn")
    dispatcher = Dispatcher([callback, other := Raises(ValueError("no"), "warn")])
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        for batch in range(3):
            dispatcher.on_train_batch_end(batch)
        assert len(records) == 2  # one for each callback
        dispatcher.on_train_batch_begin(0)
        assert len(records) == 4
        callback.error = KeyError("another type")
        dispatcher.on_train_batch_end(3)
        dispatcher.on_train_batch_end(4)
        assert len(records) == 5
    assert callback.seen.count("on_train_batch_end") == other.seen.count("on_train_batch_end") == 5


@pytest.mark.parametrize("policy", ["warn", "disable"])
def test_where_warnings_are_errors_the_others_are_called_all_the_same(policy):
    counts = Counts()
    error = ValueError("no")
    dispatcher = Dispatcher([Raises(error, policy), counts])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(OnlookerWarning, match="no") as caught:
            dispatcher.on_epoch_end(0)
    assert counts.seen == ["on_epoch_end"]
    assert caught.value.__cause__ is error


# "disable"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_disabled_callback_gets_nothing_but_the_ends_of_the_stages(hook):
    callback = Raises(ValueError("no"), "disable")
    dispatcher = Dispatcher([callback])
    with pytest.warns(OnlookerWarning, match="the callback is disabled from here on"):
        call(dispatcher, hook)
    callback.seen.clear()
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        for other in HOOKS:
            call(dispatcher, other)
            call(dispatcher, other)
    assert callback.seen == [end for end in ("on_train_end", "on_test_end", "on_predict_end") for _ in range(2)]
    assert len(records) == len(set(STAGE_ENDS) - {hook})  # each once, and this one was shown above
    assert all("in a callback that is disabled already" in text for text in warned(records))


def test_nobody_listens_where_only_a_disabled_one_did():
    dispatcher = Dispatcher([Raises(ValueError("no"), "disable")])
    with pytest.warns(OnlookerWarning):
        dispatcher.on_epoch_begin(0)
    assert [hook for hook in HOOKS if dispatcher.listens(hook)] == ["on_train_end", "on_test_end", "on_predict_end"]


def test_disabling_one_leaves_others_of_its_class():
    error = ValueError("no")
    one, other = Raises(error, "disable"), Raises(error, "warn")
    dispatcher = Dispatcher([one, other])
    with pytest.warns(OnlookerWarning):
        dispatcher.on_epoch_end(0)
    dispatcher.on_epoch_end(1)
    assert (len(one.seen), len(other.seen)) == (1, 2)


def test_disabling_in_the_middle_of_a_pair_skips_the_end():
    callback = Raises(ValueError("no"), "disable", hooks=["on_epoch_begin", "on_epoch_end", "on_train_end"])
    dispatcher = Dispatcher([callback])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dispatcher.on_epoch_begin(0)
        dispatcher.on_epoch_end(0)
        dispatcher.on_train_end()
    assert callback.seen == ["on_epoch_begin", "on_train_end"]


def test_the_policy_is_that_of_the_moment():
    callback = Raises(ValueError("no"), "warn")
    dispatcher = Dispatcher([callback])
    with pytest.warns(OnlookerWarning):
        dispatcher.on_epoch_end(0)
    callback.on_error = "raise"
    with pytest.raises(ValueError, match="no"):
        dispatcher.on_epoch_end(1)


# What is no Exception.


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_is_never_swallowed(policy, kind):
    with pytest.raises(kind):
        Dispatcher([Raises(kind(), policy)]).on_epoch_end(0)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_after_ctrl_c_the_others_are_called_all_the_same(hook, kind):
    """They will be called for the ends of what is open: none may get an end without its begin."""
    before, after, error = Counts(), Counts(), kind()
    dispatcher = Dispatcher([before, Raises(error), after])
    with pytest.raises(kind) as caught:
        call(dispatcher, hook)
    assert caught.value is error
    assert before.seen == after.seen == [hook]
    assert error.__notes__[0].startswith(f"in Raises.{hook}, ")


def test_the_first_ctrl_c_wins_over_a_second_and_over_errors_before_and_after():
    errors = [ValueError("before"), KeyboardInterrupt("first"), KeyboardInterrupt("second"), OSError("after")]
    counts = Counts()
    with pytest.raises(KeyboardInterrupt, match="first") as caught:
        Dispatcher([*map(Raises, errors), counts]).on_epoch_end(0)
    assert caught.value is errors[1]
    notes = caught.value.__notes__
    assert [note.partition("(")[0] for note in notes] == [
        "in Raises.on_epoch_end, epoch 0",
        "and before that ValueError",
        "and then KeyboardInterrupt",
        "and then OSError",
    ]
    assert counts.seen == ["on_epoch_end"]


@pytest.mark.parametrize("policy", POLICIES)
def test_ctrl_c_in_a_later_callback_is_not_swallowed_either(policy):
    error = ValueError("no")
    dispatcher = Dispatcher([Raises(error, policy), Raises(KeyboardInterrupt())])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyboardInterrupt) as caught:
            dispatcher.on_epoch_end(0)
    assert caught.value.__context__ is error  # and what came before is still to be seen


def test_a_warning_points_at_the_line_outside_onlooker_that_led_to_it():
    import onlooker as ol

    class Fails(ol.Callback):
        on_error = "warn"

        def on_epoch_end(self, epoch, logs):
            raise ValueError("no")

    def train():
        with ol.Loop(None, callbacks=[Fails()]) as loop:
            for _ in loop.epochs(1):
                for _ in loop.train([0]):
                    pass

    with pytest.warns(ol.OnlookerWarning) as caught:
        train()
    assert [warning.filename for warning in caught] == [__file__]


def raised_in(error, other=None, epoch=0):
    """Raise an error in a hook of a new run, and perhaps another after it; return the notes on the first."""
    run = Run()
    run.epoch = epoch
    dispatcher = Dispatcher([Raises(error), *([Raises(other)] if other else [])], run)
    with pytest.raises(type(error)) as caught:
        call(dispatcher, "on_train_batch_end")
    assert caught.value is error
    return error.__notes__


def test_an_error_that_is_raised_in_many_runs_tells_of_the_last_one():
    error, other = ValueError("no"), KeyError("nor this")
    error.add_note("the user's own")
    for epoch in range(3):
        first, then = f"in Raises.on_train_batch_end, epoch {epoch}, batch 7 (on_error='raise')", "and then KeyError"
        notes = raised_in(error, other, epoch)
        assert notes[:2] == ["the user's own", first]
        assert len(notes) == 3
        assert notes[2].startswith(then)
        assert other.__notes__ == [first]


def test_an_error_that_is_raised_in_many_hooks_of_one_run_tells_of_them_all():
    error = ValueError("no")
    dispatcher = Dispatcher([Raises(error)])
    for _ in range(3):
        for hook in ("on_train_begin", "on_train_end"):
            with pytest.raises(ValueError, match="no"):
                call(dispatcher, hook)
    assert [note.partition(",")[0] for note in error.__notes__] == [
        "in Raises.on_train_begin",
        "in Raises.on_train_end",
    ]


def test_notes_are_plain_words_in_a_pickle():
    error = ValueError("no")
    raised_in(error)
    copied = pickle.loads(pickle.dumps(error))
    assert copied.__notes__ == error.__notes__
    assert {type(note) for note in copied.__notes__} == {str}
