"""What `Logs` and the views need of an array library: one file for each, found by the type of a value.

A library's file is loaded only when one of its arrays turns up, and then the library is loaded already.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from onlooker.core.logs import ArrayLibrary

_FILES = {"torch": "torch", "numpy": "numpy", "jax": "jax", "jaxlib": "jax"}
"""By the root module of an array's class, the file here that knows it."""

_found: dict[type, ArrayLibrary | None] = {}


def find_library(value: object) -> ArrayLibrary | None:
    """Return what knows the array library of a value, or None where the value is no array."""
    kind = type(value)
    try:
        return _found[kind]
    except KeyError:
        pass
    library: ArrayLibrary | None = None
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in _FILES and root in sys.modules:
            candidate: Any = import_module(f"{__name__}.{_FILES[root]}")
            if candidate.is_array(value):
                library = candidate
                break
    _found[kind] = library
    return library


def batch_size(data: object, depth: int = 3) -> int:
    """Return the length of the first axis of the first array in what a loader yielded, else 1.

    A guess, and a good one for the usual batches. Time-major batches and packed sequences defeat any guess.

    Example:
        >>> import numpy
        >>> batch_size((numpy.zeros((32, 10)), numpy.zeros(32))), batch_size({"text": ["a", "b"]})
        (32, 1)
    """
    # The usual pair of inputs and targets, without a detour.
    kind = type(data)
    first = data[0] if (kind is tuple or kind is list) and data else data  # type: ignore[index]
    shape = getattr(first, "shape", None)
    if isinstance(shape, tuple) and shape:
        length = shape[0]
        return (length if type(length) is int else int(length)) or 1
    return _first_axis(data, depth) or 1


def _first_axis(data: Any, depth: int) -> int | None:
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else 1
    if not depth or isinstance(data, str | bytes):
        return None
    if isinstance(data, tuple | list):
        items = data
    elif hasattr(data, "keys") and hasattr(data, "values"):
        items = list(data.values())
    else:
        return None
    for item in items[:8]:  # a list of a million words holds no array behind the first few
        found = _first_axis(item, depth - 1)
        if found is not None:
            return found
    return None
