"""What the hooks of a training look like, as the grammar and the data give it."""

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


def stage_calls(batches=TEST_BATCHES, stage="test"):
    """Return (hook, index) of a whole test or prediction."""
    inner = [(f"on_{stage}_batch_{end}", index) for index in range(batches) for end in ("begin", "end")]
    return [(f"on_{stage}_begin", None), *inner, (f"on_{stage}_end", None)]


def epoch_calls(epoch, batches=BATCHES, validation=True):
    """Return (hook, index) of an epoch."""
    inner = [(f"on_train_batch_{end}", index) for index in range(batches) for end in ("begin", "end")]
    test = stage_calls() if validation else []
    return [("on_epoch_begin", epoch), *inner, *test, ("on_epoch_end", epoch)]


def fit_calls(epochs=2, validation=True):
    """Return (hook, index) of a whole training; `epochs` may be a range."""
    numbers = range(epochs) if isinstance(epochs, int) else epochs
    inner = [call for epoch in numbers for call in epoch_calls(epoch, validation=validation)]
    return [("on_train_begin", None), *inner, ("on_train_end", None)]
