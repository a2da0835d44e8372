"""What Transformers' data and losses are in the terms of a run: inputs, targets, the mean loss of one batch, prefixes.

Owns no state. With gradient accumulation the trainer's loss of a step is only a part of the mean over the whole update;
here it becomes the batch's own mean again.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

IGNORED = -100
"""The label of what does not count in a loss."""

_HANDS_ON = re.compile(r"loss_function\((?:[^()]|\([^()]*\))*\*\*")
"""How a model of Transformers' calls its loss with all that it does not know itself."""


def length_of(loader: Any) -> int | None:
    """Return how many batches a loader gives; None where it does not say."""
    try:
        return len(loader)
    except TypeError:  # None, or a loader over data without a length
        return None


def inputs_and_targets(trainer: Any, batch: Any) -> Any:
    """Return what a loader gave as a pair: the inputs by name, or the one where it is alone; the same of labels."""
    if not isinstance(batch, Mapping):
        return batch
    labels = [name for name in trainer.label_names if name in batch]
    inputs = {name: batch[name] for name in batch if name not in labels}
    targets = {name: batch[name] for name in labels}
    return _alone(inputs), _alone(targets) if targets else None


def loss_of_batch(trainer: Any, loss: Any, inputs: Any, items: Any) -> Any:
    """Return the mean loss of one batch, from what `training_step` has returned. It waits for no device.

    Args:
        trainer: which has made the step.
        loss: what it has returned.
        inputs: of the batch.
        items: how many labels the whole update has, over which the loss may be a mean; or None.
    """
    accumulated = getattr(trainer, "current_gradient_accumulation_steps", trainer.args.gradient_accumulation_steps)
    if not _is_scaled(trainer, items):
        return loss * accumulated if accumulated > 1 else loss
    if items is None:
        return loss
    processes = trainer.args.world_size if trainer.args.average_tokens_across_devices else 1
    if processes > 1:  # by which the trainer has multiplied, since it will be divided by as gradients are averaged
        loss = loss / processes
    is_whole = accumulated == 1 and processes == 1
    own = None if is_whole or not _is_over_update(trainer) else _items_in(trainer, inputs)
    return loss if own is None else loss * (items / own)


def our_prefix(prefix: str) -> str:
    """Return the prefix in our logs for one of the trainer's: its `eval` is `val`, as everywhere."""
    return f"val{prefix[4:]}" if prefix == "eval" or prefix.startswith("eval_") else prefix


def numbers_in(values: Mapping[str, Any], refuse: Callable[[str, Any], None]) -> dict[str, Any]:
    """Return those values that are single numbers.

    Args:
        values: by name.
        refuse: called with each that is none.
    """
    numbers = {}
    for name, value in values.items():
        shape = getattr(value, "shape", ())
        if hasattr(type(value), "__float__") and all(length == 1 for length in shape):
            numbers[name] = value
        else:
            refuse(name, value)
    return numbers


def _is_over_update(trainer: Any) -> bool:
    """Say whether the loss is really a mean over the labels of the update.

    Many models take `num_items_in_batch` among any other arguments and then do nothing with it.
    """
    if trainer.compute_loss_func is not None:
        return True
    model = trainer.model
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # from within an adapter of PEFT's
    return _counts_items(type(inner).forward)


@functools.cache
def _counts_items(forward: Callable[..., Any]) -> bool:
    """Say whether a model hands the number of labels on to its loss, from how its code reads."""
    try:
        source = inspect.getsource(forward)
    except (OSError, TypeError):
        return False
    return "num_items_in_batch" in source or _HANDS_ON.search(source) is not None


def _is_scaled(trainer: Any, items: Any) -> bool:
    """Say whether the loss of a step is over the labels of the whole update: the trainer's own condition."""
    said = getattr(trainer, "loss_is_scaled_for_ga", None)
    if said is not None:
        return bool(said)
    return (trainer.model_accepts_loss_kwargs and items is not None) or trainer.compute_loss_func is not None


def _items_in(trainer: Any, inputs: Mapping[str, Any]) -> Any:
    """Return how many labels count in a batch, as the trainer counts them; it would ask the other processes too."""
    labels = inputs.get("shift_labels", inputs.get("labels"))
    if not hasattr(labels, "ne"):
        return None
    if "shift_labels" not in inputs and getattr(trainer, "_loss_shifts_labels", False):
        labels = labels[..., 1:]
    return labels.ne(IGNORED).sum()


def _alone(values: dict[str, Any]) -> Any:
    return next(iter(values.values())) if len(values) == 1 else values
