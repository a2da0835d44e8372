"""Optimizers by name, in whatever way they were passed. Whether one is of the right kind is for each view to say."""

from __future__ import annotations

from typing import Any


def by_name(optimizer: Any) -> dict[str, Any]:
    """Return optimizers by name: one alone under `""`, those of a list as `optimizer_0` and so on, none for None."""
    if optimizer is None:
        return {}
    if isinstance(optimizer, dict):
        return optimizer
    if isinstance(optimizer, list | tuple):
        return {f"optimizer_{number}": one for number, one in enumerate(optimizer)}
    return {"": optimizer}
