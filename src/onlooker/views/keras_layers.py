"""The names of Keras' variables and layers.

Owns that names are the paths that Keras shows, and that each is there once.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any


def named(variables: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield variables under their paths, numbered where layers share a name."""
    seen: dict[str, int] = {}
    for variable in variables:
        seen[variable.path] = count = seen.get(variable.path, 0) + 1
        yield (variable.path if count == 1 else f"{variable.path}#{count}"), variable


def chosen_layers(model: Any, pattern: Any) -> list[tuple[str, Any]]:
    """Return layers by path: all that match a pattern, or those that hold no others and that a function chooses."""
    found = []
    for layer in model._flatten_layers(include_self=False):
        name = layer.path or layer.name  # only what has variables has a path
        is_leaf = not list(layer._flatten_layers(include_self=False))
        is_chosen = fnmatchcase(name, pattern) if isinstance(pattern, str) else is_leaf
        if is_chosen and (not callable(pattern) or pattern(name)):
            found.append((name, layer))
    return found
