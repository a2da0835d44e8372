"""The number of steps as a Keras callback knows it: the optimizer's `iterations`, a variable that is only read here."""

from __future__ import annotations

from typing import Any, NoReturn

from onlooker.core.errors import AbsentError

from .keras_facade_number import NumberFacade


class StepsFacade(NumberFacade):
    """How many steps the run has made.

    Args:
        read: returns the number.
    """

    name = "iteration"
    dtype = "int64"

    def __index__(self) -> int:
        return int(self.value)

    def assign(self, value: Any) -> NoReturn:
        """Refuse to set it.

        Raises:
            AbsentError: always.
        """
        raise AbsentError("the optimizer's iterations are the steps of the run, which are counted: they cannot be set")

    assign_add = assign_sub = assign
