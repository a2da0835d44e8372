"""Weights and gradients as callbacks ask for them: NumPy's arrays or the library's own, views or copies.

Owns what is said where that cannot be. How it is done is in the file of each library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from onlooker.core.errors import LookError

from . import find_library


class Handing(Protocol):
    """What handing out arrays needs of an array library."""

    def copied(self, array: Any) -> Any:
        """Return a copy, where the array is."""

    def as_numpy(self, array: Any, copy: bool) -> Any:
        """Return an array of NumPy's, which shares the memory where it can, unless a copy is asked for.

        Raises:
            TypeError: there can be none; the message says of "it" why.
        """


def handed_out(arrays: Mapping[str, Any], numpy: bool, copy: bool) -> dict[str, Any]:
    """Return arrays by name as they are asked for.

    Args:
        arrays: of PyTorch, JAX or NumPy, by the name of their weight.
        numpy: whether to return NumPy's, sharing the memory where that can be.
        copy: whether to return copies, which stay as they are when the training goes on.

    Raises:
        LookError: one is no array, or cannot be one of NumPy's; the message names it.

    Example:
        >>> import numpy
        >>> weights = {"weight": numpy.zeros(2)}
        >>> copies = handed_out(weights, numpy=True, copy=True)
        >>> weights["weight"] += 1
        >>> copies["weight"].tolist()
        [0.0, 0.0]
    """
    return {name: _handed_out(name, array, numpy, copy) for name, array in arrays.items()}


def _handed_out(name: str, array: Any, numpy: bool, copy: bool) -> Any:
    library = cast("Handing | None", find_library(type(array)))
    if library is None:
        raise LookError(f"{name!r} is a {type(array).__qualname__}; expected a tensor of PyTorch, JAX or NumPy")
    if not numpy:
        return library.copied(array)
    try:
        return library.as_numpy(array, copy)
    except TypeError as error:
        raise LookError(f"{name!r} cannot be had as an array of NumPy: {error}") from error
