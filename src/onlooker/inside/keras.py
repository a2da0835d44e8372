"""Keras' variables: what they hold is a tensor of the backend, which another file here knows."""

from __future__ import annotations

from typing import Any

from . import find_begin


def begin(key: Any, variable: Any) -> Any:
    """Return what a variable's tensor looks like, or the numbers from which it will be told.

    Raises:
        LookError: it holds no numbers.
    """
    tensor = variable.value
    return find_begin(tensor)(key, tensor)
