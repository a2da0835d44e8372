"""What becomes of a look that is on its way from a device when a state is loaded, a callback goes or a thread asks."""

import copy
import pickle
from threading import Event, Thread, current_thread

import pytest
import torch
from tests.unit.callbacks.inside import far_away
from tests.unit.callbacks.inside.trainings import Sink, inputs, loss_of, mlp

import onlooker as ol
from onlooker.views import torch_clipping


@pytest.fixture
def device(monkeypatch):
    far_away.move_there(monkeypatch)
    return far_away


def train(callbacks, within=lambda loop: None):
    """Train with six batches; call something between each step and the batch's end."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=callbacks) as loop:
        for _ in loop.epochs(1):
            for x in loop.train(inputs("mlp")):
                optimizer.zero_grad()
                loss_of("mlp", model, x).backward()
                optimizer.step()
                within(loop)


def steps(sink):
    return [record.step for record in sink.of("Scalars")]


@pytest.mark.parametrize("comes_later", [True, False])
def test_a_state_that_is_loaded_is_not_added_to(device, monkeypatch, comes_later):
    if not comes_later:
        monkeypatch.delattr(device, "send")
    inside, sink = ol.callbacks.Inside(), Sink()

    class Back(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            if batch == 1:
                self.state = inside.state_dict()
            elif batch == 3:
                inside.load_state_dict(self.state)

    train([inside, sink, Back()])
    assert inside.history("0.weight", "gradients").steps.tolist() == [1, 2, 5, 6]
    assert steps(sink) == [1, 2, 3, 4, 5, 6]


def test_a_look_belongs_to_the_training_that_it_is_of(device):
    """Also where the callback was taken out of that training, and is read in the next."""
    inside, sink, next_sink = ol.callbacks.Inside(), Sink(), Sink()

    class Reads(ol.Callback):
        def on_train_begin(self, logs):
            self.found = inside.latest_step

    def remove(loop):
        if loop.run.step == 3:
            loop._dispatcher.remove(inside)

    train([inside, sink], remove)
    reads = Reads()
    train([reads, inside, next_sink])
    assert reads.found == 2
    assert steps(sink) == [1, 2]
    assert steps(next_sink) == [1, 2, 3, 4, 5, 6]
    assert not torch_clipping._listeners, "it was taken out within a batch, and nothing of it is left there"


class Slow:
    """Has another thread wait for the device until it is let go on."""

    def __init__(self, device, monkeypatch):
        self.is_waiting, self.may_go_on = Event(), Event()
        finish_sent = device.finish_sent

        def wait(rows):
            if current_thread().name == "reader":
                self.is_waiting.set()
                assert self.may_go_on.wait(60)
            return finish_sent(rows)

        monkeypatch.setattr(device, "finish_sent", wait)


def test_a_training_ends_after_what_another_thread_is_handing_out(device, monkeypatch):
    inside, sink, slow, found = ol.callbacks.Inside(), Sink(), Slow(device, monkeypatch), []
    reader = Thread(target=lambda: found.append(inside.latest_step), name="reader")

    class Reads(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            if batch == 5:
                reader.start()
                assert slow.is_waiting.wait(60)
                Thread(target=slow.may_go_on.set).start()

    class Ends(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            self.found = steps(sink)

    ends = Ends()
    train([inside, sink, Reads(), ends])
    reader.join(60)
    assert found == [6]
    assert ends.found == [1, 2, 3, 4, 5, 6]
    assert steps(sink) == [1, 2, 3, 4, 5, 6]


def test_another_thread_waits_for_what_is_being_handed_out(device, monkeypatch):
    """What it reads is never older than what there was when it asked."""
    inside, found, has_begun = ol.callbacks.Inside(), [], Event()

    class Reads(ol.Callback):
        def keep(self, record):
            if record.step == 6 and not has_begun.is_set():
                assert inside.latest_step == 6  # whoever gets a record does not wait for itself
                self.reader = Thread(target=read)
                self.reader.start()
                assert has_begun.wait(60)

    def read():
        has_begun.set()
        assert inside.latest_step == 6
        found.append(steps(told))

    told, reads = Sink(), Reads()
    train([inside, reads, told])
    reads.reader.join(60)
    assert found == [[1, 2, 3, 4, 5, 6]]


def test_copies_while_a_look_is_under_way(device):
    inside, sink, copies = ol.callbacks.Inside(), Sink(), []

    class Copies(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            copies.extend((copy.deepcopy(inside), pickle.loads(pickle.dumps(inside))))

    train([inside, sink, Copies()])
    assert [one.latest_step for one in copies] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    train([copies[0], again := Sink()])
    assert steps(again) == steps(sink) == [1, 2, 3, 4, 5, 6]
