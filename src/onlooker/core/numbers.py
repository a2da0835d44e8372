"""`Numbers`: how a value that somebody logs is read, and what is kept of one that is on a device.

Owns the look-up by type and what an error says. Nothing here waits for a device.
"""

from __future__ import annotations

from .errors import LogError
from .logs import DeviceValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .logs import ArrayLibrary

FAULTS = (RuntimeError, TypeError, ValueError, OverflowError)
"""What array libraries raise where a value is no single number."""
TRIAL_LENGTH = 8
"""How many values of a name are copied before it is known that none of them is given away."""


class Numbers(dict[type, "Callable[[Any], float | None]"]):
    """By the type of a value, what reads it: returns a float, or None where that would wait for a device.

    A dict, which grows by itself, so that in each batch to find what reads a value calls nothing.

    Args:
        find_library: returns the array library of a type, or None for what is no type of arrays.

    Example:
        >>> Numbers(lambda kind: None)[int](3)
        3.0
    """

    __slots__ = ("_find_library", "_libraries", "_trials")

    def __init__(self, find_library: Callable[[type], ArrayLibrary | None]) -> None:
        self._find_library = find_library
        self._libraries: dict[type, ArrayLibrary] = {}
        self._trials: dict[str, _Trial] = {}

    def __missing__(self, kind: type) -> Callable[[Any], float | None]:
        library = self._find_library(kind)
        read: Callable[[Any], float | None]
        if library is not None:
            read, self._libraries[kind] = library.read, library
        elif issubclass(kind, str | bytes) or not hasattr(kind, "__float__"):
            read = _refuse
        else:
            read = float
        self[kind] = read
        return read

    def read(self, name: str, value: Any) -> float | DeviceValue:
        """Return a logged value as a float, or as a copy on its device.

        Raises:
            LogError: it is no single number.
        """
        try:
            number = self[type(value)](value)
            if number is not None:
                return float(number)
            library = self._libraries[type(value)]
            return DeviceValue(library, library.snapshot(value))
        except FAULTS as error:
            raise self.refusal(name, value, error) from error

    def keep(self, name: str, value: Any) -> DeviceValue:
        """Return what to keep of a value that is on a device, and comes again in each batch; it stays there.

        That is a copy, since the value may change. An array that cannot change is kept itself, once it is known that
        those of this name are not given away (in JAX: donated) after they were logged.
        """
        library = self._libraries[type(value)]
        if library.can_stay(value):
            trial = self._trials.get(name)
            if trial is None:
                trial = self._trials[name] = _Trial()
            if trial.is_passed(library, value):
                return DeviceValue(library, value)
        return DeviceValue(library, library.snapshot(value))

    def refusal(self, name: str, value: Any, error: Exception) -> LogError:
        """Return the error to raise for a value that could not be read."""
        if isinstance(error, OverflowError):
            return LogError(f"{name!r} was logged as a number that is too large: {error}; expected one below 1.8e308")
        if self._find_library(type(value)) is not None:
            return LogError(
                f"{name!r} was logged as an array of shape {tuple(value.shape)} and type {value.dtype}; expected a "
                f"single number: log its mean, for example {name}=value.mean()"
            )
        if self[type(value)] is _refuse:
            return LogError(f"{name!r} was logged as {value!r}, a {type(value).__qualname__}; expected a single number")
        return LogError(f"{name!r} was logged as {value!r}, which is no single number: {error}")


class _Trial:
    """Whether the arrays that are logged under one name are still there some batches later."""

    __slots__ = ("_arrays", "_verdict")

    def __init__(self) -> None:
        self._arrays: list[Any] = []
        self._verdict: bool | None = None

    def is_passed(self, library: ArrayLibrary, array: Any) -> bool:
        """Say so, and take one more array into account until it is decided."""
        if self._verdict is None:
            if any(map(library.is_gone, self._arrays)):
                self._verdict, self._arrays = False, []
            elif len(self._arrays) == TRIAL_LENGTH:
                self._verdict, self._arrays = True, []
            else:
                self._arrays.append(array)
        return self._verdict is True


def _refuse(value: Any) -> float:
    raise TypeError("it is no number")
