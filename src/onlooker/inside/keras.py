"""Keras' variables: what they hold is a tensor of the backend, which another file here knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import each, find_begin


def begin(key: Any, variable: Any) -> Any:
    """Return what a variable's tensor looks like, or the numbers from which it will be told.

    Raises:
        LookError: it holds no numbers.
    """
    tensor = variable.value
    return find_begin(tensor)(key, tensor)


def begin_all(variables: Mapping[Any, Any]) -> dict[Any, Any]:
    """Do what `begin` does with several variables."""
    return each("begin", _values(variables))


def keep_all(variables: Mapping[Any, Any], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return copies of what variables hold."""
    return each("keep", _values(variables), kept)


def begin_difference_all(variables: Mapping[Any, Any], kept: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return what the variables' tensors less what was kept of them look like, or the errors."""
    return each("begin_difference", _values(variables), kept)


def _values(variables: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: variable.value for key, variable in variables.items()}
