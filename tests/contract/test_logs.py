"""Logs: never None, really a dict, means that are right, and what callbacks assign is seen by those after them."""

import json
import pickle

import numpy as np
import pytest
from tests.contract.acting import all_stages, on, recorder
from tests.contract.data import HELD_OUT_X, HELD_OUT_Y, X, Y, batches_of
from tests.contract.shapes import times

import onlooker as ol
from onlooker.core.hooks import HOOKS


def squared_errors(host, subject, x, y):
    """Return the loss of each batch, as numpy gives it, and each batch's size."""
    weight, bias = host.line(subject)
    batches = batches_of(x.astype("float64"), y)
    return [np.mean((inputs @ weight + bias - targets) ** 2) for inputs, targets in batches], [8, 8, 4][-len(batches) :]


def running_means(values, weights):
    return np.cumsum(np.multiply(values, weights)) / np.cumsum(weights)


def test_never_none_and_empty_where_something_begins(any_host):
    seen = recorder(any_host)
    all_stages(any_host, any_host.make(), [seen])
    assert seen.events
    for event in seen.events:
        assert isinstance(event.kept, dict)
        if event.hook.endswith("_begin"):
            assert event.logs == {}, event


@pytest.mark.needs("line", "on_train_batch_end", "on_test_batch_end")
def test_means_are_weighted_by_the_batch_size(any_host):
    seen, subject = recorder(any_host), any_host.make_line()
    any_host.fit(subject, [seen])
    losses, sizes = squared_errors(any_host, subject, X, Y)
    expected = running_means(losses, sizes)
    assert [logs["loss"] for logs in seen.logs("on_train_batch_end")] == pytest.approx([*expected, *expected], rel=1e-5)
    losses, sizes = squared_errors(any_host, subject, HELD_OUT_X, HELD_OUT_Y)
    assert abs(losses[0] - losses[1]) > 0.01, "a plain mean would do as well here"
    test_expected = running_means(losses, [8, 4])
    assert [logs["loss"] for logs in seen.logs("on_test_batch_end")] == pytest.approx([*test_expected] * 2, rel=1e-5)
    for logs in seen.logs("on_test_end"):
        assert logs == {"loss": pytest.approx(test_expected[-1], rel=1e-5)}
    for logs in (*seen.logs("on_epoch_end"), *seen.logs("on_train_end")):
        assert logs == pytest.approx({"loss": expected[-1], "val_loss": test_expected[-1]}, rel=1e-5)


@pytest.mark.needs("line", "batch_logs", "on_train_batch_end", "on_test_batch_end")
def test_a_batchs_own_values(host):
    seen, subject = recorder(host), host.make_line()
    host.fit(subject, [seen])
    losses, _ = squared_errors(host, subject, X, Y)
    # Emulated: what the sum behind the mean has grown by, in float32.
    tolerance = 1e-5 if host.declaration.abilities["batch_logs"].level == "emulated" else 1e-6
    found = [event.batch["loss"] for event in seen.of("on_train_batch_end")]
    assert found == pytest.approx(losses * 2, rel=tolerance)
    losses, _ = squared_errors(host, subject, HELD_OUT_X, HELD_OUT_Y)
    assert [event.batch["loss"] for event in seen.of("on_test_batch_end")] == pytest.approx(losses * 2, rel=tolerance)
    assert not any(event.batch for event in seen.events if HOOKS[event.hook].index != "batch")


@pytest.mark.needs("line", "evaluate")
def test_an_evaluation_alone_has_no_prefix(any_host):
    seen, subject = recorder(any_host), any_host.make_line()
    returned = any_host.evaluate(subject, [seen])
    losses, _ = squared_errors(any_host, subject, HELD_OUT_X, HELD_OUT_Y)
    expected = {"loss": pytest.approx(np.average(losses, weights=[8, 4]), rel=1e-5)}
    assert seen.last("on_test_end").logs == expected
    assert dict(returned) == expected


READS = {
    "dict": dict,
    "**": lambda logs: {**logs},
    "|": lambda logs: logs | {},
    "json": lambda logs: json.loads(json.dumps(logs)),
    "pickle": lambda logs: dict(pickle.loads(pickle.dumps(logs))),
    "copy": lambda logs: dict(logs.copy()),
    "items": lambda logs: dict(logs.items()),
    "one by one": lambda logs: {name: logs[name] for name in logs},
    "get": lambda logs: {name: logs.get(name) for name in list(logs.keys())},
    "values": lambda logs: dict(zip(logs, logs.values(), strict=True)),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_really_a_dict(any_host, read):
    found, expected = [], []

    def reads(callback, index, logs):
        found.append(read(logs))  # the first to read
        expected.append(dict(logs))

    hooks = dict.fromkeys(("on_train_batch_end", "on_test_batch_end", "on_epoch_end"), reads)
    any_host.fit(any_host.make(), [on(any_host, **hooks)], epochs=1)
    assert len(found) == sum(times(any_host, hook) for hook in hooks)
    assert found == expected
    assert all(type(value) is float for logs in found for value in logs.values())
    assert list(found[-1]) == any_host.names_in_epoch()


@pytest.mark.needs("batch_logs", "on_train_batch_end")
def test_a_copy_has_the_batchs_own_values(host):
    found = []

    def note(callback, batch, logs):
        found.append((dict(logs.copy().batch), dict(pickle.loads(pickle.dumps(logs)).batch), dict(logs.batch)))

    host.fit(host.make(), [on(host, on_train_batch_end=note)], epochs=1)
    assert len(found) == 3
    for of_copy, of_pickle, own in found:
        assert of_copy == of_pickle == own
        assert set(own) == set(host.values)


def test_what_is_kept_is_a_snapshot(any_host):
    at_once, later = recorder(any_host), recorder(any_host, reads=False)
    any_host.fit(any_host.make(), [later, at_once])
    for kept, read in zip(later.events, at_once.events, strict=True):
        assert dict(kept.kept) == pytest.approx(read.logs, rel=1e-6), kept
    assert any(event.logs for event in at_once.events)


ENDS = ("on_train_batch_end", "on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end")


@pytest.mark.parametrize("hook", ENDS)
def test_what_a_callback_assigns_is_seen_by_those_after_it(any_host, hook):
    def assign(callback, *given):
        given[-1]["extra"] = 7.5

    before, after = recorder(any_host), recorder(any_host)
    any_host.fit(any_host.make(), [before, on(any_host, **{hook: assign}), after])
    assert all("extra" not in logs for logs in before.logs(hook))
    assert [logs["extra"] for logs in after.logs(hook)] == [7.5] * len(after.of(hook))


def test_what_is_assigned_to_an_epoch_is_in_the_history_and_in_the_last_logs(any_host):
    def assign(callback, epoch, logs):
        logs["extra"] = float(epoch)

    first, last, seen = ol.callbacks.History(), ol.callbacks.History(), recorder(any_host)
    any_host.fit(any_host.make(), [first, on(any_host, on_epoch_end=assign), last, seen])
    assert first.history["extra"] == last.history["extra"] == [0.0, 1.0]
    assert seen.last("on_train_end").logs["extra"] == 1.0
    assert seen.last("on_train_end").logs == seen.last("on_epoch_end").logs


@pytest.mark.needs("on_test_end")
def test_what_is_assigned_to_a_validation_is_in_the_epochs_logs(any_host):
    def assign(callback, logs):
        logs["extra"] = 7.5

    seen, history = recorder(any_host), ol.callbacks.History()
    any_host.fit(any_host.make(), [on(any_host, on_test_end=assign), seen, history])
    assert [logs["val_extra"] for logs in seen.logs("on_epoch_end")] == [7.5, 7.5]
    assert history.history["val_extra"] == [7.5, 7.5]
    assert seen.last("on_train_end").logs["val_extra"] == 7.5


@pytest.mark.needs("on_test_end")
def test_a_validations_values_may_be_changed(any_host):
    def change(callback, logs):
        logs[any_host.loss_name] = -1.0

    seen = recorder(any_host)
    any_host.fit(any_host.make(), [on(any_host, on_test_end=change), seen])
    assert [logs[f"val_{any_host.loss_name}"] for logs in seen.logs("on_epoch_end")] == [-1.0, -1.0]


def test_a_name_that_is_not_there(host):
    messages = []

    def reads(callback, epoch, logs):
        with pytest.raises(KeyError) as caught:
            logs["val_los"]
        messages.append(str(caught.value))

    host.fit(host.make(), [on(host, on_epoch_end=reads)], epochs=1)
    assert f"'val_los' is not in the logs; available: {', '.join(host.names_in_epoch())}" in messages[0]
