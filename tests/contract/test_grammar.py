"""The grammar: whatever happens, the hooks are a word of it, and nothing stays open."""

import pytest
from tests.contract.acting import on, once, raising, recorder
from tests.contract.shapes import FIT_HOOKS, first_given, fit_calls, stage_calls


class BrokenError(Exception):
    """What goes wrong in these tests."""


@pytest.mark.parametrize("validation", [True, False], ids=["validation", "no validation"])
def test_a_training(any_host, validation):
    seen = recorder(any_host)
    any_host.fit(any_host.make(), [seen], epochs=2, validation=validation)
    assert seen.check().calls == fit_calls(any_host, 2, validation)


@pytest.mark.parametrize("stage", ["test", "predict"])
def test_a_stage_that_stands_alone(any_host, stage):
    seen = recorder(any_host)
    run_stage = any_host.evaluate if stage == "test" else any_host.predict
    run_stage(any_host.make(), [seen])
    assert seen.check().calls == stage_calls(any_host, stage=stage)


@pytest.mark.needs("no_epoch")
def test_no_epoch(host):
    seen = recorder(host)
    host.fit(host.make(), [seen], epochs=0)
    assert seen.check().calls == [("on_train_begin", None), ("on_train_end", None)]
    assert seen.run.outcome == "completed"


@pytest.mark.needs("stop")
@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_a_stop_in_any_hook(host, hook):
    seen = recorder(host)
    stopper = on(host, **once(hook, lambda callback: callback.run.stop("enough"), at=1 if "_epoch_" in hook else 0))
    host.fit(host.make(), [seen, stopper], epochs=4)
    assert seen.check().hooks[-1] == "on_train_end"


@pytest.mark.needs("closing")
@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_an_exception_in_any_hook(any_host, hook):
    error = BrokenError("no")
    before, after = recorder(any_host), recorder(any_host)
    culprit = on(any_host, **once(hook, raising(error)))
    with pytest.raises(BrokenError) as caught:
        any_host.fit(any_host.make(), [before, culprit, after])
    assert caught.value is error
    if any_host.has_run:  # Keras calls no end hooks then, and so Keras' own get none anywhere
        assert before.check().hooks[-1] == "on_train_end"
        assert after.check().calls == before.calls


@pytest.mark.needs("evaluate", "closing")
@pytest.mark.parametrize("hook", ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"])
def test_an_exception_in_an_evaluation_that_stands_alone(host, hook):
    seen = recorder(host)
    with pytest.raises(BrokenError):
        host.evaluate(host.make(), [seen, on(host, **once(hook, raising(BrokenError("no"))))])
    assert seen.check().hooks[-1] == "on_test_end"
    assert not seen.run.is_live


@pytest.mark.needs("predict", "closing")
@pytest.mark.parametrize(
    "hook", ["on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end"]
)
def test_an_exception_in_a_prediction(host, hook):
    seen = recorder(host)
    with pytest.raises(BrokenError):
        host.predict(host.make(), [seen, on(host, **once(hook, raising(BrokenError("no"))))])
    assert seen.check().hooks[-1] == "on_predict_end"
    assert not seen.run.is_live


@pytest.mark.needs("closing")
@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_ctrl_c_in_any_hook(host, hook):
    seen = recorder(host)
    with pytest.raises(KeyboardInterrupt):
        host.fit(host.make(), [seen, on(host, **once(hook, raising(KeyboardInterrupt())))])
    assert seen.check().hooks[-1] == "on_train_end"
    assert not seen.run.is_live


@pytest.mark.needs("closing")
@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_ctrl_c_in_any_hook_for_those_after_it(host, hook):
    after = recorder(host)
    with pytest.raises(KeyboardInterrupt):
        host.fit(host.make(), [on(host, **once(hook, raising(KeyboardInterrupt()))), after])
    after.check()


@pytest.mark.needs("user", "closing")
@pytest.mark.parametrize("error", [BrokenError("no"), KeyboardInterrupt()], ids=["an exception", "Ctrl-C"])
def test_what_the_users_own_code_raises(host, error):
    def user(epoch, batch):
        if (epoch, batch) == (1, min(1, host.steps - 1)):
            raise error

    seen = recorder(host)
    with pytest.raises(type(error)) as caught:
        host.fit(host.make(), [seen], epochs=3, user=user)
    assert caught.value is error
    seen.check()
    assert seen.hooks[-1] == "on_train_end"
    assert [event.index for event in seen.of("on_epoch_end")] == [0, 1]
    assert seen.run.outcome == ("failed" if isinstance(error, Exception) else "interrupted")
    assert not seen.run.is_live


@pytest.mark.needs("user", "stop_by_user")
def test_a_stop_by_the_user(host):
    subject = host.make()

    def user(epoch, batch):
        if (epoch, batch) == (1, min(1, host.steps - 1)):
            host.stop_by_user(subject)

    seen = recorder(host)
    host.fit(subject, [seen], epochs=4, user=user)
    assert [event.index for event in seen.check().of("on_epoch_end")] == [0, 1]
    assert seen.run.outcome == "stopped"


def test_the_same_training_again(any_host):
    seen = recorder(any_host)
    subject = any_host.make()
    any_host.fit(subject, [seen])
    any_host.fit(subject, [seen])
    assert seen.check().calls == fit_calls(any_host) * 2


@pytest.mark.needs("closing")
def test_a_training_after_one_that_failed(host):
    subject = host.make()
    seen = recorder(host)
    hook = first_given(host, "on_test_batch_end", "on_test_end", "on_epoch_end")
    culprit = on(host, **once(hook, raising(BrokenError("no"))))
    with pytest.raises(BrokenError):
        host.fit(subject, [seen, culprit])
    seen.events.clear()
    host.fit(subject, [seen, culprit])
    assert seen.check().calls == fit_calls(host)
    assert (seen.run.outcome, seen.run.reason) == ("completed", "")
