"""Looks at tensors: one file for each array library, all with the same numbers.

Owns which file is for which tensor. What a summary is stands in `core.summary`. A library's file is loaded only when
one of its tensors turns up.
"""

from __future__ import annotations

import sys
from importlib import import_module

from onlooker.core.errors import LookError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from onlooker.core.summary import Summary

_FILES = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "numpy": "numpy", "keras": "keras"}
"""By the root module of a tensor's class, the file here that knows it."""


def summarise(tensor: Any) -> Summary:
    """Return what a tensor looks like.

    Args:
        tensor: of PyTorch, JAX or NumPy, or a Keras variable; a number, or nested lists of numbers.

    Raises:
        LookError: it is no tensor of numbers, or of a kind that cannot be summarised; the message says why.

    Example:
        >>> import numpy
        >>> summarise(numpy.zeros((2, 3)))
        <Summary of 2×3 float64: 0 to 0, mean 0 ± 0, norm 0, 100% zero>
    """
    return summarise_all({"": tensor})[""]


def summarise_all(tensors: Mapping[str, Any]) -> dict[str, Summary]:
    """Return what several tensors look like, by name. Of those on one device, all numbers come in one transfer.

    Raises:
        LookError: one is no tensor of numbers, or of a kind that cannot be summarised.
    """
    by_file: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        by_file.setdefault(_file_of(tensor), {})[name] = tensor
    found: dict[str, Summary] = {}
    for file, some in by_file.items():
        found |= import_module(f"{__name__}.{file}").summarise_all(some)
    return {name: found[name] for name in tensors}


def _file_of(tensor: Any) -> str:
    for kind in type(tensor).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in _FILES and root in sys.modules:
            return _FILES[root]
    if isinstance(tensor, int | float | complex | list | tuple):
        return "numpy"
    raise LookError(f"{tensor!r:.60} is a {type(tensor).__qualname__}; expected a tensor of PyTorch, JAX or NumPy")
