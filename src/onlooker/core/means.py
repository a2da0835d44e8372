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


class _Entry:
    """What was logged under one name: the sum so far, and the value of the batch at hand, which is not in it yet.

    Attributes:
        total: the sum of value times weight, a float or a `DeviceValue`.
        weight: the sum of the weights.
        value: the batch's own value; None where it has none.
        value_weight: and its weight.
    """

    __slots__ = ("total", "value", "value_weight", "weight")

    def __init__(self) -> None:
        self.total: Any = 0.0
        self.weight = 0.0
        self.value: Any = None
        self.value_weight = 0.0


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

    __slots__ = ("_entries", "_find_library", "_is_lazy", "_warned", "_where")

    def __init__(self, find_library: Callable[[Any], ArrayLibrary | None], where: Callable[[], str]) -> None:
        self._find_library = find_library
        self._where = where
        self._entries: dict[str, _Entry] = {}
        self._is_lazy = False
        self._warned: set[str] = set()

    def log(self, values: Mapping[str, Any], weight: float) -> None:
        """Take values of the batch at hand; a name that comes twice in one batch counts with its last value.

        Raises:
            LogError: a value is no single number.
        """
        entries, find_library = self._entries, self._find_library
        for name, value in values.items():
            if type(value) is not float:
                value = as_number(name, value, find_library)
                if type(value) is DeviceValue:
                    self._is_lazy = True
            if value != value:  # never so for one on a device
                self._warn_of_nan(name)
            try:
                entry = entries[name]
            except KeyError:
                entry = entries[name] = _Entry()
            entry.value = value
            entry.value_weight = weight

    def end_batch(self) -> None:
        """Fold the batch at hand into the means."""
        for entry in self._entries.values():
            if entry.value is not None:
                entry.total = _add(entry.total, entry.value, entry.value_weight)
                entry.weight += entry.value_weight
                entry.value = None

    def batch_logs(self) -> Logs:
        """Return the means including the batch at hand, with that batch's own values. Ends the batch."""
        batch = {}
        if self._is_lazy:
            for name, entry in self._entries.items():
                if entry.value is not None:
                    batch[name] = entry.value
            self.end_batch()
            return self.mean(batch)
        # With floats alone it is the same, in one pass.
        logs = Logs()
        for name, entry in self._entries.items():
            value = entry.value
            if value is not None:
                weight = entry.value_weight
                batch[name] = value
                entry.total += value * weight
                entry.weight += weight
                entry.value = None
            logs[name] = entry.total / entry.weight
        logs._batch = batch
        return logs

    def mean(self, batch: dict[str, Any] | None = None) -> Logs:
        """Return the means so far, without a batch that has not ended.

        Args:
            batch: the values of a batch, to go with them as `logs.batch`.
        """
        means = {name: _mean(entry.total, entry.weight) for name, entry in self._entries.items() if entry.weight}
        return LazyLogs(means, batch, self._notice) if self._is_lazy else Logs.of_batch(means, batch)

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
    if isinstance(value, str | bytes) or not hasattr(type(value), "__float__"):
        raise LogError(f"{name!r} was logged as {value!r}, a {type(value).__qualname__}; expected a single number")
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise LogError(f"{name!r} was logged as {value!r}, which is no single number: {error}") from error


def _mean(total: Any, weight: float) -> Any:
    if type(total) is float:
        return total / weight
    return DeviceValue(total.library, total.array, weight)


def _add(total: Any, value: Any, weight: float) -> Any:
    """Return `total + value * weight`: a new object where it is on a device, since a kept `Logs` may have the old."""
    if type(value) is float:
        if type(total) is float:
            return total + value * weight
        return DeviceValue(total.library, total.array + value * weight)
    library, array = value.library, value.array
    if type(total) is float:
        scaled = library.scale(array, weight)
        return DeviceValue(library, scaled + total if total else scaled)
    return DeviceValue(library, library.add(total.array, array, weight))
