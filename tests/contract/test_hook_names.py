"""The class that overrides all fourteen hooks and writes down their names and keys, in each host."""

import pytest
from tests.contract.acting import all_stages, on, recorder
from tests.contract.data import BATCHES
from tests.contract.row import STAGES
from tests.contract.shapes import fit_calls, stage_calls, times

from onlooker.core.errors import AttachError
from onlooker.core.hooks import ALIASES, HOOKS


def fourteen(base):
    """Return the class as a user writes it."""

    class Fourteen(base):
        def __init__(self):
            super().__init__()
            self.lines = []

        def on_train_begin(self, logs=None):
            self.lines.append(("on_train_begin", list(logs.keys())))

        def on_train_end(self, logs=None):
            self.lines.append(("on_train_end", list(logs.keys())))

        def on_epoch_begin(self, epoch, logs=None):
            self.lines.append((f"on_epoch_begin {epoch}", list(logs.keys())))

        def on_epoch_end(self, epoch, logs=None):
            self.lines.append((f"on_epoch_end {epoch}", list(logs.keys())))

        def on_train_batch_begin(self, batch, logs=None):
            self.lines.append((f"on_train_batch_begin {batch}", list(logs.keys())))

        def on_train_batch_end(self, batch, logs=None):
            self.lines.append((f"on_train_batch_end {batch}", list(logs.keys())))

        def on_test_begin(self, logs=None):
            self.lines.append(("on_test_begin", list(logs.keys())))

        def on_test_end(self, logs=None):
            self.lines.append(("on_test_end", list(logs.keys())))

        def on_test_batch_begin(self, batch, logs=None):
            self.lines.append((f"on_test_batch_begin {batch}", list(logs.keys())))

        def on_test_batch_end(self, batch, logs=None):
            self.lines.append((f"on_test_batch_end {batch}", list(logs.keys())))

        def on_predict_begin(self, logs=None):
            self.lines.append(("on_predict_begin", list(logs.keys())))

        def on_predict_end(self, logs=None):
            self.lines.append(("on_predict_end", list(logs.keys())))

        def on_predict_batch_begin(self, batch, logs=None):
            self.lines.append((f"on_predict_batch_begin {batch}", list(logs.keys())))

        def on_predict_batch_end(self, batch, logs=None):
            self.lines.append((f"on_predict_batch_end {batch}", list(logs.keys())))

    return Fourteen()


def lines(host, calls, epoch_names=()):
    """Return what the class writes down for (hook, index)."""
    return [(hook if index is None else f"{hook} {index}", names_at(host, hook, epoch_names)) for hook, index in calls]


def names_at(host, hook, epoch_names):
    scope = HOOKS[hook]
    if hook == scope.begin or hook == "on_predict_end":
        return []
    return list(epoch_names) if scope.name in ("train", "epoch") else host.names_in(scope.stage)


@pytest.mark.parametrize("validation", [True, False], ids=["validation", "no validation"])
def test_in_a_training(any_host, validation):
    callback = fourteen(any_host.base)
    any_host.fit(any_host.make(), [callback], epochs=2, validation=validation)
    calls = fit_calls(any_host, 2, validation)
    assert callback.lines == lines(any_host, calls, any_host.names_in_epoch(validation))


@pytest.mark.parametrize("stage", ["evaluate", "predict"])
def test_in_a_stage_that_stands_alone(any_host, stage):
    callback = fourteen(any_host.base)
    getattr(any_host, stage)(any_host.make(), [callback])
    assert callback.lines == lines(any_host, stage_calls(any_host, stage=STAGES[stage]))


def test_the_hooks_that_come_are_those_that_are_not_declared_absent(any_host):
    seen = recorder(any_host)
    all_stages(any_host, any_host.make(), [seen], epochs=1)
    expected = {hook for hook in HOOKS if any_host.gives(hook)}
    if not any_host.gives("predict"):
        expected = {hook for hook in expected if HOOKS[hook].stage != "predict"}
    assert set(seen.hooks) == expected


def test_hooks_assigned_on_an_instance(any_host):
    lines = []
    callback = any_host.base()
    callback.on_epoch_end = lambda epoch, logs=None: lines.append((epoch, sorted(logs)))
    callback.on_train_batch_end = lambda batch, logs=None: lines.append(batch)
    any_host.fit(any_host.make(), [callback], epochs=2)
    batches, names = [*range(times(any_host, "on_train_batch_end"))], sorted(any_host.names_in_epoch())
    assert lines == [*batches, (0, names), *batches, (1, names)]


@pytest.mark.parametrize("hook", ALIASES)
def test_keras_older_names(any_host, hook):
    batches = []
    callback = on(any_host, **{hook: lambda callback, batch, logs: batches.append((batch, any_host.loss_name in logs))})
    any_host.fit(any_host.make(), [callback], epochs=2)
    assert batches == [(batch, hook == "on_batch_end") for _ in range(2) for batch in range(BATCHES)]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("on_epoch_ends", "on_epoch_end"), ("on_validation_end", "on_test_end"), ("on_train_start", "on_train_begin")],
)
def test_a_misspelled_hook_is_refused(host, wrong, right):
    seen = recorder(host)
    callback = type("Typo", (host.base,), {wrong: lambda self, epoch, logs=None: None})()
    with pytest.raises(AttachError, match=rf"Typo\.{wrong} is no hook .* did you mean {right}\?"):
        host.fit(host.make(), [seen, callback])
    assert seen.events == []
    if not host.gives("evaluate"):
        return
    with pytest.raises(AttachError):
        host.evaluate(host.make(), [callback])


def test_a_class_instead_of_an_instance_or_one_twice(host):
    seen = recorder(host)
    with pytest.raises(AttachError, match="passed twice"):
        host.fit(host.make(), [seen, seen])
    assert seen.events == []
    host.fit(host.make(), [seen], epochs=1)
    assert seen.check().calls == fit_calls(host, 1)
