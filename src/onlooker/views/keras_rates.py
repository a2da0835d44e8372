"""The learning rate of one of Keras' optimizers.

Owns how it is read and set, and who is refused.
"""

from __future__ import annotations

from typing import Any

import keras

from onlooker.core.errors import AbsentError


def rate_of(optimizer: Any) -> float:
    """Return the rate, of a schedule the current one."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def set_rate(optimizer: Any, value: float) -> None:
    """Set the rate.

    Raises:
        AbsentError: a schedule decides on it.
        TypeError: the value is no number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"a learning rate must be a number, not {value!r:.60}") from None
    try:
        optimizer.learning_rate = number
    except (TypeError, AttributeError) as error:  # Keras' own refusals of a schedule object and of a function
        raise AbsentError(
            f"the learning rate of {type(optimizer).__name__} follows a schedule, so it cannot be set; "
            f"give the optimizer a number, for example {type(optimizer).__name__}(learning_rate=0.001)"
        ) from error
