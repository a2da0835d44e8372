"""A number of an optimizer's as a Keras callback knows it: a variable that can be read and reckoned with.

Owns what such a number answers to. Which it is, and whether it can be set, is said in a class of its own for each.
"""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def _operator(function: Callable[[Any, Any], Any]) -> Any:
    """Return the method that calls a function with its number and something else."""

    def method(self: NumberFacade, other: Any) -> Any:
        return function(self.value, other.value if isinstance(other, NumberFacade) else other)

    return method


def _reflected(function: Callable[[Any, Any], Any]) -> Any:
    """Return the method for it on the right of an operator."""

    def method(self: NumberFacade, other: Any) -> Any:
        return function(other, self.value)

    return method


class NumberFacade:
    """One number, under the names that a `keras.Variable` has. It is live: reading gives what it is now.

    What is reckoned with it is a plain number.

    Attributes:
        name: what Keras calls it.
        shape: of a number.
        dtype: the type's name, as Keras writes it.

    Args:
        read: returns the number.
    """

    name = ""
    shape = ()
    dtype = ""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    @property
    def value(self) -> Any:
        """The number itself."""
        return self._read()

    def numpy(self) -> NDArray[Any]:
        """Return the number as an array of shape ()."""
        return np.asarray(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.value, digits)

    def __format__(self, form: str) -> str:
        return format(self.value, form)

    def __jax_array__(self) -> Any:
        """Return it for Keras on JAX."""
        return sys.modules["jax"].numpy.asarray(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.value, dtype)

    __eq__ = _operator(operator.eq)
    __ne__ = _operator(operator.ne)
    __lt__, __gt__ = _operator(operator.lt), _operator(operator.gt)
    __le__, __ge__ = _operator(operator.le), _operator(operator.ge)
    __add__, __radd__ = _operator(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _operator(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _operator(operator.truediv), _reflected(operator.truediv)
    __floordiv__, __rfloordiv__ = _operator(operator.floordiv), _reflected(operator.floordiv)
    __mod__, __rmod__ = _operator(operator.mod), _reflected(operator.mod)
    __pow__, __rpow__ = _operator(operator.pow), _reflected(operator.pow)

    def __neg__(self) -> Any:
        return -self.value
