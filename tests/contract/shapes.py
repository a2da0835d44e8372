"""What the hooks of a training look like, by the grammar and the data, without those that a host calls absent."""

from tests.contract.data import BATCHES, TEST_BATCHES

FIT_HOOKS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_test_end",
    "on_epoch_end",
    "on_train_end",
)
"""The hooks of a training with validation, in the order in which each comes first."""


def stage_calls(host, batches=TEST_BATCHES, stage="test"):
    """Return (hook, index) of a whole test or prediction."""
    inner = [(f"on_{stage}_batch_{end}", index) for index in range(batches) for end in ("begin", "end")]
    return _given(host, [(f"on_{stage}_begin", None), *inner, (f"on_{stage}_end", None)])


def epoch_calls(host, epoch, batches=BATCHES, validation=True):
    """Return (hook, index) of an epoch."""
    inner = [(f"on_train_batch_{end}", index) for index in range(batches) for end in ("begin", "end")]
    test = stage_calls(host) if validation else []
    return _given(host, [("on_epoch_begin", epoch), *inner, *test, ("on_epoch_end", epoch)])


def fit_calls(host, epochs=2, validation=True):
    """Return (hook, index) of a whole training; `epochs` may be a range."""
    numbers = range(epochs) if isinstance(epochs, int) else epochs
    inner = [call for epoch in numbers for call in epoch_calls(host, epoch, validation=validation)]
    return _given(host, [("on_train_begin", None), *inner, ("on_train_end", None)])


def times(host, hook):
    """Return how often a hook comes in an epoch with validation: 0 where it is absent."""
    return [name for name, _ in epoch_calls(host, 0)].count(hook)


def first_given(host, *hooks):
    """Return the first of some hooks that a host gives."""
    return next(hook for hook in hooks if host.gives(hook))


def some_hook(host):
    """Return a hook that comes within each epoch: where a train batch ends, or else where the epoch does."""
    return first_given(host, "on_train_batch_end", "on_epoch_end")


def in_second_epoch(host, hook):
    """Return for the how-manieth time, from 0, a hook comes that stands in the second epoch, and there not first."""
    return times(host, hook) + (times(host, hook) > 1)


def _given(host, calls):
    return [(hook, index) for hook, index in calls if host.gives(hook)]
