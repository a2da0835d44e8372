"""Keras' variables: what they hold is a tensor of the backend, which another file here knows."""

from __future__ import annotations

from typing import Any

from . import file_of, find_begin


def begin(key: Any, variable: Any) -> Any:
    """Return what a variable's tensor looks like, or the numbers from which it will be told.

    Raises:
        LookError: it holds no numbers.
    """
    tensor = variable.value
    return find_begin(tensor)(key, tensor)


def keep(variable: Any, kept: Any) -> Any:
    """Return a copy of what a variable holds."""
    tensor = variable.value
    return file_of(tensor).keep(tensor, kept)


def begin_difference(key: Any, variable: Any, kept: Any) -> Any:
    """Return what a variable's tensor less what was kept of it looks like.

    Raises:
        LookError: it holds no numbers, or is no longer what was kept.
    """
    tensor = variable.value
    return file_of(tensor).begin_difference(key, tensor, kept)
