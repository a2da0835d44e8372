"""Stopping: from each hook, by whom and why, and what still runs."""

import pytest
from tests.contract.acting import on, once, raising, recorder, ways_to_stop
from tests.contract.data import BATCHES, TEST_BATCHES
from tests.contract.shapes import FIT_HOOKS, first_given, fit_calls, in_second_epoch, some_hook, times

pytestmark = pytest.mark.needs("stop")

HOOKS_BEFORE_THE_END = FIT_HOOKS[:-1]


def counts_of(seen):
    return tuple(len(seen.of(hook)) for hook in ("on_epoch_end", "on_train_batch_end", "on_test_batch_end"))


@pytest.mark.parametrize("hook", HOOKS_BEFORE_THE_END)
def test_from_each_hook(host, hook):
    seen = recorder(host)
    stopper = on(host, name="Stopper", **once(hook, lambda callback: callback.run.stop("enough")))
    host.fit(host.make(), [seen, stopper], epochs=4)
    assert counts_of(seen.check()) == host.stop_counts(hook)
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("stopped", "enough", "Stopper")
    assert seen.last("on_train_end").run["outcome"] == "stopped"
    assert seen.last("on_train_end").run["reason"] == "enough"


@pytest.mark.needs("stop_training")
@pytest.mark.parametrize("hook", HOOKS_BEFORE_THE_END)
def test_by_the_models_attribute(any_host, hook):
    def stop(callback):
        callback.model.stop_training = True

    seen = recorder(any_host)
    any_host.fit(any_host.make(), [seen, on(any_host, **once(hook, stop))], epochs=4)
    assert counts_of(seen.check()) == any_host.stop_counts(hook)


@pytest.mark.needs("stop_training")
def test_how_a_stop_by_the_models_attribute_is_told(host):
    def stop(callback):
        callback.model.stop_training = True

    seen, hook = recorder(host), some_hook(host)
    host.fit(host.make(), [seen, on(host, **once(hook, stop, at=in_second_epoch(host, hook)))], epochs=4)
    assert counts_of(seen.check()) == host.seen_of((2, BATCHES + 2, 2 * TEST_BATCHES))
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "model.stop_training was set to True")


def test_the_first_reason_stays(host):
    seen, hook = recorder(host), some_hook(host)
    first = on(host, name="First", **once(hook, lambda callback: callback.run.stop("one")))
    second = on(host, name="Second", **once(hook, lambda callback: callback.run.stop("two")))
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
    assert seen.check().calls == fit_calls(host)
    assert seen.run.outcome == "completed"


def test_too_late_leaves_no_reason(host):
    seen = recorder(host)
    stopper = on(host, **once("on_train_end", lambda callback: callback.run.stop("late")))
    host.fit(host.make(), [stopper, seen])
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("completed", "", None)


@pytest.mark.needs("closing")
@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_end"])
def test_too_late_after_an_error(host, hook):
    seen = recorder(host)
    inner = first_given(host, "on_train_batch_end", "on_epoch_begin")
    culprit = on(host, **once(inner, raising(ValueError("no"))))
    stopper = on(host, **once(hook, lambda callback: callback.run.stop("late")))
    with pytest.raises(ValueError, match="no"):
        host.fit(host.make(), [culprit, stopper, seen])
    assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("failed", "ValueError: no", None)


def test_in_the_last_batch(host):
    seen, hook = recorder(host), some_hook(host)
    at = 2 * times(host, hook) - 1
    stopper = on(host, **once(hook, lambda callback: callback.run.stop("enough"), at=at))
    host.fit(host.make(), [seen, stopper])
    assert seen.check().calls == fit_calls(host)
    assert (seen.run.outcome, seen.run.reason) == ("stopped", "enough")


@pytest.mark.parametrize(
    ("stage", "hook"),
    [(stage, f"on_{stage}_{end}") for stage in ("test", "predict") for end in ("begin", "batch_begin", "batch_end")],
)
def test_a_stage_that_stands_alone(host, stage, hook):
    seen = recorder(host)
    stopper = on(host, **once(hook, lambda callback: callback.run.stop("enough")))
    run_stage = host.evaluate if stage == "test" else host.predict
    run_stage(host.make(), [seen, stopper])
    assert len(seen.check().of(f"on_{stage}_batch_end")) <= 1
    assert seen.hooks[-1] == f"on_{stage}_end"


def test_a_stop_is_forgotten_by_the_next_training(host):
    subject = host.make()
    seen = recorder(host)
    for stop in ways_to_stop(host):
        host.fit(subject, [seen, on(host, **once("on_epoch_end", stop))], epochs=4)
        assert seen.run.outcome == "stopped"
        seen.events.clear()
        host.fit(subject, [seen])
        assert seen.check().calls == fit_calls(host)
        assert (seen.run.outcome, seen.run.reason, seen.run.stopped_by) == ("completed", "", None)
        seen.events.clear()


def test_completed(host):
    seen = recorder(host)
    host.fit(host.make(), [seen])
    assert (seen.run.outcome, seen.run.reason) == ("completed", "")
    assert {event.run["outcome"] for event in seen.events[:-1]} == {None}
    assert seen.last("on_train_end").run["outcome"] == "completed"


@pytest.mark.needs("closing")
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
    seen, hook = recorder(host), some_hook(host)
    with pytest.raises(type(error)):
        host.fit(host.make(), [seen, on(host, **once(hook, raising(error), at=in_second_epoch(host, hook)))])
    assert (seen.run.outcome, seen.run.reason) == (outcome, reason)
    assert seen.last("on_train_end").run["outcome"] == outcome
    assert (seen.run.epoch, seen.run.is_live) == (1, False)
