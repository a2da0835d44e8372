"""Whether more or less of a monitored number is better, where a Keras callback leaves that to Keras (`mode="auto"`).

Keras asks its model's metrics. Here are none, so the name has to tell, and where it does not, the callback is refused
when it is attached instead of when the first epoch ends.
"""

from __future__ import annotations

import sys
from typing import Any

from onlooker.core.errors import AttachError, nearest

LESS = ("loss", "error")
MORE = ("accuracy", "acc", "auc")
"""How names end that Keras does not know as metrics."""


def settle_direction(callback: Any) -> None:
    """Set `mode` of a callback that monitors something and has `mode="auto"`; leave any other callback alone.

    Raises:
        AttachError: nobody can tell what is better.
    """
    if not hasattr(callback, "monitor") or getattr(callback, "monitor_op", None) is not None:
        return
    if callback.mode == "auto":
        direction = find_direction(callback.monitor)
        if direction is None and not getattr(callback, "save_best_only", True):
            direction = "min"  # it saves every time, and asks only because it always asks
        if direction is None:
            guess = _likely_name(callback.monitor)
            hint = f"did you mean {guess!r}? Otherwise " if guess else ""
            raise AttachError(
                f"{type(callback).__name__}(monitor={callback.monitor!r}, mode='auto'): nobody can tell from the name "
                f"whether it should rise or fall; {hint}pass mode='max' or mode='min'"
            )
        callback.mode = direction
    if getattr(callback, "save_freq", "epoch") != "epoch":
        # Keras does this at the end of the first epoch, too late for a comparison at a batch within it.
        callback._set_monitor_op()


def find_direction(name: str) -> str | None:
    """Return `"min"` or `"max"`, or None where the name does not tell.

    Words in front of a known name do not matter, be they `val_`, another prefix of a test, or the name of a model.

    Example:
        >>> find_direction("val_loss"), find_direction("generator_loss"), find_direction("test_accuracy")
        ('min', 'min', 'max')
        >>> find_direction("score")
    """
    words = name.split("_")
    for start in range(len(words)):
        direction = _direction_in_keras("_".join(words[start:]))
        if direction:
            return direction
    if name.endswith(LESS):
        return "min"
    return "max" if words[-1] in MORE else None


def _likely_name(name: str) -> str | None:
    """Return the name that was probably meant, where a known one ends nearly like it."""
    front, divider, last = name.rpartition("_")
    guess = nearest(last, (*LESS, *MORE), cutoff=0.8)
    return f"{front}{divider}{guess}" if guess else None


def _direction_in_keras(metric: str) -> str | None:
    keras = sys.modules.get("keras")
    if keras is None:
        return None
    try:
        found = keras.metrics.get(metric)
    except (ValueError, TypeError):  # no such metric, or none that can be made without arguments
        return None
    return {"up": "max", "down": "min"}.get(getattr(found, "_direction", ""))
