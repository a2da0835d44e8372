"""Faults: raise, warn, disable; the others are still called, and the first error wins and says where."""

import warnings

import pytest
from tests.contract.acting import on, once, raising, recorder
from tests.contract.shapes import FIT_HOOKS, fit_calls, some_hook, times

from onlooker.core.errors import LoopError, OnlookerWarning
from onlooker.core.hooks import HOOKS

pytestmark = pytest.mark.needs("faults", "closing")


class BrokenError(Exception):
    """What goes wrong in these tests."""


def always(hook, text="no"):
    def fail(callback, *given):
        raise BrokenError(text)

    return {hook: fail}


PLACES = {
    "on_train_begin": "outside any epoch",
    "on_epoch_begin": "epoch 1",
    "on_train_batch_begin": "epoch 1, batch 1",
    "on_train_batch_end": "epoch 1, batch 1",
    "on_test_begin": "epoch 1",
    "on_test_batch_begin": "epoch 1, batch 1",
    "on_test_batch_end": "epoch 1, batch 1",
    "on_test_end": "epoch 1",
    "on_epoch_end": "epoch 1",
    "on_train_end": "epoch 1",
}


@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_the_error_names_callback_hook_epoch_and_batch(host, hook):
    error = BrokenError("no")
    per_epoch = {"train": 3, "test": 2}.get(HOOKS[hook].stage) if HOOKS[hook].index == "batch" else 1
    at = 0 if hook in ("on_train_begin", "on_train_end") else per_epoch + (HOOKS[hook].index == "batch")
    with pytest.raises(BrokenError):
        host.fit(host.make(), [on(host, name="Culprit", **once(hook, raising(error), at=at))])
    assert error.__notes__[0] == f"in Culprit.{hook}, {PLACES[hook]} (on_error='raise')"


@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_what_a_loop_would_take_for_its_end_comes_out_as_an_error(host, hook):
    def find_nothing(callback, *given):
        next(iter([]))

    seen = recorder(host)
    culprit = on(host, name="Culprit", **once(hook, find_nothing))
    with pytest.raises(LoopError, match="a hook raised StopIteration") as caught:
        host.fit(host.make(), [culprit, seen])
    assert caught.value.__notes__[0].startswith(f"in Culprit.{hook}, ")
    assert caught.traceback[-1].name == "find_nothing"
    assert seen.check().hooks[-1] == "on_train_end"
    if hook != "on_train_end":
        assert seen.run.outcome == "failed"
        assert seen.run.reason.startswith("LoopError: a hook raised StopIteration")


@pytest.mark.parametrize("policy", ["warn", "disable"])
@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_warn_and_disable_let_it_go_on(any_host, policy, hook):
    before, after = recorder(any_host), recorder(any_host)
    calls = []

    def fail(callback, *given):
        calls.append(given)
        raise BrokenError("no")

    weak = on(any_host, on_error=policy, name="Weak", **{hook: fail})
    with pytest.warns(OnlookerWarning, match=rf"Weak\.{hook}") as caught:
        any_host.fit(any_host.make(), [before, weak, after])
    ours = [one for one in caught if issubclass(one.category, OnlookerWarning)]
    assert len(ours) == 1, "once per hook and type"
    assert "BrokenError('no')" in str(ours[0].message)
    assert before.check().calls == after.check().calls == fit_calls(any_host)
    still_comes = policy == "warn" or hook in ("on_test_end", "on_train_end")
    assert len(calls) == (len(before.of(hook)) if still_comes else 1)


def test_a_warning_for_each_hook_and_type(host):
    errors = iter([BrokenError("a"), ValueError("b"), BrokenError("c"), ValueError("d"), *[BrokenError("e")] * 9])

    def fail(callback, *given):
        raise next(errors)

    # Three calls of the inner hook, and then one of the outer.
    inner, outer, epochs = ("on_train_batch_end", "on_epoch_end", 1)
    if not host.gives(inner):
        inner, outer, epochs = ("on_epoch_end", "on_train_end", 3)
    weak = on(host, on_error="warn", **{inner: fail, outer: fail})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        host.fit(host.make(), [weak], epochs=epochs)
    ours = [str(one.message) for one in caught if issubclass(one.category, OnlookerWarning)]
    assert [(inner in one, "BrokenError" in one) for one in ours] == [
        (True, True),
        (True, False),
        (False, False),
    ]


def test_a_disabled_callback_still_gets_the_ends_of_stages(host):
    seen = []

    def note(name):
        return lambda callback, *given: seen.append(name)

    weak = on(
        host,
        on_error="disable",
        on_train_batch_begin=note("batch"),
        on_test_begin=note("test begin"),
        on_test_end=note("test end"),
        on_epoch_end=note("epoch end"),
        on_train_end=note("train end"),
        **always("on_epoch_begin"),
    )
    with pytest.warns(OnlookerWarning, match="disabled from here on"):
        host.fit(host.make(), [weak], epochs=2)
    assert seen == ["test end"] * 2 * times(host, "on_test_end") + ["train end"]


def test_a_disabled_callback_works_again_in_the_next_training(host):
    subject = host.make()
    weak, seen = on(host, on_error="disable", **once("on_epoch_begin", raising(BrokenError("no")))), []
    weak.on_epoch_end = lambda epoch, logs=None: seen.append(epoch)
    with pytest.warns(OnlookerWarning):
        host.fit(subject, [weak])
    assert seen == []
    host.fit(subject, [weak])
    assert seen == [0, 1]


@pytest.mark.parametrize("hook", FIT_HOOKS)
def test_the_first_error_wins_and_later_ones_become_notes(host, hook):
    seen = recorder(host)
    first, second = BrokenError("first"), BrokenError("second")
    culprits = [
        on(host, name="One", **once(hook, raising(first))),
        on(host, name="Two", **once(hook, raising(second))),
    ]
    with pytest.raises(BrokenError) as caught:
        host.fit(host.make(), [*culprits, seen])
    assert caught.value is first
    notes = "\n".join(first.__notes__)
    assert f"in One.{hook}" in first.__notes__[0]
    assert "BrokenError('second')" in notes
    assert f"in Two.{hook}" in notes
    assert notes.count("second") == 1
    assert seen.hooks[-1] == "on_train_end"


@pytest.mark.parametrize("hook", [hook for hook in FIT_HOOKS if hook != "on_train_end"])
def test_an_error_in_on_train_end_after_another(host, hook):
    seen = recorder(host)
    first = BrokenError("first")
    culprit = on(host, name="One", **once(hook, raising(first)))
    sulking = on(host, name="Two", **always("on_train_end", "second"))
    with pytest.raises(BrokenError) as caught:
        host.fit(host.make(), [culprit, sulking, seen])
    assert caught.value is first
    assert seen.check().hooks[-1] == "on_train_end"
    assert (seen.run.outcome, seen.run.reason) == ("failed", "BrokenError: first")
    assert "in Two.on_train_end" in "\n".join(first.__notes__)


@pytest.mark.parametrize("policy", ["raise", "warn", "disable"])
def test_ctrl_c_is_never_swallowed(host, policy):
    seen = recorder(host)
    culprit = on(host, on_error=policy, **once(some_hook(host), raising(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        host.fit(host.make(), [seen, culprit])
    assert seen.check().hooks[-1] == "on_train_end"
    assert seen.run.outcome == "interrupted"


def test_an_unknown_policy_is_refused(host):
    seen = recorder(host)
    with pytest.raises(TypeError, match="did you mean 'raise'"):
        host.fit(host.make(), [seen, on(host, on_error="rais", on_epoch_end=lambda *given: None)])
    assert seen.events == []
