"""`numbers_in`: the numbers among logs.

Logs hold what hosts and callbacks put there; what is kept as a curve or shown as a loss must be a number.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def numbers_in(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return as floats what is a single number: Python's, or an array of any library with one element.

    Example:
        >>> numbers_in({"loss": 0.5, "note": "warm-up", "steps": 3})
        {'loss': 0.5, 'steps': 3.0}
    """
    found = {}
    for name, value in logs.items():
        number = _as_float(value)
        if number is not None:
            found[name] = number
    return found


def _as_float(value: Any) -> float | None:
    if type(value) is float:
        return value
    if not hasattr(value, "__float__"):
        return None
    shape = getattr(value, "shape", ())
    if any(length != 1 for length in shape):
        return None
    try:
        return float(value.item() if shape else value)
    except (TypeError, ValueError, OverflowError):  # NumPy gives every array, also one of words, a `__float__`
        return None
