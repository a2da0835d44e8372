"""What may be passed to `Trainer`, and what is said where something else is: before a training, not within it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

SEEDS = 2**64
"""How many seeds PyTorch's generators tell apart."""


def check_model(model: Any, optimizer: Any) -> None:
    """Refuse what is no module, and an optimizer that would train another.

    Raises:
        TypeError: one of them is of the wrong kind.
        ValueError: the optimizer holds none of the module's parameters.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"Trainer trains a torch.nn.Module, not {type(model).__qualname__} {model!r:.60}")
    if optimizer is None:
        return
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer={optimizer!r:.60} must be one: torch.optim.Adam(model.parameters())")
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
        raise ValueError(
            "the optimizer holds none of the model's parameters, so nothing would be learnt; "
            "make it of the model: torch.optim.Adam(model.parameters())"
        )


def check_functions(loss: Any, metrics: Any) -> None:
    """Refuse a loss or metrics that cannot be called with outputs and targets.

    Raises:
        TypeError: one of them is of the wrong kind.
        ValueError: a metric takes the name of the loss.
    """
    if isinstance(loss, type):
        raise TypeError(f"loss={loss.__qualname__} is a class; pass an instance: loss={loss.__qualname__}()")
    if loss is not None and not callable(loss):
        raise TypeError(f"loss={loss!r} must be a function of the outputs and the targets")
    if metrics is not None and not isinstance(metrics, Mapping):
        raise TypeError(f"metrics={metrics!r:.60} must be a dict of functions by name: metrics={{'accuracy': ...}}")
    for name, metric in (metrics or {}).items():
        if not callable(metric):
            raise TypeError(f"metrics[{name!r}]={metric!r} must be a function of the outputs and the targets")
        if name == "loss":
            raise ValueError("metrics may not be named 'loss', which is the loss itself")


def check_settings(accumulate: Any, clips: dict[str, Any], autocast: Any, seed: Any) -> None:
    """Refuse numbers out of their range, and a precision that is no type of PyTorch's.

    Raises:
        TypeError: `autocast` is no type of PyTorch's.
        ValueError: a number is out of its range.
    """
    if not _is_whole(accumulate) or accumulate < 1:
        raise ValueError(f"accumulate={accumulate!r} must be a whole number of at least 1")
    for name, limit in clips.items():
        if limit is not None and not _is_positive(limit):
            raise ValueError(f"{name}={limit!r} must be a positive number, or None")
    if autocast is not None and not isinstance(autocast, torch.dtype):
        raise TypeError(f"autocast={autocast!r} must be torch.bfloat16, torch.float16 or None")
    if seed is not None and not (_is_whole(seed) and 0 <= seed < SEEDS):
        raise ValueError(f"seed={seed!r} must be a whole number of at least 0 and less than 2**64, or None")


def check_split(split: Any) -> None:
    """Refuse a way to split batches that cannot be called.

    Raises:
        TypeError: it is no function.
    """
    if split is not None and not callable(split):
        raise TypeError(
            f"split={split!r:.60} must be a function of a batch that returns its inputs and targets: "
            f"split=lambda batch: (batch['image'], batch['label'])"
        )


def check_epochs(epochs: Any) -> None:
    """Refuse what is no number of epochs: often the targets, which belong into one tuple with the inputs.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is negative.
    """
    if not _is_whole(epochs):
        shown = f"={epochs!r}" if isinstance(epochs, str | int | float) else ""  # not a whole array
        raise TypeError(
            f"epochs{shown} is a {type(epochs).__qualname__}, but must be a whole number; "
            f"inputs and targets are passed as one tuple: fit((x, y), epochs=10)"
        )
    if epochs < 0:
        raise ValueError(f"fit(epochs={epochs}) is negative; expected 0 or more")


def _is_positive(value: Any) -> bool:
    try:
        return not isinstance(value, str | bool) and float(value) > 0
    except (TypeError, ValueError, RuntimeError):  # no number, or an array of several
        return False


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool | torch.Tensor)
