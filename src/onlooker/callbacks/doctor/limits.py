"""What the arguments of rules may be, and the messages about those that are not."""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class Limit:
    """The numbers that an argument may be.

    Args:
        least: the smallest.
        most: the largest; infinite by default, which itself is none of them.
        whole: whether only whole numbers are meant.
        open: whether the smallest itself is left out.
    """

    __slots__ = ("least", "most", "open", "whole")

    def __init__(self, least: float, most: float = math.inf, whole: bool = False, open: bool = False) -> None:
        self.least, self.most, self.whole, self.open = least, most, whole, open

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.open:
            return f"{kind} above {self.least:g}" + ("" if math.isinf(self.most) else f", and {self.most:g} at most")
        if math.isinf(self.most):
            return f"{kind} of at least {self.least:g}"
        return f"{kind} from {self.least:g} to {self.most:g}"

    def allows(self, value: Any) -> bool:
        """Say whether a value is such a number."""
        if isinstance(value, bool) or not hasattr(value, "__float__") or isinstance(value, str):
            return False
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):  # an array of several numbers, for example
            return False
        is_high = number > self.least if self.open else number >= self.least
        return is_high and number <= self.most and math.isfinite(number) and not (self.whole and number % 1)


SHARE = Limit(0, 1)
NUMBER_FROM_0 = Limit(0)
POSITIVE = Limit(0, open=True)
TIMES = Limit(1, open=True)
COUNT = Limit(1, whole=True)
COUNT_FROM_0 = Limit(0, whole=True)


def allowed(**limits: Limit) -> Mapping[str, Limit]:
    """Return what the arguments of a rule may be, by their names."""
    return limits


def check_number(rule: str, name: str, value: Any, limit: Limit) -> None:
    """Check a number that a rule was given.

    Raises:
        ValueError: it is none, or outside of the limit.
    """
    if not limit.allows(value):
        raise ValueError(f"{rule}: {name}={value!r} cannot be; expected {limit}")


def words(rule: str, name: str, value: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names that a rule was given, one or several.

    Raises:
        ValueError: they are no strings.
    """
    found = (value,) if isinstance(value, str) else value
    if isinstance(found, tuple | list | set | frozenset) and all(isinstance(one, str) for one in found):
        return tuple(found)
    raise ValueError(f"{rule}: {name}={value!r} cannot be; expected a string, or a list of them")


def word(rule: str, name: str, value: str) -> str:
    """Return the one name that a rule was given.

    Raises:
        ValueError: it is no string.
    """
    if isinstance(value, str):
        return value
    raise ValueError(f"{rule}: {name}={value!r} cannot be; expected a string")
