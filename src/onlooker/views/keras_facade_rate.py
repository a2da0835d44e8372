"""A learning rate as a Keras callback knows it: a variable that can be read, reckoned with, and assigned to.

Owns what a rate answers to. Which rate it is, and how it is set, is its optimizer's business.
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
    """Return the method that calls a function with the rate's number and something else."""

    def method(self: RateFacade, other: Any) -> Any:
        return function(self.value, other.value if isinstance(other, RateFacade) else other)

    return method


def _reflected(function: Callable[[Any, Any], Any]) -> Any:
    """Return the method for the rate on the right of an operator."""

    def method(self: RateFacade, other: Any) -> Any:
        return function(other, self.value)

    return method


class RateFacade:
    """One learning rate, under the names that a `keras.Variable` has. It is live: reading gives what is set now.

    What is reckoned with it is a plain number.

    Attributes:
        name: what Keras calls it.
        shape: of a number.
        dtype: the type's name, as Keras writes it.

    Args:
        read: returns the rate.
        write: sets it, for the next step.
    """

    name = "learning_rate"
    shape = ()
    dtype = "float64"

    def __init__(self, read: Callable[[], float], write: Callable[[float], None]) -> None:
        self._read = read
        self._write = write

    def __repr__(self) -> str:
        return f"RateFacade({self.value!r})"

    @property
    def value(self) -> float:
        """The number itself."""
        return self._read()

    def numpy(self) -> NDArray[Any]:
        """Return the number as an array of shape ()."""
        return np.asarray(self.value)

    def assign(self, value: Any) -> None:
        """Set the rate; it takes effect with the next step.

        Args:
            value: a number of any library, or another rate.
        """
        self._write(float(value))

    def assign_add(self, value: Any) -> None:
        """Add to the rate."""
        self.assign(self.value + float(value))

    def assign_sub(self, value: Any) -> None:
        """Take from the rate."""
        self.assign(self.value - float(value))

    def __float__(self) -> float:
        return self.value

    def __bool__(self) -> bool:
        return bool(self.value)

    def __round__(self, digits: int | None = None) -> float:
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
    __pow__, __rpow__ = _operator(operator.pow), _reflected(operator.pow)

    def __neg__(self) -> float:
        return -self.value
