"""A learning rate as a Keras callback knows it: a variable that can be assigned to.

Which rate it is, and how it is set, is its optimizer's business; what it answers to otherwise, that of any number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .keras_facade_number import NumberFacade

if TYPE_CHECKING:
    from collections.abc import Callable


class RateFacade(NumberFacade):
    """One learning rate.

    Args:
        read: returns the rate.
        write: sets it, for the next step.
    """

    name = "learning_rate"
    dtype = "float64"

    def __init__(self, read: Callable[[], float], write: Callable[[float], None]) -> None:
        super().__init__(read)
        self._write = write

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
