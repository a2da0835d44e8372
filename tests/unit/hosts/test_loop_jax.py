"""`Loop` in JAX: how the state of a functional loop reaches callbacks, and what is refused."""

import warnings
import weakref

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch
from jaxlib._jax import ArrayImpl
from tests.unit.views.jax_states import BATCHES, donating_step, loss_of, make_state, step

import onlooker as ol
from onlooker.core.errors import AbsentError, AttachError, LoopError


class At(ol.Callback):
    """Does something in a hook."""

    def __init__(self, hook, act):
        setattr(self, hook, lambda *given: act(self.run))


def train(loop, step=step, epochs=2):
    for _ in loop.epochs(epochs):
        for x, y in loop.train(BATCHES):
            loop.state, loss, loop.gradients = step(loop.state, x, y)
            loop.log(loss=loss)
        for x, y in loop.test(BATCHES[:1]):
            loop.log(loss=loss_of(loop.state["params"], x, y))


def train_carelessly(callbacks, step=step, epochs=1, assigns=True, reads=False, resume=None):
    """Train with a state that the body keeps for itself: it never begins from `loop.state`."""
    state = make_state()
    with ol.Loop(state, callbacks=callbacks, resume=resume) as loop:
        for _ in loop.epochs(epochs):
            for x, y in loop.train(BATCHES):
                state, loss, _ = step(loop.state if reads else state, x, y)
                loop.log(loss=loss)
                if assigns:
                    loop.state = state
            for _ in loop.test(BATCHES):
                _ = loop.state if assigns else None  # to look at it in a test is not to go on from there
    return loop


@pytest.mark.parametrize("step", [step, donating_step], ids=["kept", "donated"])
def test_callbacks_see_the_state_that_was_assigned_last(step):
    seen, handed_over = [], []

    class See(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            seen.append((self.model is self.run.model, self.model))

    with ol.Loop(make_state(), callbacks=[See()]) as loop:
        for x, y in loop.train(BATCHES):
            state, loss, _ = step(loop.state, x, y)
            handed_over.append(state)
            loop.state = state
            loop.log(loss=loss)
    assert [one for one, _ in seen] == [True] * 3
    assert [id(state) for _, state in seen] == [id(state) for state in handed_over]
    assert loop.state is handed_over[-1]


def test_one_added_during_the_training_sees_it_too():
    seen = []

    class See(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append(self.model is self.run.model)

    with ol.Loop(make_state()) as loop:
        for epoch in loop.epochs(3):
            for x, y in loop.train(BATCHES):
                loop.state, _, _ = step(loop.state, x, y)
            if epoch == 0:
                loop.add(See())
    assert seen == [True, True]


# Donated states.


@pytest.mark.parametrize(
    "read",
    [
        lambda callback: callback.model,
        lambda callback: callback.run.weights(),
        lambda callback: callback.run.learning_rate,
        lambda callback: setattr(callback.run, "learning_rate", 0.1),
        lambda callback: callback.run.scale_learning_rate(0.1),
        lambda callback: callback.run.save("state.npz"),
    ],
)
def test_a_donated_state_cannot_be_read(read):
    class Reads(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            read(self)

    with pytest.raises(LoopError, match=r"donated to a step.*loop\.state, loss = step\(loop\.state, \.\.\.\)"):
        train_carelessly([Reads()], donating_step, assigns=False)


def test_the_body_cannot_begin_from_a_donated_state():
    with pytest.raises(LoopError, match="donated to a step"):
        train_carelessly([], donating_step, assigns=False, reads=True)


def test_a_donated_state_may_go_unread():
    """Who only watches the logs needs no state."""
    with pytest.warns(ol.OnlookerWarning, match="no new state"):
        train_carelessly([ol.callbacks.History()], donating_step, assigns=False)


def test_a_file_loads_into_a_donated_state(tmp_path):
    """Its structure is still there, and the structure is all that is needed."""
    with ol.Loop(make_state()) as loop:
        loop.run.save(tmp_path / "state.npz")
        donating_step(loop.state, *BATCHES[0])
        loop.run.load(tmp_path / "state.npz")
        assert np.array_equal(loop.state["params"]["layer1"]["kernel"], jnp.zeros((4, 1)))


def test_states_before_the_present_one_are_let_go():
    alive = []
    with ol.Loop(make_state(), callbacks=[At("on_train_batch_end", lambda run: run.weights())]) as loop:
        for x, y in loop.train(BATCHES):
            loop.state, loss, _ = step(loop.state, x, y)
            loop.log(loss=loss)
            alive.append(weakref.ref(loop.state["params"]["layer1"]["kernel"]))
            assert [one() is not None for one in alive] == [False] * (len(alive) - 1) + [True]


def test_donated_gradients_cannot_be_read():
    update = jax.jit(lambda gradients: jax.tree.map(lambda one: 2 * one, gradients), donate_argnums=0)
    with ol.Loop(make_state()) as loop:
        for x, y in loop.train(BATCHES):
            loop.state, _, gradients = step(loop.state, x, y)
            loop.gradients = gradients
            update(gradients)
            with pytest.raises(LoopError, match="gradients were donated"):
                loop.run.gradients()


def test_a_logged_array_that_is_donated_afterwards():
    """What was logged is a copy where such arrays are donated, so the step may take the array along."""
    kept = []

    class Keep(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            kept.append(logs)

    add = jax.jit(lambda state: {"total": state["total"] + 1.0}, donate_argnums=0)
    with ol.Loop({"total": jnp.zeros(())}, callbacks=[Keep()]) as loop:
        for _ in loop.train(range(50)):
            loop.log(total=loop.state["total"])
            loop.state = add(loop.state)
    assert [logs.batch["total"] for logs in kept] == [float(number) for number in range(50)]
    assert [logs["total"] for logs in kept] == [number / 2 for number in range(50)]


def train_and_donate(loop):
    spend = jax.jit(lambda array: array + 1.0, donate_argnums=0)
    for number in loop.train(range(80)):
        loss = jnp.float32(number)
        loop.log(loss=loss)
        loop.state = loop.state
        if number == 20:
            spend(loss)


def test_a_logged_array_that_is_donated_when_nobody_expects_it_any_more():
    with (
        ol.Loop(make_state(), callbacks=[ol.callbacks.History()]) as loop,
        pytest.raises(ol.OnlookerError, match=r"'loss' was logged as an array that was donated to a step before"),
    ):
        train_and_donate(loop)


def test_a_logged_array_that_was_donated_is_missed_by_nobody_who_does_not_read_it():
    with ol.Loop(make_state()) as loop:
        train_and_donate(loop)
    assert loop.run.outcome == "completed"


@pytest.mark.parametrize("reads", [True, False])
def test_means_are_the_same_whether_or_not_somebody_reads_in_between(reads):
    """In float32, in the order of the batches."""
    history, total = ol.callbacks.History(), np.float32(0)
    reader = ol.Callback()
    if reads:
        reader.on_train_batch_end = ol.every(batches=3)(lambda batch, logs: logs["loss"])
    with ol.Loop(make_state(), callbacks=[reader, history]) as loop:
        for number in loop.train(range(100)):
            loop.log(loss=jnp.float32(1 / (number + 3)), weight=1 + number % 7)
            loop.state = loop.state
            total += np.float32(1 / (number + 3)) * np.float32(1 + number % 7)
    weights = sum(1 + number % 7 for number in range(100))
    assert history.history["loss"] == [pytest.approx(float(total) / weights, rel=2e-6)]


# What a callback does to the state.


def test_a_learning_rate_that_a_callback_sets_reaches_the_next_step():
    def rate_of(state):
        return float(state["opt_state"].hyperparams["learning_rate"])

    seen = []
    halve = At("on_epoch_end", lambda run: run.scale_learning_rate(0.5))
    with ol.Loop(make_state(), callbacks=[halve]) as loop:
        for _ in loop.epochs(3):
            for x, y in loop.train(BATCHES):
                seen.append(rate_of(loop.state))
                loop.state, _, _ = donating_step(loop.state, x, y)
    assert seen == pytest.approx([0.05] * 3 + [0.025] * 3 + [0.0125] * 3)
    assert loop.run.learning_rate == pytest.approx(0.00625)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_batch_end"])
def test_a_body_that_does_not_read_the_state_would_lose_it(hook):
    with pytest.raises(LoopError, match=r"set the learning rate has changed loop\.state, .*the change would be lost"):
        train_carelessly([At(hook, lambda run: run.scale_learning_rate(0.5))], epochs=2)


def test_a_body_that_does_not_read_what_was_resumed(tmp_path):
    path = tmp_path / "state.npz"
    with ol.Loop(make_state(), callbacks=[At("on_epoch_end", lambda run: run.save(path))]) as loop:
        train(loop, epochs=1)
    with pytest.raises(LoopError, match=r"run\.load has changed loop\.state"):
        train_carelessly([], epochs=2, resume=path)


def test_what_a_callback_reads_is_no_reading_by_the_body():
    def act(run):
        run.scale_learning_rate(0.5)
        _ = loops[0].state

    loops, state = [], make_state()
    with ol.Loop(state, callbacks=[At("on_epoch_end", act)]) as loop:
        loops.append(loop)
        for epoch in loop.epochs(2):
            for x, y in loop.train(BATCHES[:1]):
                state, _, _ = step(state, x, y)
                if epoch == 0:
                    loop.state = state
                    continue
                with pytest.raises(LoopError, match="would be lost"):
                    loop.state = state
                loop.state = state  # said once: it may be meant


def test_best_weights_that_are_loaded_at_the_end_are_in_the_loops_state(tmp_path):
    path = tmp_path / "best.npz"

    class Best(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 0:
                self.run.save(path)
                self.best = np.array(self.run.weights()["layer1.kernel"])

        def on_train_end(self, logs):
            self.run.load(path)

    best = Best()
    with ol.Loop(make_state(), callbacks=[best]) as loop:
        train(loop, donating_step)
    assert np.array_equal(loop.state["params"]["layer1"]["kernel"], best.best)


# A state that does not move.


def test_a_state_that_is_never_assigned_is_told():
    with pytest.warns(ol.OnlookerWarning, match=r"no new state.*loop\.state, loss = step") as caught:
        loop = train_carelessly([], epochs=3, assigns=False)
    assert len(caught) == 1
    assert loop.run.step == 0


@pytest.mark.filterwarnings("error")
def test_nothing_is_told_where_there_was_no_training():
    with ol.Loop(make_state()) as loop:
        for _ in loop.test(BATCHES):
            pass


def test_steps_are_the_batches_with_a_new_state():
    """Gradients are accumulated by the body over two batches."""
    steps = []
    note = At("on_train_batch_end", lambda run: steps.append(run.step))
    with ol.Loop(make_state(), callbacks=[note]) as loop:
        for number, (x, y) in enumerate(loop.train([*BATCHES, BATCHES[0]])):
            if number % 2:
                loop.state, _, _ = step(loop.state, x, y)
                loop.state = loop.state  # a second time in one batch
    assert steps == [0, 1, 1, 2]


# Gradients.


def test_gradients_by_the_names_of_their_weights():
    found = []

    def act(run):
        found.append((list(run.gradients()), list(run.weights()), list(run.gradients("*.bias"))))

    with ol.Loop(make_state(), callbacks=[At("on_train_batch_end", act)]) as loop:
        assert loop.gradients == {}
        train(loop, epochs=1)
    names = ["layer1.bias", "layer1.kernel"]
    assert found == [(names, names, names[:1])] * 3


def test_gradients_that_nobody_hands_over():
    with pytest.raises(AbsentError, match=r"write loop\.gradients = gradients"):
        train_carelessly([At("on_train_batch_end", lambda run: run.gradients())])


# Other hosts, other callbacks.


def test_the_host_says_that_it_is_jax():
    assert ol.Loop(make_state()).run.host.name == "Loop (JAX)"
    assert ol.Loop(torch.nn.Linear(2, 1)).run.host.name == "Loop"


def test_a_module_of_pytorch_has_no_state_to_assign():
    module = torch.nn.Linear(2, 1)
    with ol.Loop(module) as loop:
        assert loop.state is module
        with pytest.raises(AbsentError, match="a Linear changes in place"):
            loop.state = module
        with pytest.raises(AbsentError, match="those of a Linear are where they belong"):
            loop.gradients = {}


def test_callbacks_of_keras_are_refused():
    with pytest.raises(AttachError, match=r"EarlyStopping is Keras' own, .* not in a loop of JAX"):
        ol.Loop(make_state(), callbacks=[keras.callbacks.EarlyStopping()])


def test_an_attribute_stops_no_state():
    class Stops(ol.Callback):
        def on_train_batch_end(self, batch, logs):
            self.model.stop_training = True

    with pytest.raises(AttributeError), ol.Loop(make_state(), callbacks=[Stops()]) as loop:
        train(loop)


# No waiting.


@pytest.fixture
def fetched(monkeypatch):
    """What was brought from a device."""
    found, value = [], ArrayImpl._value
    monkeypatch.setattr(ArrayImpl, "_value", property(lambda array: (found.append(array.shape), value.fget(array))[1]))
    monkeypatch.setattr(ArrayImpl, "block_until_ready", lambda array: found.append("waited"))
    return found


class Kept(ol.Callback):
    """Keeps logs and reads none."""

    def on_epoch_begin(self, epoch, logs):
        self.kept = []

    def on_train_batch_end(self, batch, logs):
        self.kept.append(logs)

    def on_epoch_end(self, epoch, logs):
        self.kept.append(logs)
        self.run.weights()
        self.run.gradients()


def test_logs_that_nobody_reads_are_not_fetched(fetched):
    with ol.Loop(make_state(), callbacks=[Kept()]) as loop:
        train(loop)
    assert fetched == []


def test_logs_are_fetched_in_one_transfer(fetched):
    kept = Kept()
    with ol.Loop(make_state(), callbacks=[kept]) as loop:
        for _ in loop.epochs(1):
            for x, y in loop.train(BATCHES):
                loop.state, loss, loop.gradients = step(loop.state, x, y)
                loop.log(loss=loss, half=loss / 2)
    logs = kept.kept[0]
    assert logs.batch["loss"] == 2 * logs["half"] > 0
    assert len(fetched) == 1
    assert kept.kept[-1]["loss"] > 0
    assert len(fetched) == 2


def said_of_nan(reads=None, sick=((0, 0),), epochs=1):
    """What is said in a training of which some batches' losses are NaN, when a hook reads the last logs of an epoch."""
    kept = Kept()

    def read(run):
        if run.batch in (None, len(BATCHES) - 1):
            kept.kept[-1]["loss"]

    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        with ol.Loop(make_state(), callbacks=[kept, *([] if reads is None else [At(reads, read)])]) as loop:
            for _ in loop.epochs(epochs):
                for x, y in loop.train(BATCHES):
                    is_sick = (loop.run.epoch, loop.run.batch) in sick
                    loop.state, loss, loop.gradients = step(loop.state, x, y)
                    loop.log(loss=loss * (jnp.nan if is_sick else 1.0))
    return [str(record.message) for record in records]


def test_nan_is_said_where_nobody_reads_before_the_epochs_end(fetched):
    (said,) = said_of_nan("on_epoch_end")
    assert said == "the mean of 'loss' is NaN (epoch 0): at least one of the values in it was"
    assert len(fetched) == 1


def test_nan_is_said_where_a_later_batch_is_read():
    """That batch's own loss is finite."""
    (said,) = said_of_nan("on_train_batch_end")
    assert said.startswith(f"'loss' is NaN (epoch 0, batch {len(BATCHES) - 1})")


def test_nan_is_said_again_only_after_an_epoch_without():
    said = said_of_nan("on_epoch_end", sick=[(0, 1), (1, 1), (4, 1), (5, 1)], epochs=6)
    assert [words.partition("(")[2][:7] for words in said] == ["epoch 0", "epoch 4"]


def test_to_say_that_something_is_nan_nothing_is_fetched(fetched):
    assert said_of_nan() == []
    assert fetched == []


def test_modules_with_a_counter_are_not_waited_for(fetched):
    from flax import nnx
    from tests.contract.jax_host import NnxHost

    host = NnxHost()
    subject = host.make()
    assert isinstance(subject.state, nnx.Module)
    with ol.Loop(subject.state, subject.optimizer, callbacks=[Kept()]) as loop:
        for x, _ in loop.train(BATCHES):
            outputs, loop.gradients = host.step(subject, loop, x, np.zeros(len(x), int), seed=0)
            loop.log(loss=outputs.mean())
    assert fetched == []
    assert loop.run.step == 3


def test_the_body_pays_for_no_look_at_the_arrays(monkeypatch):
    looked = []
    monkeypatch.setattr("onlooker.views.jax.is_deleted", lambda leaf: looked.append(leaf))
    with ol.Loop(make_state()) as loop:
        train(loop)
    assert looked == []
