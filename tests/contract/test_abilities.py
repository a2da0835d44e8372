"""Each host has the abilities that it declares: native or emulated works, absent is refused, with the reason.

One small check for each ability, driven by the row's declaration.
"""

import warnings

import numpy as np
import pytest
from tests.contract.acting import on, once, raising, recorder
from tests.contract.data import BATCHES, X, Y
from tests.contract.hosts import HOSTS
from tests.contract.shapes import fit_calls
from tests.contract.torch_hosts import same

import onlooker as ol
from onlooker.core.declaration import ABILITIES, ABSENT, absent
from onlooker.core.errors import AbsentError, AttachError
from onlooker.host_table import find_declarations

CHECKS = {}


def checks(ability):
    """Enter a function as the check of an ability."""

    def enter(function):
        CHECKS[ability] = function
        return function

    return enter


def look(host, hook, read, needs=None, epochs=1, stage="fit"):
    """Run a stage; return what a function of the run gave each time that a hook came."""
    found = []
    callback = on(host, needs=needs, **{hook: lambda callback, *given: found.append(read(callback.run))})
    getattr(host, stage)(host.make(), [callback], **({"epochs": epochs} if stage == "fit" else {}))
    return found


@checks("params")
def _params(host, tmp_path):
    found = look(host, "on_train_batch_end", lambda run: (run.params["epochs"], run.params["steps"]), epochs=2)
    assert found == [(2, BATCHES)] * 2 * BATCHES


@checks("logs")
def _logs(host, tmp_path):
    seen = recorder(host)
    host.fit(host.make(), [seen], epochs=1)
    values = [event.batch["loss"] for event in seen.of("on_train_batch_end")]
    means = np.cumsum(np.multiply(values, [8, 8, 4])) / np.cumsum([8, 8, 4])
    assert [logs["loss"] for logs in seen.logs("on_train_batch_end")] == pytest.approx(means, rel=1e-4)


@checks("batch_logs")
def _batch_logs(host, tmp_path):
    found = []
    callback = on(host, on_train_batch_end=lambda callback, batch, logs: found.append(dict(logs.batch)))
    host.fit(host.make(), [callback], epochs=1)
    assert [set(one) for one in found] == [{"loss", "accuracy"}] * BATCHES
    assert all(type(value) is float for one in found for value in one.values())
    assert len({one["loss"] for one in found}) == BATCHES


@checks("lazy_logs")
def _lazy_logs(host, tmp_path):
    names, kept = [], []

    def note(callback, index, logs):
        names.append(set(dict.keys(logs)))  # to look at the names fetches nothing
        kept.append(logs)

    eager = recorder(host)
    host.fit(host.make(), [on(host, on_train_batch_end=note), eager], epochs=1)
    assert names == [{"loss", "accuracy"}] * BATCHES
    assert [dict(logs) for logs in kept] == eager.logs("on_train_batch_end")


@checks("inputs")
def _inputs(host, tmp_path):
    found = look(host, "on_train_batch_end", lambda run: (np.array(run.inputs), np.array(run.targets)))
    assert np.array_equal(np.concatenate([inputs for inputs, _ in found]), X)
    assert np.array_equal(np.concatenate([targets for _, targets in found]).ravel(), Y)


@checks("outputs")
def _outputs(host, tmp_path):
    shapes = [tuple(one) for one in look(host, "on_predict_batch_end", lambda run: run.outputs.shape, stage="predict")]
    assert shapes == [(8, 2), (4, 2)]
    if not host.has_outputs_in_training:
        with pytest.raises(AttachError, match="needs 'outputs' in train: "):
            look(host, "on_train_batch_end", lambda run: None, needs=("outputs",))
        return
    for stage, hook, batches in (("fit", "on_train_batch_end", (8, 8, 4)), ("evaluate", "on_test_batch_end", (8, 4))):
        found = look(host, hook, lambda run: tuple(run.outputs.shape), needs=("outputs",), stage=stage)
        assert found == [(size, 2) for size in batches]


@checks("step")
def _step(host, tmp_path):
    assert look(host, "on_train_batch_end", lambda run: run.step, epochs=2) == [1, 2, 3, 4, 5, 6]
    assert look(host, "on_train_batch_begin", lambda run: run.step, epochs=2) == [0, 1, 2, 3, 4, 5]
    assert look(host, "on_epoch_end", lambda run: run.step, epochs=2) == [3, 6]


@checks("stop")
def _stop(host, tmp_path):
    for stop in (
        lambda callback: callback.run.stop("enough"),
        lambda callback: setattr(callback.model, "stop_training", True),
    ):
        seen = recorder(host)
        host.fit(host.make(), [seen, on(host, **once("on_train_batch_end", stop))], epochs=3)
        assert len(seen.of("on_train_batch_end")) == 1
        assert seen.run.outcome == "stopped"


@checks("closing")
def _closing(host, tmp_path):
    for error in (ValueError("no"), KeyboardInterrupt()):
        seen = recorder(host)
        with pytest.raises(type(error)):
            host.fit(host.make(), [seen, on(host, **once("on_test_batch_begin", raising(error)))])
        assert seen.check().hooks[-5:] == [
            "on_test_batch_begin",
            "on_test_batch_end",
            "on_test_end",
            "on_epoch_end",
            "on_train_end",
        ]


@checks("silent_stages")
def _silent_stages(host, tmp_path):
    subject, seen, found = host.make(), recorder(host), []

    def evaluate(callback, *given):
        before = (callback.run.stage, callback.run.epoch, callback.run.batch, callback.run.outcome)
        found.append(dict(host.evaluate_within(subject)))
        assert (callback.run.stage, callback.run.epoch, callback.run.batch, callback.run.outcome) == before

    hooks = ("on_train_begin", "on_train_batch_end", "on_test_batch_end", "on_epoch_end")
    host.fit(subject, [seen, on(host, **dict.fromkeys(hooks, evaluate))])
    assert seen.check().calls == fit_calls()
    assert len(found) == 13
    assert all(set(logs) == {"loss", "accuracy"} for logs in found)
    # The weights do not move between the last batch of an epoch and its end.
    assert found[-1] == pytest.approx({"loss": seen.last("on_test_end").logs["loss"], **_accuracy(seen)}, rel=1e-5)


def _accuracy(seen):
    return {"accuracy": seen.last("on_test_end").logs["accuracy"]}


@checks("learning_rate")
def _learning_rate(host, tmp_path):
    assert look(host, "on_train_batch_end", lambda run: run.learning_rate) == pytest.approx([0.05] * BATCHES)


@checks("set_learning_rate")
def _set_learning_rate(host, tmp_path):
    subject = host.make()
    start, read = [], []

    def set_rate(callback, *given):
        callback.run.learning_rate = 0.0
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


@checks("gradients")
def _gradients(host, tmp_path):
    def take(run):
        weights = run.weights()
        return {name: tuple(one.shape) == tuple(weights[name].shape) for name, one in run.gradients().items()}

    found = look(host, "on_train_batch_end", take)
    assert all(len(one) == 6 and all(one.values()) for one in found)


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
    for callbacks in ([], [on(host, on_train_batch_begin=act, on_train_batch_end=act)]):
        subject = host.make()
        host.fit(subject, callbacks)
        ends.append([*host.state_of(subject), host.draw()])
    assert same(*ends)


@checks("triggers")
def _triggers(host, tmp_path):
    found = []
    gated = on(host, when=ol.every(epochs=2), on_epoch_end=lambda callback, epoch, logs: found.append(epoch))
    host.fit(host.make(), [gated], epochs=4)
    assert found == [1, 3]


@checks("faults")
def _faults(host, tmp_path):
    for policy in ("warn", "disable"):
        seen = recorder(host)
        weak = on(host, on_error=policy, **once("on_epoch_begin", raising(ValueError("no"))))
        with pytest.warns(ol.OnlookerWarning):
            host.fit(host.make(), [weak, seen])
        assert seen.check().calls == fit_calls()
    with pytest.raises(ValueError, match="no"):
        host.fit(host.make(), [on(host, **once("on_epoch_begin", raising(ValueError("no"))))])


ASKS = {
    "weights": lambda run: run.weights(),
    "gradients": lambda run: run.gradients(),
    "learning_rate": lambda run: run.learning_rate,
    "set_learning_rate": lambda run: setattr(run, "learning_rate", 0.1),
    "save": lambda run: run.save("run"),
    "observing": lambda run: run.observing().__enter__(),
}
"""The abilities that are asked of a run by a call of their own."""


@pytest.mark.parametrize("ability", ABILITIES)
def test_each_ability_is_as_declared(host, ability, tmp_path):
    support = host.declaration.abilities[ability]
    if support.level != ABSENT:
        CHECKS[ability](host, tmp_path)
        return
    with pytest.raises(AttachError) as caught:
        look(host, "on_epoch_end", lambda run: None, needs=(ability,))
    assert f"needs {ability!r}, which is absent in {host.declaration.name}: {support.reason}" in str(caught.value)
    if ability in ASKS:

        def ask(run):
            with pytest.raises(AbsentError) as caught:
                ASKS[ability](run)
            return str(caught.value)

        assert look(host, "on_train_batch_end", ask)[0]


@pytest.mark.parametrize("ability", ABILITIES)
def test_what_is_there_may_be_needed(host, ability):
    if host.declaration.abilities[ability].level == ABSENT or (
        ability == "outputs" and not host.has_outputs_in_training
    ):
        return  # held to in the test above
    assert look(host, "on_epoch_end", lambda run: run.epoch, needs=(ability,)) == [0]


@pytest.mark.parametrize("stage", ["fit", "evaluate", "predict"])
def test_what_is_absent_may_not_be_needed(host, stage, monkeypatch):
    """Also in a host that has everything: there one is declared absent for this test."""
    host.declare(monkeypatch, "lazy_logs", absent("it is a test"))
    seen = recorder(host)
    with pytest.raises(AttachError, match=r"Acting needs 'lazy_logs', which is absent in .*: it is a test"):
        getattr(host, stage)(host.make(), [seen, on(host, needs=("lazy_logs",))])
    assert seen.events == []


def test_a_need_that_is_no_ability(host):
    with pytest.raises(AttachError, match="did you mean 'weights'"):
        look(host, "on_epoch_end", lambda run: None, needs=("weight",))


def test_the_run_knows_its_host(host):
    assert look(host, "on_epoch_end", lambda run: run.host.as_dict()) == [host.declaration.as_dict()]


def test_each_ability_has_a_check():
    assert set(CHECKS) == set(ABILITIES)


def test_each_host_has_a_row():
    rows = {row.declaration.name.partition(" (")[0] for row in HOSTS}
    assert {declaration.name.partition(" (")[0] for declaration in find_declarations()} == rows


@pytest.mark.parametrize("row", HOSTS, ids=lambda row: row.name)
def test_warnings_of_ours_are_no_part_of_a_training(row):
    host = row()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ol.OnlookerWarning)
        host.fit(host.make(), [recorder(host)])
