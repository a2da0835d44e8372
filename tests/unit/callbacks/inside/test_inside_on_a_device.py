"""What a look finds on a device is handed out later, whole, in order, and to whoever asks at once."""

import pickle
import warnings

import pytest
import torch
from tests.unit.callbacks.inside import far_away
from tests.unit.callbacks.inside.trainings import WHAT, Sink, inputs, loss_of, mlp

import onlooker as ol
from onlooker.callbacks.doctor.rule import Rule
from onlooker.core.errors import OnlookerError
from onlooker.inside import torch_device


@pytest.fixture
def device(monkeypatch):
    far_away.move_there(monkeypatch)
    return far_away


def train(callbacks, *, epochs=2, within=lambda: None, settings=None):
    """Train a small network with six batches in an epoch; call something between a step and the batch's end."""
    torch.manual_seed(3)
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=callbacks, **(settings or {})) as loop:
        for _ in loop.epochs(epochs):
            for x in loop.train(inputs("mlp")):
                optimizer.zero_grad()
                loss = loss_of("mlp", model, x)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
                loop.log(loss=loss)
                within()
    return loop.run


class Told(ol.Callback):
    """Notes after each batch and epoch what there is by then."""

    def __init__(self, note):
        self.note, self.found = note, []

    def on_train_batch_end(self, batch, logs):
        self.found.append(self.note())

    def on_epoch_end(self, epoch, logs):
        self.found.append(("epoch", self.note()))

    def on_train_end(self, logs):
        self.found.append(("end", self.note()))


def as_told(records):
    """Return records such that they can be compared."""
    return [(type(one).__name__, one.epoch, one.step, vars(one)) for one in records]


def test_within_a_batch_nothing_is_waited_for_and_an_epoch_ends_with_all(device):
    inside, sink = ol.callbacks.Inside(WHAT), Sink()
    told = Told(lambda: (len(device.waited), [record.step for record in sink.of("Scalars")][-1:]))
    train([inside, sink, told])
    expected = [(at, [at] if at else []) for at in range(6)]
    assert told.found[:7] == [*expected, ("epoch", (6, [6]))]
    assert told.found[-2:] == [("epoch", (12, [12])), ("end", (12, [12]))]


def test_records_are_those_of_a_training_that_waits(device, monkeypatch):
    """The same ones in the same order, of the same steps and epochs, also for a callback in front."""
    sinks = []
    for can_send in (True, False):
        if not can_send:
            monkeypatch.delattr(device, "send")
        sinks.append((Sink(), Sink()))
        train([sinks[-1][0], ol.callbacks.Inside(WHAT, every=ol.every(steps=5) | ol.at(steps=[1])), sinks[-1][1]])
    assert [record.step for record in sinks[0][0].of("Scalars")] == [1, 5, 10]
    assert [record.epoch for record in sinks[0][0].of("Scalars")] == [0, 0, 1]
    for late, early in zip(sinks[0], sinks[1], strict=True):
        assert len(late.records) == 3 * 6
        assert as_told(late.records) == as_told(early.records)


@pytest.mark.parametrize(
    "read",
    [
        lambda inside: inside.latest_step,
        lambda inside: inside.latest["weights"]["0.weight"],
        lambda inside: inside.history("0.weight", "updates").steps.tolist(),
        lambda inside: inside.names("gradients"),
        lambda inside: inside.ratios(),
        lambda inside: inside.table()._step,
        lambda inside: len(inside.plot().axes),
        lambda inside: inside.state_dict()["tensors"][0]["numbers"].tolist(),
        lambda inside: pickle.loads(pickle.dumps(inside)).latest_step,
        lambda inside: inside.counts().succeeded,
    ],
)
def test_whoever_reads_waits_and_sees_the_last_look(device, monkeypatch, read):
    def after_each_batch():
        inside = ol.callbacks.Inside(("weights", "gradients", "updates"))
        told = Told(lambda: read(inside))
        train([inside, told], epochs=1)
        return told.found

    late = after_each_batch()
    assert len(device.waited) == 6
    monkeypatch.delattr(device, "send")
    assert late == after_each_batch()


def test_to_show_it_waits_for_nothing(device):
    inside = ol.callbacks.Inside()
    told = Told(lambda: (repr(inside).rpartition("look at ")[2], len(device.waited)))
    train([inside, told], epochs=1)
    assert told.found[:3] == [("step None)", 0), ("step 1)", 1), ("step 2)", 2)]


def test_whoever_gets_a_record_and_reads_sees_the_look_that_it_is_of(device):
    inside, seen = ol.callbacks.Inside(), []

    class Reads(ol.Callback):
        def keep(self, record):
            seen.append((record.step, inside.latest_step, len(device.waited)))

    train([inside, Reads()], epochs=1)
    assert seen == [(step, step, step) for step in range(1, 7) for _ in range(5)]


def test_a_resumed_training_has_the_look_that_was_under_way(device, tmp_path):
    path = str(tmp_path / "run.pt")

    class Save(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 0:
                self.run.save(path)

    train([Save(), ol.callbacks.Inside()])  # in front of it: the last look of the epoch is under way
    inside = ol.callbacks.Inside()
    train([inside], settings={"resume": path})
    assert inside.history("0.weight", "gradients").steps.tolist() == list(range(1, 13))


def test_a_training_that_breaks_hands_out_what_it_has(device):
    inside, sink, ran = ol.callbacks.Inside(), Sink(), []

    def fail():
        ran.append(1)
        if len(ran) == 4:
            raise RuntimeError("in the middle")

    told = Told(lambda: [record.step for record in sink.of("Scalars")])
    with pytest.raises(RuntimeError, match="in the middle"):
        train([inside, sink, told], within=fail)
    assert told.found[-2][0] == "epoch"
    assert told.found[-1][0] == "end"
    assert told.found[-1][1][:3] == [1, 2, 3]
    assert told.found[-1][1] == inside.history("0.weight", "gradients").steps.tolist()


@pytest.mark.parametrize("on_error", ["warn", "raise", "disable"])
def test_an_error_that_comes_while_waiting_is_dealt_with_in_a_hook(device, on_error):
    inside, sink, ran = ol.callbacks.Inside(), Sink(), []
    inside.on_error = on_error

    def break_the_third():
        ran.append(1)
        if len(ran) == 4:
            device.broken.append(OnlookerError("the device is gone"))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if on_error == "raise":
            with pytest.raises(OnlookerError, match="the device is gone"):
                train([inside, sink], within=break_the_third)
        else:
            train([inside, sink], within=break_the_third)
    words = [str(one.message) for one in caught if "the device is gone" in str(one.message)]
    steps = [record.step for record in sink.of("Scalars")]
    assert len(words) == (on_error != "raise")
    assert steps == ([1, 2, *range(4, 13)] if on_error == "warn" else [1, 2, 4])
    assert sink.records[-1].epoch == (1 if on_error == "warn" else 0)  # although handed out when the training ends
    assert inside.counts().failed == 1
    assert inside.counts().succeeded == len(steps)


def test_an_error_that_comes_while_reading_is_none_of_the_readers(device):
    inside, sink = ol.callbacks.Inside(), Sink()

    class Reads(ol.Callback):
        found = ()

        def on_train_batch_end(self, batch, logs):
            if batch == 2:
                device.broken.append(OnlookerError("the device is gone"))
                self.found = (inside.latest_step, inside.latest_step)

    reads = Reads()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train([inside, sink, reads], epochs=1)
    assert reads.found == (2, 2)
    words = [str(one.message) for one in caught if "the device is gone" in str(one.message)]
    assert len(words) == 1
    assert "batch 3" in words[0]
    assert [record.step for record in sink.of("Scalars")] == [1, 2, 4, 5, 6]


@pytest.mark.parametrize("place", ["in front", "behind"])
def test_ctrl_c_while_waiting_loses_no_look(device, place):
    inside, sink = ol.callbacks.Inside(), Sink()

    class Interrupts(ol.Callback):
        def on_train_batch_begin(self, batch, logs):
            if batch == 3:
                device.broken.append(KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        train([Interrupts(), inside, sink] if place == "in front" else [inside, sink, Interrupts()])
    assert [record.step for record in sink.of("Scalars")] == [1, 2, 3, 4]


@pytest.mark.parametrize("order", ["Inside first", "Doctor first", "alone"])
def test_a_doctor_says_the_same_of_the_same_steps(device, monkeypatch, order):
    """It waits where it is to judge, and nowhere else."""

    class Note(Rule):
        name, reads = "note", ("weights", "gradients")

        def examine(self, examination):
            steps = examination.run.step, examination.step
            noted.append((*steps, examination.weights["0.weight"].total, examination.gradients["3.bias"].total))
            waits.append(len(device.waited))

    found = []
    for can_send in (True, False):
        if not can_send:
            monkeypatch.delattr(device, "send")
        noted, waits = [], []
        doctor, inside = ol.callbacks.Doctor([Note()], every=ol.every(steps=5), quiet=True), ol.callbacks.Inside()
        callbacks = {"Inside first": [inside, doctor], "Doctor first": [doctor, inside], "alone": [doctor]}[order]
        train(callbacks)
        found.append(noted)
        if can_send:
            assert [one[1] for one in noted] == [5, 10]
            assert waits == ([1, 2] if order == "alone" else [5, 10])
    assert found[0] == found[1]


class OnDevice(torch.Tensor):
    """A tensor that says it is on a device."""

    is_cpu = False


def test_pytorchs_tensors_on_a_device_are_waited_for_later(monkeypatch):
    waited, finish_sent = [], torch_device.finish_sent
    monkeypatch.setattr(torch_device, "finish_sent", lambda sent: waited.append(1) or finish_sent(sent))
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    for name in ("weight", "bias"):
        own = torch.nn.Parameter(getattr(model, name).detach().as_subclass(OnDevice))
        assert not own.is_cpu
        setattr(model, name, own)
    optimizer, inside, found = (
        torch.optim.SGD(model.parameters(), lr=0.1),
        ol.callbacks.Inside(("weights", "updates")),
        [],
    )
    with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        for x in loop.train(list(torch.randn(4, 8, 4))):
            assert len(waited) == max(len(found) - 1, 0)
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            found.append([float(one.detach().double().sum()) for one in model.parameters()])
    assert len(waited) == 4
    for name, at in (("weight", 0), ("bias", 1)):
        assert inside.history(name, "weights").mean.tolist() == pytest.approx(
            [one[at] / getattr(model, name).numel() for one in found]
        )
