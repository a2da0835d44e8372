"""The class that overrides all fourteen hooks and writes down their names and keys, in each host."""

import pytest
from tests.contract.acting import on, recorder
from tests.contract.data import BATCHES, TEST_BATCHES

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


VALUES = ["accuracy", "loss"]
ALL_VALUES = [*VALUES, "val_accuracy", "val_loss"]


def stage_lines(stage, batches, keys, end_keys):
    lines = [] if stage == "train" else [(f"on_{stage}_begin", [])]
    for batch in range(batches):
        lines += [(f"on_{stage}_batch_begin {batch}", []), (f"on_{stage}_batch_end {batch}", keys)]
    return lines if stage == "train" else [*lines, (f"on_{stage}_end", end_keys)]


def test_in_a_training(any_host):
    callback = fourteen(any_host.base)
    any_host.fit(any_host.make(), [callback], epochs=2)
    expected = [("on_train_begin", [])]
    for epoch in range(2):
        expected += [
            (f"on_epoch_begin {epoch}", []),
            *stage_lines("train", BATCHES, VALUES, None),
            *stage_lines("test", TEST_BATCHES, VALUES, VALUES),
            (f"on_epoch_end {epoch}", ALL_VALUES),
        ]
    assert callback.lines == [*expected, ("on_train_end", ALL_VALUES)]


def test_without_validation(any_host):
    callback = fourteen(any_host.base)
    any_host.fit(any_host.make(), [callback], epochs=1, validation=False)
    assert callback.lines == [
        ("on_train_begin", []),
        ("on_epoch_begin 0", []),
        *stage_lines("train", BATCHES, VALUES, None),
        ("on_epoch_end 0", VALUES),
        ("on_train_end", VALUES),
    ]


def test_in_an_evaluation(any_host):
    callback = fourteen(any_host.base)
    any_host.evaluate(any_host.make(), [callback])
    assert callback.lines == stage_lines("test", TEST_BATCHES, VALUES, VALUES)


def test_in_a_prediction(any_host):
    callback = fourteen(any_host.base)
    any_host.predict(any_host.make(), [callback])
    assert callback.lines == stage_lines("predict", TEST_BATCHES, ["outputs"], [])


def test_hooks_assigned_on_an_instance(any_host):
    lines = []
    callback = any_host.base()
    callback.on_epoch_end = lambda epoch, logs=None: lines.append((epoch, sorted(logs)))
    callback.on_train_batch_end = lambda batch, logs=None: lines.append(batch)
    any_host.fit(any_host.make(), [callback], epochs=2)
    assert lines == [0, 1, 2, (0, ALL_VALUES), 0, 1, 2, (1, ALL_VALUES)]


@pytest.mark.parametrize("alias", ALIASES)
def test_keras_older_names(any_host, alias):
    batches = []
    callback = on(any_host, **{alias: lambda callback, batch, logs: batches.append((batch, "loss" in logs))})
    any_host.fit(any_host.make(), [callback], epochs=2)
    assert batches == [(batch, alias == "on_batch_end") for _ in range(2) for batch in range(BATCHES)]


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
    with pytest.raises(AttachError):
        host.evaluate(host.make(), [callback])


def test_a_class_instead_of_an_instance_or_one_twice(host):
    seen = recorder(host)
    with pytest.raises(AttachError, match="passed twice"):
        host.fit(host.make(), [seen, seen])
    assert seen.events == []
    host.fit(host.make(), [seen], epochs=1)
    assert {event.hook for event in seen.events} == {hook for hook, scope in HOOKS.items() if scope.stage != "predict"}
