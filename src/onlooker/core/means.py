"""`Means`: what was logged in a stage, as running means weighted by the batch size.

Owns the sums. It never waits for a device: numbers there are detached, copied, and added up where they are.
"""

from __future__ import annotations

from .errors import LogError, warn
from .logs import DeviceValue, LazyLogs, Logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .logs import ArrayLibrary


class Means:
    """Running means of the values of one stage.

    Args:
        find_library: returns the array library of a value, or None for what is no array.
        where: says where the run stands, for messages, for example `"epoch 3, batch 12"`.

    Example:
        >>> means = Means(lambda value: None, lambda: "epoch 0")
        >>> means.log({"loss": 1.0}, weight=32)
        >>> means.end_batch()
        >>> means.log({"loss": 2.0}, weight=16)
        >>> means.end_batch()
        >>> round(means.mean()["loss"], 3)  # not 1.5: the last batch was smaller
        1.333
    """

    __slots__ = ("_batch", "_find_library", "_is_lazy", "_sums", "_warned", "_weights", "_where")

    def __init__(self, find_library: Callable[[Any], ArrayLibrary | None], where: Callable[[], str]) -> None:
        self._find_library = find_library
        self._where = where
        self._sums: dict[str, list[Any]] = {}  # by name: the sum, a float or a DeviceValue, and the total weight
        self._batch: dict[str, Any] = {}  # this batch's own values
        self._weights: dict[str, float] = {}  # and their weights
        self._is_lazy = False
        self._warned: set[str] = set()

    def log(self, values: Mapping[str, Any], weight: float) -> None:
        """Take values of the batch at hand; a name that comes twice in one batch counts with its last value.

        Raises:
            LogError: a value is no single number.
        """
        batch, weights = self._batch, self._weights
        for name, value in values.items():
            if type(value) is not float:
                value = as_number(name, value, self._find_library)
            if type(value) is DeviceValue:
                self._is_lazy = True
            elif value != value:
                self._warn_of_nan(name)
            batch[name] = value
            weights[name] = weight

    def end_batch(self) -> None:
        """Fold the batch at hand into the means."""
        sums, weights = self._sums, self._weights
        for name, value in self._batch.items():
            weight = weights[name]
            entry = sums.get(name)
            if entry is None:
                sums[name] = [_times(value, weight), weight]
            else:
                total = entry[0]
                if type(total) is float and type(value) is float:
                    entry[0] = total + value * weight
                else:
                    entry[0] = _add(total, value, weight)
                entry[1] += weight
        # New ones, not emptied ones: a `Logs` may have kept the old.
        self._batch, self._weights = {}, {}

    def batch_logs(self) -> Logs:
        """Return the means including the batch at hand, with that batch's own values. Ends the batch."""
        batch = self._batch
        self.end_batch()
        return self.mean(batch)

    def mean(self, batch: dict[str, Any] | None = None) -> Logs:
        """Return the means so far.

        Args:
            batch: the values of a batch, to go with them as `logs.batch`.
        """
        if self._is_lazy:
            return LazyLogs({name: _mean(*entry) for name, entry in self._sums.items()}, batch, self._notice)
        logs = Logs()
        for name, (total, weight) in self._sums.items():
            logs[name] = total / weight
        logs._batch = batch
        return logs

    def _notice(self, fetched: dict[str, float]) -> None:
        for name, number in fetched.items():
            if number != number:
                self._warn_of_nan(name)

    def _warn_of_nan(self, name: str) -> None:
        if name in self._warned:
            return
        self._warned.add(name)
        warn(f"{name!r} is NaN ({self._where()}), and so is its mean over the epoch from here on")


def as_number(name: str, value: Any, find_library: Callable[[Any], ArrayLibrary | None]) -> float | DeviceValue:
    """Return a logged value as a float, or as a snapshot on its device.

    Raises:
        LogError: it is no single number.
    """
    kind = type(value)
    if kind is float or kind is int:
        return float(value)
    library = find_library(value)
    if library is not None:
        try:
            number = library.read(value)
            return DeviceValue(library, library.snapshot(value)) if number is None else number
        except (RuntimeError, TypeError, ValueError) as error:
            shape = tuple(value.shape)
            raise LogError(
                f"{name!r} was logged as an array of shape {shape} and type {value.dtype}; expected a single number: "
                f"log its mean, for example {name}=value.mean()"
            ) from error
    if isinstance(value, str | bytes) or not hasattr(kind, "__float__"):
        raise LogError(f"{name!r} was logged as {value!r}, a {kind.__qualname__}; expected a single number")
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise LogError(f"{name!r} was logged as {value!r}, which is no single number: {error}") from error


def _mean(total: Any, weight: float) -> Any:
    if type(total) is float:
        return total / weight
    return DeviceValue(total.library, total.array, weight)


def _times(value: Any, weight: float) -> Any:
    if type(value) is float:
        return value * weight
    return DeviceValue(value.library, value.library.scale(value.array, weight))


def _add(total: Any, value: Any, weight: float) -> Any:
    """Add where at least one of the two is on a device; a new object, since a kept `Logs` may have the old."""
    if type(value) is float:
        return DeviceValue(total.library, total.array + value * weight)
    if type(total) is float:
        return DeviceValue(value.library, value.library.scale(value.array, weight) + total)
    return DeviceValue(total.library, total.library.add(total.array, value.array, weight))
