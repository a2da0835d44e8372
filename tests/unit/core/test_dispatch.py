"""Who is called for which hook, in which order, and what adding and removing do, also in the middle of it all."""

import gc
import weakref

import pytest

from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AttachError
from onlooker.core.hooks import HOOKS, arguments
from onlooker.core.logs import Logs
from onlooker.core.record import Scalars
from onlooker.core.run import Run
from onlooker.core.view import ModelView


def listener(name, seen, *hooks):
    """A callback that notes its name and what it was given."""

    def noting(hook):
        return lambda self, *given: seen.append((name, hook, *given))

    return type(name, (Callback,), {hook: noting(hook) for hook in hooks})()


def call(dispatcher, hook, index=7, logs=None):
    """Call a hook as a host does."""
    getattr(dispatcher, hook)(*([index] if len(arguments(hook)) == 2 else []), *([] if logs is None else [logs]))


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_reaches_those_who_listen_in_order(hook):
    seen = []
    others = [other for other in HOOKS if other != hook]
    dispatcher = Dispatcher(
        [listener("a", seen, hook), listener("nobody", seen, *others), listener("b", seen, *HOOKS), listener("c", seen)]
    )
    logs = {"loss": 1.0}
    call(dispatcher, hook, 7, logs)
    given = (7, logs) if len(arguments(hook)) == 2 else (logs,)
    assert seen == [("a", hook, *given), ("b", hook, *given)]
    assert all(one[-1] is logs for one in seen)


@pytest.mark.parametrize("hook", HOOKS)
def test_logs_left_out_are_empty_logs_that_all_share(hook):
    seen = []
    dispatcher = Dispatcher([listener("a", seen, hook), listener("b", seen, hook)])
    call(dispatcher, hook)
    call(dispatcher, hook)
    first, second, third, _ = [one[-1] for one in seen]
    assert type(first) is Logs
    assert first == {}
    assert first is second
    assert first is not third  # nothing is carried over to the next hook


def test_empty_logs_are_passed_on_and_not_replaced():
    """`logs or Logs()` would lose what the host wants back."""
    callback = Callback()
    callback.on_epoch_end = lambda epoch, logs: logs.update(score=1.0)
    logs = {}
    Dispatcher([callback]).on_epoch_end(0, logs)
    assert logs == {"score": 1.0}


def test_what_one_assigns_the_later_ones_see():
    first, second, seen = Callback(), Callback(), []
    first.on_epoch_end = lambda epoch, logs: logs.update(score=logs["loss"] * 2)
    second.on_epoch_end = lambda epoch, logs: seen.append(dict(logs))
    Dispatcher([first, second]).on_epoch_end(0, {"loss": 1.0})
    assert seen == [{"loss": 1.0, "score": 2.0}]


def test_nobody_listening():
    dispatcher = Dispatcher([Callback()])
    for hook in HOOKS:
        assert not dispatcher.listens(hook)
        call(dispatcher, hook)


def test_listens():
    dispatcher = Dispatcher([listener("a", [], "on_epoch_end", "on_batch_end")])
    assert [hook for hook in HOOKS if dispatcher.listens(hook)] == ["on_epoch_end", "on_train_batch_end"]


def test_listens_no_more_when_the_last_one_is_gone():
    a, b = listener("a", [], "on_epoch_end"), listener("b", [], "on_epoch_end", "on_train_end")
    dispatcher = Dispatcher([a, b])
    dispatcher.remove(a)
    assert dispatcher.listens("on_epoch_end")
    dispatcher.remove(b)
    assert not any(dispatcher.listens(hook) for hook in HOOKS)
    dispatcher.add(a)
    assert dispatcher.listens("on_epoch_end")


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
def test_keras_older_names_are_called_by_the_newer(hook):
    seen = []
    older = hook.replace("train_", "")
    call(Dispatcher([listener("a", seen, older)]), hook, 3, {"loss": 1.0})
    assert seen == [("a", older, 3, {"loss": 1.0})]


def test_a_callback_knows_its_run_model_and_params():
    run = Run("the model", params={"epochs": 3})
    callback = Callback()
    Dispatcher([callback], run)
    assert (callback.run, callback.model, callback.params) == (run, "the model", {"epochs": 3})
    assert callback.params is run.params


def test_a_dispatcher_makes_a_run_that_stands_nowhere():
    callback = Callback()
    dispatcher = Dispatcher([callback])
    assert callback.run is dispatcher.run
    assert (callback.run.epoch, callback.run.batch, callback.run.stage, callback.run.step) == (None, None, None, 0)


def test_super_init_is_not_needed():
    class Forgetful(Callback):
        def __init__(self, seen):
            self.seen = seen

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append(epoch)

    seen = []
    Dispatcher([Forgetful(seen)]).on_epoch_end(4)
    assert seen == [4]


def test_hooks_are_looked_up_once_when_attached():
    seen = []
    callback = listener("a", seen, "on_epoch_end")
    dispatcher = Dispatcher([callback])
    callback.on_epoch_end = lambda epoch, logs: seen.append("replaced")
    dispatcher.on_epoch_end(0)
    assert [one[0] for one in seen] == ["a"]


# Adding and removing.


def test_added_ones_come_last_and_removed_ones_no_more():
    seen = []
    a, b, c = (listener(name, seen, "on_epoch_end", "on_train_end") for name in "abc")
    dispatcher = Dispatcher([a, b])
    dispatcher.add(c)
    assert dispatcher.callbacks == (a, b, c)
    assert dispatcher.run.callbacks == (a, b, c)
    dispatcher.remove(b)
    dispatcher.on_epoch_end(0)
    dispatcher.on_train_end()
    assert [one[0] for one in seen] == ["a", "c", "a", "c"]
    assert dispatcher.callbacks == dispatcher.run.callbacks == (a, c)
    dispatcher.add(b)
    dispatcher.on_epoch_end(1)
    assert [one[0] for one in seen][4:] == ["a", "c", "b"]


def test_what_was_removed_from_a_live_run_may_come_back():
    callback = Callback()
    dispatcher = Dispatcher([callback])
    dispatcher.run.is_live = True
    dispatcher.remove(callback)
    dispatcher.add(callback)
    assert dispatcher.callbacks == (callback,)


def test_removing_what_is_not_attached():
    callback = Callback()
    dispatcher = Dispatcher([callback])
    dispatcher.remove(callback)
    for stranger in (callback, Callback()):
        with pytest.raises(AttachError, match="this instance of Callback is not attached"):
            dispatcher.remove(stranger)


def test_a_callback_that_removes_itself_or_another_in_a_hook():
    seen = []

    class Leaves(Callback):
        def __init__(self, others):
            self.others = others

        def on_epoch_end(self, epoch, logs=None):
            seen.append("leaves")
            for other in (self, *self.others):
                dispatcher.remove(other)

    b, c = listener("b", seen, "on_epoch_end"), listener("c", seen, "on_epoch_end")
    dispatcher = Dispatcher([Leaves([b]), b, c])
    dispatcher.on_epoch_end(0)
    assert [one if one == "leaves" else one[0] for one in seen] == ["leaves", "b", "c"]  # this call goes to its end
    seen.clear()
    dispatcher.on_epoch_end(1)
    assert [one[0] for one in seen] == ["c"]


def test_a_callback_that_adds_another_in_a_hook():
    seen = []
    late = listener("late", seen, "on_epoch_end")

    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                dispatcher.add(late)

    dispatcher = Dispatcher([Adds()])
    dispatcher.on_epoch_end(0)
    assert seen == []
    dispatcher.on_epoch_end(1)
    assert [one[0] for one in seen] == ["late"]


def test_a_removed_callback_is_named_rightly_if_it_still_raises():
    """It removes itself and then raises, in the same call: the dispatcher still knows whose call that was."""

    class Leaves(Callback):
        def on_epoch_end(self, epoch, logs=None):
            dispatcher.remove(self)
            raise ValueError("too late")

    dispatcher = Dispatcher([Leaves()])
    with pytest.raises(ValueError, match="too late") as caught:
        dispatcher.on_epoch_end(2)
    assert caught.value.__notes__ == ["in Leaves.on_epoch_end, epoch 2 (on_error='raise')"]


def test_joining_calls_train_begin_of_the_newcomer_alone():
    seen = []
    a, b = (listener(name, seen, "on_train_begin", "on_epoch_end") for name in "ab")
    dispatcher = Dispatcher([a])
    dispatcher.join(b)
    assert seen == [("b", "on_train_begin", {})]
    dispatcher.join(listener("deaf", seen, "on_epoch_end"))
    assert len(seen) == 1
    dispatcher.on_epoch_end(0)
    assert [one[0] for one in seen[1:]] == ["a", "b", "deaf"]


def test_a_newcomer_that_raises_is_named():
    class Raises(Callback):
        def on_train_begin(self, logs=None):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        Dispatcher().join(Raises())
    assert "Raises.on_train_begin" in caught.value.__notes__[0]


def test_a_dispatcher_lets_go_of_everything_with_itself():
    callback = listener("a", [], *HOOKS)
    dispatcher = Dispatcher([callback])
    known = weakref.ref(callback)
    del callback, dispatcher
    gc.collect()
    assert known() is None


# Sinks.


def test_sinks_are_those_with_keep():
    class Sink(Callback):
        def __init__(self):
            self.kept = []

        def keep(self, record):
            self.kept.append(record)

    sink, other = Sink(), Callback()
    dispatcher = Dispatcher([other, sink])
    record = Scalars({"score": 1.0})
    other.run.record(record)
    assert sink.kept == [record]
    dispatcher.remove(sink)
    other.run.record(record)
    assert len(sink.kept) == 1


def test_one_function_as_the_hook_of_two_callbacks_is_two_listeners():
    calls = []

    def shared(epoch, logs=None):
        calls.append(epoch)
        if len(calls) % 2 == 0:
            raise ValueError("the second")

    class First(Callback):
        pass

    class Second(Callback):
        pass

    first, second = First(), Second()
    first.on_epoch_end = second.on_epoch_end = shared
    dispatcher = Dispatcher([first, second])
    with pytest.raises(ValueError, match="the second") as caught:
        dispatcher.on_epoch_end(3)
    assert calls == [3, 3]
    assert caught.value.__notes__ == ["in Second.on_epoch_end, epoch 3 (on_error='raise')"]
    dispatcher.remove(first)
    assert dispatcher.listens("on_epoch_end")
    dispatcher.remove(second)
    assert not dispatcher.listens("on_epoch_end")


class SecondOfTwo(ModelView):
    """The view of the second of two processes."""

    def process_count(self):
        return 2

    def process_rank(self):
        return 1


def test_one_for_the_first_process_hears_nothing_in_the_others():
    seen, kept = [], []
    everywhere, alone = listener("everywhere", seen, *HOOKS), listener("alone", seen, *HOOKS)
    alone.only_on = "rank 0"
    alone.keep = kept.append
    run = Run(view=SecondOfTwo(None))
    dispatcher = Dispatcher([everywhere, alone], run)
    for hook in HOOKS:
        call(dispatcher, hook)
    run.record(Scalars({"loss": 1.0}))
    assert {name for name, *_ in seen} == {"everywhere"}
    assert len(seen) == len(HOOKS)
    assert kept == []
    assert alone.run is run, "it is attached, and may be asked"
    assert dispatcher.callbacks == (everywhere, alone)
    assert (run.rank, run.world_size) == (1, 2)


def test_in_the_first_process_it_hears_all():
    seen = []
    alone = listener("alone", seen, *HOOKS)
    alone.only_on = "rank 0"
    dispatcher = Dispatcher([alone])
    for hook in HOOKS:
        call(dispatcher, hook)
    assert len(seen) == len(HOOKS)


def test_an_unknown_place_to_run():
    callback = Callback()
    callback.only_on = "rank 1"
    with pytest.raises(AttachError, match="only_on='rank 1' must be 'rank 0', or None"):
        Dispatcher([callback])
