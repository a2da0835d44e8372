"""Logs as Keras' own callbacks know them: a plain dict, of which what they have changed goes back into ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from .keras_facade_number import NumberFacade


def plain_logs(logs: Any) -> dict[str, Any]:
    """Return logs as Keras gives them: a plain dict, sorted, of floats where that can be."""
    return {name: _plain_value(value) for name, value in sorted((logs or {}).items())}


def _plain_value(value: Any) -> Any:
    if type(value) is float:
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, int | np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return float(value)
    return value


def carry_over(given: dict[str, Any], plain: dict[str, Any], logs: Any) -> None:
    """Put into the logs what a callback has changed in its copy."""
    for name, value in plain.items():
        if name not in given or value is not given[name]:
            logs[name] = value.value if isinstance(value, NumberFacade) else value
    for name in given:
        if name not in plain:
            del logs[name]
