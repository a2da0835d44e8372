"""The checks of what is asked of the model: its weights, gradients and learning rate, saving, and observing."""

import numpy as np
import pytest
from tests.contract.ability_checks import checks, look
from tests.contract.acting import on, recorder
from tests.contract.row import same
from tests.contract.shapes import fit_calls, some_hook, times

from onlooker.core.origin import Kept

EPOCH_HOOKS = ("on_epoch_begin", "on_epoch_end")


@checks("learning_rate")
def _learning_rate(host, tmp_path):
    hook = some_hook(host)
    assert look(host, hook, lambda run: run.learning_rate) == pytest.approx([host.learning_rate] * times(host, hook))


@checks("set_learning_rate")
def _set_learning_rate(host, tmp_path):
    subject = host.make()
    start, read = [], []

    def set_rate(callback, *given):
        callback.run.learning_rate = host.resting_rate
        start.append(host.trained_of(subject))

    def scale(callback, epoch, logs):
        callback.run.learning_rate = 0.25
        callback.run.scale_learning_rate(2.0)
        read.append(callback.run.learning_rate)

    host.fit(subject, [on(host, on_train_begin=set_rate, on_epoch_end=scale)], epochs=1, validation=False)
    assert read == pytest.approx([0.5])
    assert same(host.trained_of(subject), start[0]), "trained at a rate of 0"


@checks("weights")
def _weights(host, tmp_path):
    subject = host.make()
    before = host.trained_of(subject)
    found = []

    def take(callback, epoch, logs):
        weights = callback.run.weights()
        found.append({name: np.array(host.as_array(one)).copy() for name, one in weights.items()})
        name = next(iter(weights))
        assert list(callback.run.weights(name)) == [name]
        assert callback.run.weights("no such weight") == {}

    host.fit(subject, [on(host, on_epoch_end=take)], epochs=1)
    arrays = list(found[0].values())
    for trained in host.trained_of(subject):
        assert any(np.array_equal(trained, array) for array in arrays)
    assert not same(host.trained_of(subject), before)
    _check_numpy_and_copies(host, "weights")


def _check_numpy_and_copies(host, asked):
    """Ask for weights or gradients in all ways, and see afterwards what has stayed as it was."""
    kept = []

    def take(callback, *given):
        ask = getattr(callback.run, asked)
        own = {name: np.array(host.as_array(one)) for name, one in ask().items()}
        arrays, copies = ask(numpy=True), ask(copy=True)
        assert list(arrays) == list(copies) == list(own)
        assert all(type(one) is np.ndarray for one in arrays.values())
        assert same(list(arrays.values()), list(own.values()))
        assert {type(one) for one in copies.values()} == {type(one) for one in ask().values()}
        some = next(iter(own))
        assert list(ask(some, numpy=True)) == list(ask(some, copy=True)) == [some]
        assert ask("no such weight", numpy=True, copy=True) == {}
        kept.append((own, copies, ask(numpy=True, copy=True)))

    host.fit(host.make(), [on(host, **{some_hook(host): take})], epochs=2)
    for own, copies, arrays in kept:
        assert same(list(own.values()), [host.as_array(one) for one in copies.values()])
        assert same(list(own.values()), list(arrays.values()))
    firsts, lasts = (list(own.values()) for own, _, _ in (kept[0], kept[-1]))
    assert not same(firsts, lasts), "they have moved meanwhile"


@checks("gradients")
def _gradients(host, tmp_path):
    def take(run):
        weights = run.weights()
        return {name: tuple(one.shape) == tuple(weights[name].shape) for name, one in run.gradients().items()}

    found = look(host, some_hook(host), take)
    trained = len(host.trained_of(host.make()))
    assert all(len(one) == trained and all(one.values()) for one in found)
    _check_numpy_and_copies(host, "gradients")


@checks("activations")
def _activations(host, tmp_path):
    seen, undo = [], []

    def begin(callback, batch, logs):
        watch = callback.run.view.watch_activations
        undo.append(watch(None, lambda name, what, tensor: seen.append((what, name, tuple(tensor.shape)))))

    def end(callback, batch, logs):
        undo.pop()()
        count = len(seen)
        with callback.run.observing():
            host.use(callback.model)
        assert len(seen) == count, "nobody watches any more"

    host.fit(host.make(), [on(host, on_train_batch_begin=begin, on_train_batch_end=end)], epochs=1)
    assert {what for what, _, _ in seen} == {"activations", "activation_gradients"}
    assert len(seen) >= 2 * host.steps
    assert all(name for _, name, _ in seen)


@checks("replay")
def _replay(host, tmp_path):
    """Two batches run once more from a snapshot: the weights come out the same, and no callback hears of it."""

    class Again:
        def __init__(self, run, kept):
            self.run, self.waiting, self.ends = run, list(kept), []

        def next_batch(self):
            if len(self.waiting) == 2:
                snapshot.restore()
            if self.waiting:
                self.waiting[0].moment.restore()
            return self.waiting.pop(0) if self.waiting else None

        def end_batch(self, logs, has_stepped):
            self.ends.append((dict(logs.batch), has_stepped))

        def close(self):
            states.append([np.array(host.as_array(one)).copy() for one in self.run.weights().values()])

    def begin(callback, batch, logs):
        nonlocal snapshot
        view = callback.run.view
        if snapshot is None:
            snapshot = view.snapshot()
            snapshot.take()
        data, size_bytes = view.keep_batch(callback.run.data)
        assert size_bytes > 0
        kept.append(Kept(callback.run.epoch, batch, callback.run.step, data, view.moment()))

    def end(callback, batch, logs):
        values.append((dict(logs.batch), callback.run.step > callback.run.step_at_batch_begin))
        if batch == 1:
            states.append([np.array(host.as_array(one)).copy() for one in callback.run.weights().values()])
            callback.run.replay = asked.append(Again(callback.run, kept)) or asked[-1]

    snapshot, kept, values, states, asked, seen = None, [], [], [], [], recorder(host)
    host.fit(host.make(), [seen, on(host, on_train_batch_begin=begin, on_train_batch_end=end)], epochs=1)
    assert seen.check().calls == fit_calls(host, epochs=1)
    assert asked[0].ends == values[:2]
    assert same(*states)


@checks("save")
def _save(host, tmp_path):
    path, subject, saved = tmp_path / host.file_name, host.make(), []

    def act(callback, epoch, logs):
        if epoch == 0:
            callback.run.save(path)
            saved.append(host.state_of_running(callback, subject))
        else:
            assert not same(host.state_of_running(callback, subject), saved[0])
            callback.run.load(path)

    host.fit(subject, [on(host, on_epoch_end=act)], epochs=2)
    assert same(host.state_of(subject), saved[0])


@checks("state")
def _state(host, tmp_path):
    class Stateful(host.base):
        def state_dict(self):
            return {"number": 7}

        def load_state_dict(self, state):
            self.loaded = state

    path = tmp_path / host.file_name
    save = on(host, on_epoch_end=lambda callback, epoch, logs: callback.run.save(path))
    host.fit(host.make(), [Stateful(), save], epochs=1)
    resumed = Stateful()
    host.fit(host.make(), [resumed], epochs=2, resume=path)
    assert resumed.loaded == {"number": 7}
    assert resumed.run.is_resumed


@checks("observing")
def _observing(host, tmp_path):
    def act(callback, *given):
        with callback.run.observing(seed=0):
            host.draw()
            host.use(callback.model)

    ends = []
    hooks = ("on_train_batch_begin", "on_train_batch_end") if host.gives("on_train_batch_end") else EPOCH_HOOKS
    for callbacks in ([], [on(host, **dict.fromkeys(hooks, act))]):
        subject = host.make()
        host.fit(subject, callbacks)
        ends.append([*host.state_of(subject), host.draw()])
    assert same(*ends)
