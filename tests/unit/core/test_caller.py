"""Who asked for the training to end: the callback whose hook is being called, whatever that hook is."""

import functools

import pytest

import onlooker as ol
from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import OnlookerWarning
from onlooker.core.run import Run


def told(*callbacks):
    dispatcher = Dispatcher(callbacks)
    dispatcher.on_epoch_begin(0)
    dispatcher.on_epoch_end(0)
    return dispatcher.run.stopped_by, dispatcher.run.reason


def test_functions_given_to_a_lambda_callback():
    watch = ol.callbacks.Lambda(on_epoch_end=lambda epoch, logs: watch.run.stop())
    assert told(watch) == ("Lambda", "stopped by Lambda")


def test_a_hook_assigned_on_an_instance():
    watch = type("Watch", (Callback,), {})()
    watch.on_epoch_end = lambda epoch, logs: watch.run.stop()
    assert told(Callback(), watch)[0] == "Watch"


def test_one_function_on_two_callbacks():
    def stop(epoch, logs):
        second.run.stop()

    first, second = type("First", (Callback,), {})(), type("Second", (Callback,), {})()
    first.on_epoch_end, second.on_epoch_end = lambda epoch, logs: None, stop
    first.on_epoch_begin = stop
    assert told(first, second)[0] == "First"
    first.on_epoch_begin, first.on_epoch_end = lambda epoch, logs: None, lambda epoch, logs: None
    assert told(first, second)[0] == "Second"


def test_a_first_parameter_of_another_name():
    class Watch(Callback):
        def on_epoch_end(this, epoch, logs=None):  # noqa: N805  # that it is not called self is what is tried
            (lambda: this.run.stop())()

    assert told(Watch())[0] == "Watch"


def test_a_function_deep_down():
    def down(levels, run):
        return down(levels - 1, run) if levels else run.stop()

    class Watch(Callback):
        def on_epoch_end(self, epoch, logs=None):
            down(30, self.run)

    assert told(Watch())[0] == "Watch"


def test_another_callback_that_is_attached_nowhere():
    class Helper(Callback):
        def decide(self, run):
            run.stop()

    class Watch(Callback):
        def on_epoch_end(self, epoch, logs=None):
            Helper().decide(self.run)

    assert told(Watch())[0] == "Watch"


def test_a_hook_behind_a_trigger():
    class Watch(Callback):
        when = ol.every(epochs=1)

        @ol.after(epochs=0)
        def on_epoch_end(this, epoch, logs=None):  # noqa: N805  # that it is not called self is what is tried
            (lambda: this.run.stop())()

    assert told(Watch())[0] == "Watch"


def test_a_trigger_that_stops():
    class Watch(Callback):
        @ol.when(lambda run: run.stop() or True)
        def on_epoch_end(self, epoch, logs=None): ...

    assert told(Watch())[0] == "Watch"


def test_one_that_is_called_after_another_has_raised():
    class Raises(Callback):
        on_error = "warn"

        def on_epoch_end(self, epoch, logs=None):
            raise ValueError

    watch = ol.callbacks.Lambda(on_epoch_end=lambda epoch, logs: watch.run.stop())
    with pytest.warns(OnlookerWarning):
        assert told(Raises(), watch)[0] == "Lambda"


def test_one_that_joins_a_training():
    watch = ol.callbacks.Lambda(on_train_begin=lambda logs: watch.run.stop())
    dispatcher = Dispatcher([Callback()])
    dispatcher.join(watch)
    assert dispatcher.run.stopped_by == "Lambda"


def test_a_method_that_is_no_hook_of_an_attached_callback():
    class Keeper(Callback):
        def keep(self, record):
            self.run.stop()

    class Makes(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.run.record(ol.Scalars({"a": 1.0}))

    assert told(Makes(), Keeper())[0] == "Keeper"


@pytest.mark.parametrize("is_outer", [True, False])
def test_trainings_within_trainings(is_outer):
    """The run that is stopped says whose hooks count, not the nearest hook of all."""

    class Inner(Callback):
        def on_epoch_end(self, epoch, logs=None):
            (outer.run if is_outer else self.run).stop()

    class Outer(Callback):
        def on_epoch_end(self, epoch, logs=None):
            inner.on_epoch_end(0)

    outer, inner = Dispatcher([Outer()]), Dispatcher([Inner()])
    outer.on_epoch_end(0)
    assert (outer.run.stopped_by, inner.run.stopped_by) == (("Outer", None) if is_outer else (None, "Inner"))


def test_a_loop_within_a_hook_that_is_stopped_by_its_own_body():
    class Outer(Callback):
        def on_epoch_end(self, epoch, logs=None):
            with ol.Loop(model=None, callbacks=[Callback()]) as loop:
                for _ in loop.epochs(2):
                    for number in loop.train([1.0]):
                        loop.log(loss=number)
                    loop.stop()
            self.inner = loop.run

    outer = Outer()
    Dispatcher([outer]).on_epoch_end(0)
    assert (outer.inner.stopped_by, outer.inner.reason, outer.run.stopped_by) == (None, "stopped", None)


def train(stop, *callbacks):
    with ol.Loop(model=None, callbacks=callbacks) as loop:
        for _ in loop.epochs(2):
            for number in loop.train([1.0]):
                loop.log(loss=number)
            stop(loop)
    return loop.run


def test_the_body_of_a_loop_is_no_callback_wherever_it_stands():
    class Experiment(Callback):
        def go(self, *callbacks):
            return train(lambda loop: loop.stop(), *callbacks)

    def go(callback):
        return train(lambda loop: loop.stop(), callback)

    for run in (Experiment().go(Callback()), go(Callback())):
        assert (run.stopped_by, run.reason) == (None, "stopped")


def test_a_partial_and_an_object_that_can_be_called():
    watch = type("Watch", (Callback,), {})()
    watch.on_epoch_end = functools.partial(lambda run, epoch, logs: run().stop(), lambda: watch.run)
    assert told(watch)[0] == "Watch"
    watch = type("Watch", (Callback,), {})()
    watch.on_epoch_end = type("Call", (), {"__call__": lambda this, epoch, logs: watch.run.stop()})()
    assert told(watch)[0] == "Watch"


def test_nobody():
    run = Run()
    run.stop()
    assert run.stopped_by is None
