"""What `Logs` and the views need of an array library: one file for each, found by the type of a value.

A library's file is loaded only when one of its arrays turns up, and then the library is loaded already.
"""

from __future__ import annotations

import sys
from importlib import import_module

from onlooker.core.parts import attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from onlooker.core.logs import ArrayLibrary

_FILES = {"torch": "torch", "numpy": "numpy", "jax": "jax", "jaxlib": "jax"}
"""By the root module of an array's class, the file here that knows it."""

_SEQUENCES = (tuple, list)
_NUMBERS = (int, float, type(None))


def find_library(kind: type) -> ArrayLibrary | None:
    """Return what knows the arrays of a type, or None where it is no type of arrays."""
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in _FILES and root in sys.modules:
            candidate: Any = import_module(f"{__name__}.{_FILES[root]}")
            if candidate.has_type(kind):
                library: ArrayLibrary = candidate
                return library
    return None


def batch_size(data: Any) -> int:
    """Return the length of the first axis of the first array in what a loader yielded, else 1.

    A guess, and a good one for the usual batches. Time-major batches and packed sequences defeat any guess. Arrays that
    are attributes, as of dataclasses, count where there are no others; objects in a list are samples, and do not.

    Example:
        >>> import numpy
        >>> batch_size((numpy.zeros((32, 10)), numpy.zeros(32))), batch_size({"text": ["a", "b"]})
        (32, 1)
    """
    try:  # the usual pair of inputs and targets, without a detour
        size = (data[0] if type(data) in _SEQUENCES else data).shape[0]
        return (size if type(size) is int else int(size)) or 1
    except (AttributeError, LookupError, TypeError, ValueError):
        return _first_axis(data, 3) or _first_axis(data, 3, takes_objects=True) or 1


def _first_axis(data: Any, depth: int, takes_objects: bool = False) -> int | None:
    """Return the length of the first axis of the first array in it; None where there is none.

    Args:
        data: what is gone through.
        depth: how many more times it is taken apart.
        takes_objects: whether objects with arrays as attributes are taken apart, too.
    """
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else None  # one number for the whole batch says nothing of its size
    if not depth or isinstance(data, str | bytes):
        return None
    if isinstance(data, tuple | list):
        items = data
        takes_objects = takes_objects and not isinstance(data, list)  # there each would be a sample
    elif hasattr(data, "keys") and hasattr(data, "values"):
        items = list(data.values())
    elif takes_objects:
        items = _attributes(data)
    else:
        return None
    for item in items[:8]:  # a list of a million words holds no array behind the first few
        found = _first_axis(item, depth - 1, takes_objects)
        if found is not None:
            return found
    return None


def _attributes(data: Any) -> list[Any]:
    try:
        return [] if isinstance(data, _NUMBERS) else list(attributes(data).values())
    except Exception:  # of whatever the object's own class does there
        return []
