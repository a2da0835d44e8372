"""Stopping: from each hook, by whom and why, and what still runs."""

import pytest
from tests.contract.acting import on, once, raising, recorder
from tests.contract.data import BATCHES, TEST_BATCHES
from tests.contract.shapes import fit_calls

# How many epochs, train batches and test batches have been, where the first time a hook comes it asks to stop.
NOTHING, NO_BATCH, ONE_BATCH = (0, 0, 0), (1, 0, 0), (1, 1, TEST_BATCHES)
WHOLE_EPOCH = (1, BATCHES, TEST_BATCHES)
BY_HOOK = {
    "on_train_begin": NOTHING,
    "on_epoch_begin": NO_BATCH,
    "on_train_batch_begin": ONE_BATCH,
    "on_train_batch_end": ONE_BATCH,
    "on_test_begin": WHOLE_EPOCH,
    "on_test_batch_begin": WHOLE_EPOCH,
    "on_test_batch_end": WHOLE_EPOCH,
    "on_test_end": WHOLE_EPOCH,
    "on_epoch_end": WHOLE_EPOCH,
}


def expected(host, hook):
    """Return the counts; where stopping is emulated, one batch runs before anybody looks."""
    counts = BY_HOOK[hook]
    if host.declaration.abilities["stop"].level == "emulated" and counts in (NOTHING, NO_BATCH):
        return ONE_BATCH
    return counts


def counts_of(seen):
    return tuple(len(seen.of(hook)) for hook in ("on_epoch_end", "on_train_batch_end", "on_test_batch_end"))


@pytest.mark.parametrize("hook", BY_HOOK)
def test_from_each_hook(host, hook):
    seen = recorder(host)
    stopper = on(host, name="Stopper", **once(hook, lambda callback: callback.run.stop("enough")))
    host.fit(host.make(), [seen, stopper], epochs=4)
    assert counts_of(seen.check()) == expected(host, hook)
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("stopped", "enough", "Stopper")
    assert seen.last("on_train_end").run["outcome"] == "stopped"
    assert seen.last("on_train_end").run["reason"] == "enough"


@pytest.mark.parametrize("hook", BY_HOOK)
def test_by_the_models_attribute(any_host, hook):
    def stop(callback):
        callback.model.stop_training = True

    seen = recorder(any_host)
    any_host.fit(any_host.make(), [seen, on(any_host, **once(hook, stop))], epochs=4)
    assert counts_of(seen.check()) == expected(any_host, hook)


def test_how_a_stop_by_the_models_attribute_is_told(host):
    def stop(callback):
        callback.model.stop_training = True

    seen = recorder(host)
    host.fit(host.make(), [seen, on(host, **once("on_train_batch_end", stop, at=4))], epochs=4)
    assert counts_of(seen.check()) == (2, BATCHES + 2, 2 * TEST_BATCHES)
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "model.stop_training was set to True")


def test_the_first_reason_stays(host):
    seen = recorder(host)
    first = on(host, name="First", **once("on_train_batch_end", lambda callback: callback.run.stop("one")))
    second = on(host, name="Second", **once("on_train_batch_end", lambda callback: callback.run.stop("two")))
    host.fit(host.make(), [first, second, seen], epochs=4)
    assert (seen.run.reason, seen.run.stopped_by) == ("one", "First")


def test_without_a_reason(host):
    seen = recorder(host)
    stopper = on(host, name="Stopper", **once("on_epoch_end", lambda callback: callback.run.stop()))
    host.fit(host.make(), [seen, stopper], epochs=4)
    assert (seen.run.reason, seen.run.stopped_by) == ("stopped by Stopper", "Stopper")


def test_too_late(host):
    seen = recorder(host)
    stopper = on(host, **once("on_train_end", lambda callback: callback.run.stop("late")))
    host.fit(host.make(), [stopper, seen])
    assert seen.check().calls == fit_calls()
    assert seen.run.outcome == "completed"


def test_too_late_leaves_no_reason(host):
    seen = recorder(host)
    stopper = on(host, **once("on_train_end", lambda callback: callback.run.stop("late")))
    host.fit(host.make(), [stopper, seen])
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("completed", "", None)


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_end"])
def test_too_late_after_an_error(host, hook):
    seen = recorder(host)
    culprit = on(host, **once("on_train_batch_end", raising(ValueError("no"))))
    stopper = on(host, **once(hook, lambda callback: callback.run.stop("late")))
    with pytest.raises(ValueError, match="no"):
        host.fit(host.make(), [culprit, stopper, seen])
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("failed", "ValueError: no", None)


def test_in_the_last_batch(host):
    seen = recorder(host)
    stopper = on(host, **once("on_train_batch_end", lambda callback: callback.run.stop("enough"), at=2 * BATCHES - 1))
    host.fit(host.make(), [seen, stopper])
    assert seen.check().calls == fit_calls()
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "enough")


@pytest.mark.parametrize("stage", ["test", "predict"])
@pytest.mark.parametrize("hook", ["begin", "batch_begin", "batch_end"])
def test_a_stage_that_stands_alone(host, stage, hook):
    seen = recorder(host)
    stopper = on(host, **once(f"on_{stage}_{hook}", lambda callback: callback.run.stop("enough")))
    run_stage = host.evaluate if stage == "test" else host.predict
    run_stage(host.make(), [seen, stopper])
    assert len(seen.check().of(f"on_{stage}_batch_end")) <= 1
    assert seen.hooks[-1] == f"on_{stage}_end"


def test_a_stop_is_forgotten_by_the_next_training(host):
    subject = host.make()
    seen = recorder(host)
    for stop in (
        lambda callback: callback.run.stop("enough"),
        lambda callback: setattr(callback.model, "stop_training", True),
    ):
        host.fit(subject, [seen, on(host, **once("on_epoch_end", stop))], epochs=4)
        assert seen.run.outcome == "stopped"
        seen.events.clear()
        host.fit(subject, [seen])
        assert seen.check().calls == fit_calls()
        assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("completed", "", None)
        seen.events.clear()


def test_completed(host):
    seen = recorder(host)
    host.fit(host.make(), [seen])
    assert (seen.run.outcome, seen.run.reason) == ("completed", "")
    assert {event.run["outcome"] for event in seen.events[:-1]} == {None}
    assert seen.last("on_train_end").run["outcome"] == "completed"


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (RuntimeError("no"), "failed", "RuntimeError: no"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (SystemExit(3), "interrupted", "SystemExit: 3"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_failed_and_interrupted(host, error, outcome, reason):
    seen = recorder(host)
    with pytest.raises(type(error)):
        host.fit(host.make(), [seen, on(host, **once("on_train_batch_end", raising(error), at=4))])
    assert (seen.run.outcome, seen.run.reason) == (outcome, reason)
    assert seen.last("on_train_end").run["outcome"] == outcome
    assert (seen.run.epoch, seen.run.is_live) == (1, False)
