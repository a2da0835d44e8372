"""What a run is asked for, looked at before it is passed on, so that every host refuses the same in the same words.

Owns these refusals. Whether a host or a model can give what is asked for is the view's to say.
"""

from __future__ import annotations

from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = "onlooker.Scalars({name: number}), Picture, Summaries or Alert"
"""The records that there are."""


def check_record(record: object) -> None:
    """Refuse what no sink would know what to do with.

    Raises:
        TypeError: it is no record.
    """
    if not isinstance(record, Record):
        raise TypeError(f"run.record() takes a record, not {record!r:.80}; records are {KINDS}")


def check_pattern(asked: str, pattern: object) -> None:
    """Refuse what is no pattern on names.

    Args:
        asked: the name of what is asked for, for the message.
        pattern: a shell pattern, or None.

    Raises:
        TypeError: it is neither.
    """
    if pattern is not None and not isinstance(pattern, str):
        raise TypeError(
            f"run.{asked}({pattern!r:.80}): give a name, or a pattern on names such as 'encoder.*', or nothing for all"
        )


def check_learning_rate(value: Any) -> None:
    """Refuse what can be no learning rate.

    Args:
        value: a number, or several by name.

    Raises:
        TypeError: it is, or one of them is, no number.
        ValueError: it is not finite, or below 0.
    """
    if isinstance(value, dict):
        for name, rate in value.items():
            _check_rate(f"run.learning_rate[{name!r}]", rate)
    else:
        _check_rate("run.learning_rate", value)


def check_factor(factor: Any) -> None:
    """Refuse what no learning rate can be multiplied by.

    Raises:
        TypeError: it is no number.
        ValueError: it is not finite, or below 0.
    """
    _check_rate("the factor of run.scale_learning_rate", factor)


def _check_rate(name: str, value: Any) -> None:
    """Refuse what is no finite number of at least 0. An array of one element is a number."""
    words = f"{name} must be a finite number of at least 0, not {value!r:.80}"
    if isinstance(value, str | bytes | bool | list | tuple):
        raise TypeError(words)
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(words) from None
    if not 0 <= number < float("inf"):
        raise ValueError(words)
