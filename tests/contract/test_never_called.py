"""A callback whose work is in hooks that a host never calls: one warning when it is attached, and none for others."""

import warnings

import pytest

import onlooker as ol
from onlooker.core.hooks import HOOKS

BATCHES = ("on_train_batch_begin", "on_train_batch_end")


def warnings_of(host, *hooks):
    """Train with a callback that hears these hooks; return what our warnings say."""

    class LossHistory(host.base):
        pass

    callback = LossHistory()
    for hook in hooks:
        listen = (lambda logs=None: None) if HOOKS[hook].index is None else (lambda index, logs=None: None)
        setattr(callback, hook, listen)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        host.fit(host.make(), [callback], epochs=3)
    return [str(one.message) for one in caught if isinstance(one.message, ol.OnlookerWarning)]


@pytest.mark.parametrize(
    "hooks",
    [BATCHES, BATCHES[1:], ("on_train_begin", *BATCHES, "on_train_end")],
    ids=["both", "one", "with begin and end"],
)
def test_batch_hooks_alone(any_host, hooks):
    said = warnings_of(any_host, *hooks)
    if any_host.gives("on_train_batch_end"):
        assert said == []
        return
    (said,) = said
    batch_hooks = [hook for hook in hooks if hook in BATCHES]
    verb = "are" if len(batch_hooks) == 2 else "is"
    reason = any_host.why_not("on_train_batch_end")
    assert said.startswith(f"LossHistory.{' and '.join(batch_hooks)} {verb} never called in ")
    assert f" in {any_host.declaration.name}: " in said
    assert reason in said
    assert said.endswith(f". Use {' and '.join(hook.replace('train_batch', 'epoch') for hook in batch_hooks)} instead")


@pytest.mark.parametrize(
    "hooks",
    [
        tuple(HOOKS),
        (*BATCHES, "on_epoch_end"),
        (*BATCHES, "on_test_end"),
        ("on_train_end", "on_predict_end"),
        ("on_train_begin",),
        (),
    ],
    ids=["all", "epochs too", "tests too", "predictions too", "begin", "none"],
)
def test_a_callback_that_has_something_to_do_is_not_warned_of(any_host, hooks):
    assert warnings_of(any_host, *hooks) == []
