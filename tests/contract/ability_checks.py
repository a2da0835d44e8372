"""One small check for each ability: that what a host declares native or emulated works.

Where a host has no batch hooks, the check looks at epochs. What is asked of the model is in `model_checks.py`.
"""

import numpy as np
import pytest
from tests.contract.acting import on, once, raising, recorder, ways_to_stop
from tests.contract.data import BATCHES, X, Y
from tests.contract.shapes import first_given, fit_calls, some_hook, times

import onlooker as ol
from onlooker.core.errors import AttachError

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


def there_are_batches(host, hook="on_train_batch_end"):
    """Hold a host to it that without batches there is nothing "of the batch at hand": such abilities are absent."""
    assert host.gives(hook), f"{hook} is absent, so is what belongs to a batch: declare it absent"


@checks("params")
def _params(host, tmp_path):
    hook = some_hook(host)
    found = look(host, hook, lambda run: (run.params["epochs"], run.params["steps"]), epochs=2)
    assert found == [(2, host.steps)] * 2 * times(host, hook)


@checks("logs")
def _logs(host, tmp_path):
    seen = recorder(host)
    host.fit(host.make(), [seen], epochs=1)
    last = seen.last("on_epoch_end").logs
    assert list(last) == host.names_in_epoch()
    assert all(type(value) is float for value in last.values())
    if host.gives("on_train_batch_end") and host.gives("batch_logs"):
        values = [event.batch[host.loss_name] for event in seen.of("on_train_batch_end")]
        means = np.cumsum(np.multiply(values, [8, 8, 4])) / np.cumsum([8, 8, 4])
        assert [logs[host.loss_name] for logs in seen.logs("on_train_batch_end")] == pytest.approx(means, rel=1e-4)
        assert last[host.loss_name] == pytest.approx(means[-1], rel=1e-4)


@checks("batch_logs")
def _batch_logs(host, tmp_path):
    there_are_batches(host)
    found = []
    callback = on(host, on_train_batch_end=lambda callback, batch, logs: found.append(dict(logs.batch)))
    host.fit(host.make(), [callback], epochs=1)
    assert [set(one) for one in found] == [set(host.values)] * BATCHES
    assert all(type(value) is float for one in found for value in one.values())
    assert len({one[host.loss_name] for one in found}) == BATCHES


@checks("lazy_logs")
def _lazy_logs(host, tmp_path):
    hook, names, kept = some_hook(host), [], []

    def note(callback, index, logs):
        names.append(set(dict.keys(logs)))  # to look at the names fetches nothing
        kept.append(logs)

    eager = recorder(host)
    host.fit(host.make(), [on(host, **{hook: note}), eager], epochs=1)
    expected = host.names_in_epoch() if hook == "on_epoch_end" else host.values
    assert names == [set(expected)] * times(host, hook)
    assert [dict(logs) for logs in kept] == eager.logs(hook)


@checks("inputs")
def _inputs(host, tmp_path):
    there_are_batches(host)
    found = look(host, "on_train_batch_end", lambda run: (np.array(run.inputs), np.array(run.targets)))
    assert np.array_equal(np.concatenate([inputs for inputs, _ in found]), X)
    assert np.array_equal(np.concatenate([targets for _, targets in found]).ravel(), Y)


@checks("outputs")
def _outputs(host, tmp_path):
    there_are_batches(host, "on_predict_batch_end" if host.gives("predict") else "on_train_batch_end")
    if host.gives("predict"):
        found = look(host, "on_predict_batch_end", lambda run: tuple(run.outputs.shape), stage="predict")
        assert found == [(8, 2), (4, 2)]
    if not host.has_outputs_in_training:
        with pytest.raises(AttachError, match="needs 'outputs' in train: "):
            look(host, some_hook(host), lambda run: None, needs=("outputs",))
        return
    for stage, hook, batches in (("fit", "on_train_batch_end", (8, 8, 4)), ("evaluate", "on_test_batch_end", (8, 4))):
        if host.gives(hook) and (stage == "fit" or host.gives(stage)):
            found = look(host, hook, lambda run: tuple(run.outputs.shape), needs=("outputs",), stage=stage)
            assert found == [(size, 2) for size in batches]


@checks("step")
def _step(host, tmp_path):
    if host.gives("on_train_batch_end"):
        assert look(host, "on_train_batch_end", lambda run: run.step, epochs=2) == [1, 2, 3, 4, 5, 6]
    if host.gives("on_train_batch_begin"):
        assert look(host, "on_train_batch_begin", lambda run: run.step, epochs=2) == [0, 1, 2, 3, 4, 5]
    assert look(host, "on_epoch_end", lambda run: run.step, epochs=2) == [host.steps, 2 * host.steps]


@checks("stop")
def _stop(host, tmp_path):
    hook = some_hook(host)
    for stop in ways_to_stop(host):
        seen = recorder(host)
        host.fit(host.make(), [seen, on(host, **once(hook, stop))], epochs=3)
        assert len(seen.of(hook)) == 1
        assert seen.run.outcome == "stopped"


@checks("closing")
def _closing(host, tmp_path):
    ends = ["on_test_end", "on_epoch_end", "on_train_end"]
    tails = {
        "on_test_batch_begin": ["on_test_batch_begin", "on_test_batch_end", *ends],
        "on_test_end": ends,
        "on_epoch_end": ends[1:],
    }
    hook = first_given(host, *tails)
    for error in (ValueError("no"), KeyboardInterrupt()):
        seen = recorder(host)
        with pytest.raises(type(error)):
            host.fit(host.make(), [seen, on(host, **once(hook, raising(error)))])
        assert seen.check().hooks[-len(tails[hook]) :] == tails[hook]


@checks("silent_stages")
def _silent_stages(host, tmp_path):
    subject, seen, found = host.make(), recorder(host), []

    def evaluate(callback, *given):
        before = (callback.run.stage, callback.run.epoch, callback.run.batch, callback.run.outcome)
        found.append(dict(host.evaluate_within(subject)))
        assert (callback.run.stage, callback.run.epoch, callback.run.batch, callback.run.outcome) == before

    hooks = ("on_train_begin", "on_train_batch_end", "on_test_batch_end", "on_epoch_end")
    host.fit(subject, [seen, on(host, **dict.fromkeys(hooks, evaluate))])
    assert seen.check().calls == fit_calls(host)
    assert len(found) == sum(hook in hooks for hook in seen.hooks)
    assert all(set(logs) == set(host.names_in("test")) for logs in found)
    # The weights do not move between the last batch of an epoch and its end.
    last = seen.last("on_epoch_end").logs
    assert found[-1] == pytest.approx({name: last[f"val_{name}"] for name in host.names_in("test")}, rel=1e-5)


@checks("native_logs")
def _native_logs(host, tmp_path):
    found = look(host, "on_epoch_end", lambda run: dict(run.native_logs))
    assert found[0], "the trainer has logged something by then"
    assert all(type(name) is str for name in found[0])


@checks("processes")
def _processes(host, tmp_path):
    class First(host.base):
        only_on = "rank 0"

        def on_epoch_end(self, epoch, logs=None):
            found.append((self.run.rank, self.run.world_size))

    found = []  # with two real processes: tests/unit/hosts/test_*_processes.py
    host.fit(host.make(), [First()], epochs=1)
    assert found == [(0, 1)]


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
        assert seen.check().calls == fit_calls(host)
    with pytest.raises(ValueError, match="no"):
        host.fit(host.make(), [on(host, **once("on_epoch_begin", raising(ValueError("no"))))])
