"""State: saved with the run by the host's own way, and a resumed training goes on as if it had never stopped."""

import random

import numpy as np
import pytest
from tests.contract.acting import recorder_class
from tests.contract.row import same
from tests.contract.shapes import epoch_calls

import onlooker as ol
from onlooker.core.errors import OnlookerWarning

pytestmark = pytest.mark.needs("save", "state", "stop")

EPOCHS = 4


def counter(host):
    """Return a callback that resets itself when a training begins, and has a state."""

    class Counter(host.base):
        def on_train_begin(self, logs=None):
            self.batches, self.best = 0, float("inf")

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1

        def on_epoch_end(self, epoch, logs=None):
            self.batches += not host.gives("on_train_batch_end")  # the epoch is then all that there is to count
            value = f"val_{host.loss_name}"
            self.best = min(self.best, logs.get(value, self.best))  # none where it is stopped before
            logs["batches"] = float(self.batches)
            logs["best"] = self.best

        def state_dict(self):
            return {"batches": self.batches, "best": self.best}

        def load_state_dict(self, state):
            assert self.batches == 0, "loaded before on_train_begin"
            self.batches, self.best = state["batches"], state["best"]

    return Counter()


def saver(host, path, hook, index):
    """Return a callback that saves once and stops there."""

    def act(callback, name, at, logs):
        if (name, at) == (hook, index) and callback.run.epoch == 1:
            callback.run.save(path)
            callback.run.stop("saved")

    return type("Saver", (recorder_class(host.base),), {})(act, reads=False)


def disturb(host):
    """Leave the random generators where no training has left them."""
    host.draw()
    random.random()
    np.random.random(3)


@pytest.fixture
def uninterrupted(host):
    seen, history = recorder_class(host.base)(), ol.callbacks.History()
    subject = host.make()
    host.fit(subject, [counter(host), history, seen], epochs=EPOCHS)
    return seen, history, host.state_of(subject)


@pytest.mark.parametrize(
    ("hook", "index", "first_epoch"),
    [("on_epoch_end", 1, 2), ("on_epoch_begin", 1, 1)],
)
def test_a_resumed_training_goes_on_as_if_it_had_never_stopped(host, tmp_path, uninterrupted, hook, index, first_epoch):
    path = tmp_path / host.file_name
    host.fit(host.make(), [counter(host), ol.callbacks.History(), saver(host, path, hook, index)], epochs=EPOCHS)

    subject, seen, history = host.make(), recorder_class(host.base)(), ol.callbacks.History()
    disturb(host)
    host.fit(subject, [counter(host), history, seen], epochs=EPOCHS, resume=path)

    all_seen, whole_history, state = uninterrupted
    seen.check(first_epoch)
    rest = [call for epoch in range(first_epoch, EPOCHS) for call in epoch_calls(host, epoch)]
    assert seen.calls == [("on_train_begin", None), *rest, ("on_train_end", None)]
    for event, same_event in zip(seen.events[1:], all_seen.events[-len(rest) - 1 :], strict=True):
        assert event.logs == same_event.logs, event
        assert event.run == same_event.run, event
    assert same(host.state_of(subject), state)
    assert (history.epochs, history.history) == (whole_history.epochs, whole_history.history)
    assert (seen.run.is_resumed, seen.run.outcome) == (True, "completed")


def test_is_resumed(host, tmp_path):
    path, said = tmp_path / host.file_name, []

    def act(callback, hook, index, logs):
        said.append(callback.run.is_resumed)

    host.fit(host.make(), [saver(host, path, "on_epoch_end", 1)], epochs=EPOCHS)
    subject = host.make()
    host.fit(subject, [recorder_class(host.base)(act)], epochs=EPOCHS, resume=path)
    assert set(said) == {True}
    said.clear()
    host.fit(subject, [recorder_class(host.base)(act)], epochs=1)
    assert set(said) == {False}


def test_of_two_callbacks_of_one_class_each_gets_its_own(host, tmp_path):
    class Named(host.base):
        def __init__(self, name):
            self.name = name

        def state_dict(self):
            return {"name": self.name}

        def load_state_dict(self, state):
            self.loaded = state["name"]

    path = tmp_path / host.file_name
    host.fit(host.make(), [Named("a"), Named("b"), saver(host, path, "on_epoch_end", 1)], epochs=EPOCHS)
    first, second = Named("x"), Named("y")
    host.fit(host.make(), [first, second], epochs=EPOCHS, resume=path)
    assert (first.loaded, second.loaded) == ("a", "b")


def test_other_callbacks_than_before_get_a_warning(host, tmp_path):
    path = tmp_path / host.file_name
    host.fit(host.make(), [counter(host), saver(host, path, "on_epoch_end", 1)], epochs=EPOCHS)
    with pytest.warns(OnlookerWarning, match="no callback for the saved state of Counter"):
        host.fit(host.make(), [recorder_class(host.base)()], epochs=EPOCHS, resume=path)


@pytest.mark.needs("no_epoch")
def test_nothing_is_left_to_train(host, tmp_path):
    path, seen = tmp_path / host.file_name, recorder_class(host.base)()
    host.fit(host.make(), [saver(host, path, "on_epoch_end", 1)], epochs=2)
    host.fit(host.make(), [seen], epochs=2, resume=path)
    assert seen.check().calls == [("on_train_begin", None), ("on_train_end", None)]
    assert seen.run.outcome == "completed"
