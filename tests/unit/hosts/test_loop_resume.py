"""A resumed run goes on as if it had never stopped: weights, random states, hooks, logs, counters, states."""

import random

import numpy as np
import pytest
import torch
from tests.recorder import Recorder
from torch import nn

import onlooker as ol
from onlooker.core.errors import OnlookerWarning


class Counts(ol.Callback):
    """Has a state, and resets it where callbacks do, as in Keras."""

    def __init__(self):
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append([epoch, self.run.step, logs["loss"]])

    def state_dict(self):
        return {"seen": list(self.seen)}

    def load_state_dict(self, state):
        assert self.run.is_resumed
        self.seen = state["seen"]


class Saves(ol.Callback):
    """Saves when it is told to; last in the list, so that the others' states hold this moment too."""

    def __init__(self, path, hook, epoch, batch=None):
        self.path, self.hook, self.place = path, hook, (epoch, batch)
        for name in ("on_train_begin", "on_train_end"):
            setattr(self, name, lambda logs, name=name: self.save(name, None))
        for name in ("on_epoch_begin", "on_epoch_end"):
            setattr(self, name, lambda epoch, logs, name=name: self.save(name, None))
        for name in ("on_train_batch_begin", "on_train_batch_end"):
            setattr(self, name, lambda batch, logs, name=name: self.save(name, batch))

    def save(self, hook, batch):
        epoch = self.run.epoch if self.place[0] is not None else None
        if self.path is not None and (hook, (epoch, batch)) == (self.hook, self.place):
            self.run.save(self.path)


def build():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    return model, torch.optim.Adam(model.parameters(), lr=0.05)


def train(callbacks, *, epochs=4, resume=None, disturb=False):
    model, optimizer = build()
    inputs = torch.arange(40.0).reshape(10, 4) / 40
    if disturb:  # a fresh process would have other random states, too
        random.seed(99), np.random.seed(99), torch.manual_seed(99)
        for parameter in model.parameters():
            nn.init.ones_(parameter)
    loader = torch.utils.data.DataLoader(inputs, batch_size=4, shuffle=True)
    with ol.Loop(model, optimizer, callbacks=callbacks, resume=resume) as loop:
        for _ in loop.epochs(epochs):
            for x in loop.train(loader):
                noise = torch.tensor(np.random.rand() + random.random())
                loss = (model(x) - noise).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss)
    return model, loop


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_saved_at_an_epochs_end_it_goes_on_with_the_next(tmp_path, epoch):
    path = tmp_path / "run.pt"
    whole, counts = Recorder(), Counts()
    model, loop = train([whole, counts, Saves(path, "on_epoch_end", epoch)])
    rest, resumed_counts = Recorder(), Counts()
    resumed, resumed_loop = train([rest, resumed_counts, Saves(None, "", 0)], resume=path, disturb=True)
    assert same(model, resumed)
    rest.check(first_epoch=epoch + 1)
    position = next(
        number
        for number, event in enumerate(whole.events)
        if event.hook == "on_epoch_begin" and event.index == epoch + 1
    )
    expected = [whole.events[0], *whole.events[position:]]
    assert rest.calls == [(event.hook, event.index) for event in expected]
    assert [event.logs for event in rest.events] == [event.logs for event in expected]
    assert [event.run["step"] for event in rest.events[1:]] == [event.run["step"] for event in expected[1:]]
    assert resumed_counts.seen == counts.seen
    assert (resumed_loop.run.step, resumed_loop.run.outcome) == (loop.run.step, "completed") == (12, "completed")
    assert resumed_loop.run.is_resumed
    assert not loop.run.is_resumed


@pytest.mark.parametrize(
    ("hook", "place"),
    [
        ("on_epoch_begin", (1, None)),
        ("on_train_batch_begin", (1, 0)),
        ("on_train_batch_begin", (1, 2)),
        ("on_train_batch_end", (1, 1)),
    ],
)
def test_saved_in_the_middle_of_an_epoch_that_epoch_is_begun_again(tmp_path, hook, place):
    path = tmp_path / "run.pt"
    train([Counts(), Saves(path, hook, *place)])
    rest, counts = Recorder(), Counts()
    _, loop = train([rest, counts, Saves(None, "", 0)], resume=path, disturb=True)
    rest.check(first_epoch=1)
    assert rest.calls[1:3] == [("on_epoch_begin", 1), ("on_train_batch_begin", 0)]
    assert rest.of("on_epoch_begin")[0].run["step"] == 3
    assert [one[:2] for one in counts.seen] == [[0, 3], [1, 6], [2, 9], [3, 12]]
    assert loop.run.step == 12


def test_saved_at_an_epochs_begin_the_run_is_the_very_same(tmp_path):
    path = tmp_path / "run.pt"
    model, _ = train([Saves(path, "on_epoch_begin", 2)])
    resumed, _ = train([Saves(None, "", 0)], resume=path, disturb=True)
    assert same(model, resumed)


def test_saved_at_the_beginning(tmp_path):
    path = tmp_path / "run.pt"
    model, _ = train([Saves(path, "on_train_begin", None)])
    resumed, _ = train([rest := Recorder()], resume=path, disturb=True)
    assert same(model, resumed)
    assert len(rest.check().of("on_epoch_end")) == 4


@pytest.mark.parametrize("place", ["in on_train_end", "after the training"])
def test_saved_after_the_end_more_epochs_may_follow(tmp_path, place):
    path = tmp_path / "run.pt"
    if place == "in on_train_end":
        train([Counts(), Saves(path, "on_train_end", 1)], epochs=2)
    else:
        model, optimizer = build()
        with ol.Loop(model, optimizer, callbacks=[Counts(), Saves(None, "", 0)]) as loop:
            for _ in loop.epochs(2):
                for _ in loop.train([1, 2, 3]):
                    optimizer.step()
                    loop.log(loss=1.0)
            list(loop.test([1]))
            loop.run.save(path)
    rest, counts = Recorder(), Counts()
    _, loop = train([rest, counts, Saves(None, "", 0)], resume=path, epochs=4)
    assert [event.index for event in rest.check(first_epoch=2).of("on_epoch_end")] == [2, 3]
    assert [one[:2] for one in counts.seen] == [[0, 3], [1, 6], [2, 9], [3, 12]]


def test_whoever_saves_comes_last(tmp_path):
    """A state is that of the moment: a callback that comes after the one that saves has not had this hook yet."""
    path = tmp_path / "run.pt"
    train([Saves(path, "on_epoch_end", 1), Counts()])
    counts = Counts()
    train([Saves(None, "", 0), counts], resume=path)
    assert [epoch for epoch, *_ in counts.seen] == [0, 2, 3]


def test_a_run_that_was_over_has_nothing_left_to_do(tmp_path):
    path = tmp_path / "run.pt"
    train([Saves(path, "on_epoch_end", 3)])
    _, loop = train([rest := Recorder()], resume=path)
    assert rest.check().hooks == ["on_train_begin", "on_train_end"]
    assert (loop.run.outcome, loop.run.step) == ("completed", 12)


def test_after_a_crash_the_last_checkpoint_is_whole(tmp_path):
    path = tmp_path / "run.pt"
    whole, _ = train([])

    class Crashes(ol.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.run.epoch == 2:
                raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        train([Crashes(), Saves(path, "on_epoch_end", 1)])
    resumed, _ = train([Saves(None, "", 0)], resume=path, disturb=True)
    assert same(whole, resumed)


@pytest.mark.parametrize(
    ("trigger", "hook"), [(ol.every(epochs=3), "on_epoch_end"), (ol.every(steps=5), "on_train_batch_end")], ids=repr
)
def test_triggers_count_on(tmp_path, trigger, hook):
    def watching():
        seen = []
        callback = ol.Callback()
        setattr(callback, hook, trigger(lambda index, logs: seen.append((callback.run.epoch, index))))
        return callback, seen

    path = tmp_path / "run.pt"
    callback, seen = watching()
    train([callback, Saves(path, "on_epoch_end", 1)], epochs=7)
    again, rest = watching()
    train([again, Saves(None, "", 0)], epochs=7, resume=path)
    assert rest == [place for place in seen if place[0] > 1]
    assert rest


def test_only_the_first_training_goes_on_from_there(tmp_path):
    path = tmp_path / "run.pt"
    train([Saves(path, "on_epoch_end", 1)])
    model, optimizer = build()
    with ol.Loop(model, optimizer, callbacks=[recorder := Recorder()], resume=path) as loop:
        for _ in range(2):
            for _ in loop.epochs(3):
                list(loop.train([1]))
    assert [event.index for event in recorder.of("on_epoch_begin")] == [2, 0, 1, 2]


def test_states_that_do_not_fit_are_said(tmp_path):
    path = tmp_path / "run.pt"
    train([Counts(), Saves(path, "on_epoch_end", 1)])
    with pytest.warns(OnlookerWarning, match="no callback for the saved state of Counts"):
        train([], resume=path)


def test_a_file_that_is_not_there(tmp_path):
    recorder = Recorder()
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        train([recorder], resume=tmp_path / "none.pt")
    assert recorder.events == []


def test_run_load_puts_back_the_model_and_leaves_the_position(tmp_path):
    path = tmp_path / "best.pt"
    model, optimizer = build()
    with ol.Loop(model, optimizer) as loop:
        for epoch in loop.epochs(2):
            for _ in loop.train([1, 2]):
                model(torch.ones(2, 4)).sum().backward()
                optimizer.step()
            if epoch == 0:
                loop.run.save(path)
                best = {name: value.clone() for name, value in model.state_dict().items()}
        loop.run.load(path)
        assert (loop.run.epoch, loop.run.step) == (1, 4)
    assert all(torch.equal(value, best[name]) for name, value in model.state_dict().items())
