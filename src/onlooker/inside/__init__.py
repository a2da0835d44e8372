"""Looks at tensors: one file for each array library, all with the same numbers.

Owns which file is for which tensor. What a summary is stands in `core.summary`. A library's file is loaded only when
one of its tensors turns up.
"""

from __future__ import annotations

import sys
from importlib import import_module

from onlooker.core.errors import LookError
from onlooker.core.summary import Summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_FILES = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "numpy": "numpy", "keras": "keras"}
"""By the root module of a tensor's class, the file here that knows it."""


class Look:
    """Looks at tensors as they come by, and fetches all numbers together: one transfer for each device.

    A tensor may be changed, or let go, as soon as it was added.

    Example:
        >>> import numpy
        >>> look = Look()
        >>> look.add("weights", numpy.ones(3))
        >>> look.fetch()["weights"].mean
        1.0
    """

    def __init__(self) -> None:
        self._found: dict[Any, Any] = {}

    def add(self, key: Any, tensor: Any) -> None:
        """Look at a tensor. Nothing is waited for.

        Args:
            key: under which its summary will be found; of two with the same, the last counts.
            tensor: of PyTorch, JAX or NumPy, or a Keras variable.

        Raises:
            LookError: it is no tensor of numbers, or of a kind that cannot be summarised.
        """
        begin = _begins.get(type(tensor)) or find_begin(tensor)
        self._found[key] = begin(key, tensor)

    def keep(self, tensor: Any, kept: Any = None) -> Any:
        """Return a copy of a tensor, to which `add_difference` compares it later.

        Args:
            tensor: as in `add`.
            kept: an earlier copy of the same tensor: its memory is used again, and nothing is copied where it holds
                the tensor's values already.
        """
        return file_of(tensor).keep(tensor, kept)

    def add_difference(self, key: Any, tensor: Any, kept: Any) -> None:
        """Look at what a tensor is now less what was kept of it. On the CPU that is one pass over both.

        Args:
            key: as in `add`.
            tensor: as it is now.
            kept: what `keep` returned. It may be kept on, for the next difference.

        Raises:
            LookError: it is no tensor of numbers, or its shape or type is no longer the same.

        Example:
            >>> import numpy
            >>> look, weights = Look(), numpy.ones(3, dtype="float32")
            >>> kept = look.keep(weights)
            >>> weights -= 0.5
            >>> look.add_difference("updates", weights, kept)
            >>> look.fetch()["updates"].mean
            -0.5
        """
        self._found[key] = file_of(tensor).begin_difference(key, tensor, kept)

    def fetch(self) -> dict[Any, Summary]:
        """Return what the tensors looked like, by key, in the order in which they were added."""
        waiting: dict[str, list[Any]] = {}
        for key, found in self._found.items():
            if not isinstance(found, Summary):
                waiting.setdefault(type(found).__module__, []).append(key)
        for module, keys in waiting.items():
            summaries = sys.modules[module].finish([self._found[key] for key in keys])
            self._found.update(zip(keys, summaries, strict=True))
        return self._found


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
    look = Look()
    look.add("", tensor)
    return look.fetch()[""]


def summarise_all(tensors: Mapping[Any, Any]) -> dict[Any, Summary]:
    """Return what several tensors look like, by name. Of those on one device, all numbers come in one transfer.

    Raises:
        LookError: one is no tensor of numbers, or of a kind that cannot be summarised.
    """
    look = Look()
    for name, tensor in tensors.items():
        look.add(name, tensor)
    return look.fetch()


_begins: dict[type, Callable[[Any, Any], Any]] = {}
_files: dict[type, Any] = {}


def find_begin(tensor: Any) -> Callable[[Any, Any], Any]:
    """Return what looks at tensors of this type, and remember it."""
    begin: Callable[[Any, Any], Any] = file_of(tensor).begin
    _begins[type(tensor)] = begin
    return begin


def file_of(tensor: Any) -> Any:
    """Return the module here that knows tensors of this type, and remember it.

    Raises:
        LookError: there is none.
    """
    kind = type(tensor)
    if kind in _files:
        return _files[kind]
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in _FILES and root in sys.modules:
            file = _FILES[root]
            break
    else:
        if not isinstance(tensor, int | float | complex | list | tuple):
            raise LookError(f"{tensor!r:.60} is a {kind.__qualname__}; expected a tensor of PyTorch, JAX or NumPy")
        file = "numpy"
    _files[kind] = module = import_module(f"{__name__}.{file}")
    return module
