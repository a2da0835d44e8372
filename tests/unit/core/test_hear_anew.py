"""Hooks and triggers that a callback sets on itself when the training begins, as many do for Keras, are heard."""

import pytest

import onlooker as ol
from onlooker.core.callback import Callback
from onlooker.core.declaration import Declaration, absent
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AttachError, OnlookerWarning
from onlooker.core.run import Run


class Sets(Callback):
    """Sets on itself what it was given, when the training begins."""

    def __init__(self, seen, name="Sets", **settings):
        self.seen, self.name, self.settings = seen, name, settings

    def on_train_begin(self, logs=None):
        for name, value in self.settings.items():
            setattr(self, name, value)


def noting(seen, word):
    return lambda *given: seen.append((word, *given[:-1]))


def train(*callbacks, epochs=2):
    dispatcher = Dispatcher(callbacks)
    run_epochs(dispatcher, epochs)
    return dispatcher


def run_epochs(dispatcher, epochs=2):
    dispatcher.on_train_begin()
    for epoch in range(epochs):
        dispatcher.on_epoch_begin(epoch)
        dispatcher.run.epoch = epoch
        dispatcher.on_epoch_end(epoch)
    dispatcher.on_train_end()


def test_hooks_that_are_set_when_the_training_begins():
    seen = []
    watch = Sets(seen, on_epoch_end=noting(seen, "end"), on_train_end=noting(seen, "over"))
    dispatcher = train(watch)
    assert seen == [("end", 0), ("end", 1), ("over",)]
    assert dispatcher.listens("on_epoch_end")
    assert not dispatcher.listens("on_epoch_begin")


def test_keras_older_name_too():
    seen = []
    dispatcher = Dispatcher([Sets(seen, on_batch_end=noting(seen, "end"))])
    dispatcher.on_train_begin()
    dispatcher.on_train_batch_end(3)
    assert seen == [("end", 3)]


def test_they_keep_the_place_of_their_callback():
    seen = []
    first, last = Callback(), Callback()
    first.on_epoch_end, last.on_epoch_end = noting(seen, "first"), noting(seen, "last")
    train(Sets(seen, on_epoch_end=noting(seen, "0")), first, Sets(seen, on_epoch_end=noting(seen, "1")), last, epochs=1)
    assert [word for word, *_ in seen] == ["0", "first", "1", "last"]


def test_a_hook_that_is_set_in_place_of_another():
    seen = []

    class Watch(Sets):
        def on_epoch_end(self, epoch, logs=None):
            seen.append("of the class")

        def on_epoch_begin(self, epoch, logs=None):
            seen.append("as ever")

    train(Watch(seen, on_epoch_end=noting(seen, "set")), epochs=1)
    assert seen == ["as ever", ("set", 0)]


def test_a_hook_that_is_given_back_its_default_is_heard_no_more():
    class Watch(Sets):
        def on_epoch_end(self, epoch, logs=None):
            raise AssertionError

    watch = Watch([])
    watch.settings = {"on_epoch_end": super(Sets, watch).on_epoch_end}
    assert not train(watch).listens("on_epoch_end")


def test_one_function_on_two_callbacks():
    seen = []
    shared = noting(seen, "shared")
    other = Callback()
    other.on_epoch_end = shared
    dispatcher = train(other, Sets(seen, on_epoch_end=shared), epochs=1)
    assert seen == [("shared", 0)] * 2
    dispatcher.remove(other)
    dispatcher.on_epoch_end(1)
    assert seen == [("shared", 0)] * 2 + [("shared", 1)]


def test_a_trigger_that_is_set_when_the_training_begins():
    seen = []

    class Watch(Sets):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(epoch)

    train(Watch(seen, when=ol.every(epochs=2)), epochs=4)
    assert seen == [1, 3]
    seen.clear()
    watch = Watch(seen, when=None)
    watch.when = ol.every(epochs=2)
    train(watch, epochs=4)
    assert seen == [0, 1, 2, 3]


def test_what_is_wrong_with_one_is_said_at_once():
    for settings, words in (
        ({"on_epoch_end": lambda: None}, "Sets.on_epoch_end takes (nothing), which is too few"),
        ({"on_epoch_ends": lambda: None, "on_epoch_end": noting([], "end")}, "did you mean on_epoch_end"),
        ({"when": 5}, "Sets.when=5 is no trigger"),
    ):
        with pytest.raises(AttachError) as caught:
            train(Sets([], **settings))
        assert words in str(caught.value)


def test_who_is_disabled_as_the_training_begins_hears_nothing():
    class Watch(Sets):
        on_error = "disable"

        def on_train_begin(self, logs=None):
            super().on_train_begin(logs)
            raise ValueError

    seen = []
    with pytest.warns(OnlookerWarning, match="disabled"):
        train(Watch(seen, on_epoch_end=noting(seen, "end")))
    assert seen == []


def test_who_runs_in_the_first_process_only_hears_nothing_in_another():
    seen = []
    watch = Sets(seen, on_epoch_end=noting(seen, "end"))
    watch.only_on = "rank 0"
    run = Run()
    run.view.process_rank = lambda: 1
    watch.on_epoch_begin = noting(seen, "begin")
    dispatcher = Dispatcher([watch], run)
    watch.on_epoch_end = noting(seen, "end")
    run_epochs(dispatcher)
    assert seen == []


def test_one_that_joins_a_training():
    seen = []
    dispatcher = Dispatcher([Callback()])
    dispatcher.on_train_begin()
    dispatcher.callbacks[0].on_epoch_end = noting(seen, "too late for this training")
    dispatcher.join(Sets(seen, on_epoch_end=noting(seen, "end")))
    dispatcher.on_epoch_end(4)
    assert seen == [("end", 4)]


def test_hooks_that_a_host_never_calls_are_warned_of():
    reason = "for a test"
    host = Declaration("Elsewhere", use="", hooks={"on_train_batch_end": absent(reason)})
    dispatcher = Dispatcher([Sets([], on_train_batch_end=noting([], "end"))], Run(host=host))
    with pytest.warns(OnlookerWarning, match=r"Sets.on_train_batch_end is never called in Elsewhere: for a test"):
        dispatcher.on_train_begin()


@pytest.mark.parametrize("when", ["in on_train_begin", "before the training"])
def test_in_a_loop(when):
    seen = []
    watch = Sets(seen, on_epoch_end=noting(seen, "end"), on_train_batch_end=noting(seen, "batch"))
    with ol.Loop(model=None, callbacks=[watch]) as loop:
        if when == "before the training":
            watch.on_train_begin()
            watch.on_train_begin = noting(seen, "begin")
        for _ in loop.epochs(1):
            for number in loop.train([1.0, 2.0]):
                loop.log(loss=number)
    begin = [("begin",)] if when == "before the training" else []
    assert seen == [*begin, ("batch", 0), ("batch", 1), ("end", 0)]


def test_a_second_training():
    seen = []
    watch = Sets(seen, on_epoch_end=noting(seen, "first"))
    dispatcher = train(watch, epochs=1)
    watch.settings = {"on_epoch_end": noting(seen, "second")}
    run_epochs(dispatcher, epochs=1)
    assert seen == [("first", 0), ("second", 0)]
