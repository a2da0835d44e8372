"""Keras' variables: what they hold is a tensor of the backend, which another file here knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onlooker.core.summary import Summary

from . import summarise_all as summarise_tensors


def summarise_all(tensors: Mapping[str, Any]) -> dict[str, Summary]:
    """Return what variables look like, by name.

    Raises:
        LookError: one holds no numbers.
    """
    return summarise_tensors({name: variable.value for name, variable in tensors.items()})
