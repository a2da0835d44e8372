"""`Means`: what was logged in a stage, as running means weighted by the batch size; `Numbers`: how a value is read.

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

_FAULTS = (RuntimeError, TypeError, ValueError)
"""What array libraries raise where a value is no single number."""


class Numbers(dict[type, "Callable[[Any], float | None]"]):
    """By the type of a value, what reads it: returns a float, or None where that would wait for a device.

    A dict, which grows by itself, so that in each batch to find what reads a value calls nothing.

    Args:
        find_library: returns the array library of a type, or None for what is no type of arrays.

    Example:
        >>> Numbers(lambda kind: None)[int](3)
        3.0
    """

    __slots__ = ("_find_library",)

    def __init__(self, find_library: Callable[[type], ArrayLibrary | None]) -> None:
        self._find_library = find_library

    def __missing__(self, kind: type) -> Callable[[Any], float | None]:
        library = self._find_library(kind)
        read: Callable[[Any], float | None]
        if library is not None:
            read = library.read
        elif issubclass(kind, str | bytes) or not hasattr(kind, "__float__"):
            read = _refuse
        else:
            read = float
        self[kind] = read
        return read

    def read(self, name: str, value: Any) -> float | DeviceValue:
        """Return a logged value as a float, or as a snapshot on its device.

        Raises:
            LogError: it is no single number.
        """
        try:
            number = self[type(value)](value)
            return self.snapshot(value) if number is None else number
        except _FAULTS as error:
            raise self.refusal(name, value, error) from error

    def snapshot(self, value: Any) -> DeviceValue:
        """Return a copy of a value that is on a device; it stays there."""
        library: Any = self._find_library(type(value))
        return DeviceValue(library, library.snapshot(value))

    def refusal(self, name: str, value: Any, error: Exception) -> LogError:
        """Return the error to raise for a value that could not be read."""
        if self._find_library(type(value)) is not None:
            return LogError(
                f"{name!r} was logged as an array of shape {tuple(value.shape)} and type {value.dtype}; expected a "
                f"single number: log its mean, for example {name}=value.mean()"
            )
        if self[type(value)] is _refuse:
            return LogError(f"{name!r} was logged as {value!r}, a {type(value).__qualname__}; expected a single number")
        return LogError(f"{name!r} was logged as {value!r}, which is no single number: {error}")


class Means:
    """Running means of the values of one stage.

    A value is added up when it is logged, but beside the sums of the batches that are over: those stay as they are
    until the batch ends, so that a value which comes again in the same batch takes the place of the first.

    Args:
        numbers: reads values.
        where: says where the run stands, for messages, for example `"epoch 3, batch 12"`.

    Attributes:
        is_quiet: whether NaN are not worth a warning.

    Example:
        >>> means = Means(Numbers(lambda kind: None), lambda: "epoch 0")
        >>> means.log({"loss": 1.0}, weight=32)
        >>> means.end_batch()
        >>> means.log({"loss": 2.0}, weight=16)
        >>> means.end_batch()
        >>> round(means.mean()["loss"], 3)  # not 1.5: the last batch was smaller
        1.333
    """

    __slots__ = ("_batch", "_is_lazy", "_means", "_numbers", "_over", "_so_far", "_warned", "_where", "is_quiet")

    def __init__(self, numbers: Numbers, where: Callable[[], str]) -> None:
        self._numbers = numbers
        self._where = where
        # By name. A sum is that of value times weight, a float or a `DeviceValue`, and that of the weights.
        self._over: dict[str, tuple[Any, float]] = {}  # the sums over the batches that are over
        self._so_far: dict[str, tuple[Any, float]] = {}  # the sums with the batch at hand
        self._means: dict[str, Any] = {}  # likewise
        self._batch: dict[str, Any] = {}  # that batch's own values
        self._is_lazy = False
        self._warned: set[str] = set()
        self.is_quiet = False

    def log(self, values: Mapping[str, Any], weight: float) -> None:
        """Take values of the batch at hand; a name that comes twice in one batch counts with its last value.

        Raises:
            LogError: a value is no single number.
        """
        numbers, over, so_far, means, batch = self._numbers, self._over, self._so_far, self._means, self._batch
        for name, value in values.items():
            try:
                number: Any = numbers[type(value)](value)
                if number is None:
                    number = numbers.snapshot(value)
                    self._is_lazy = True
            except _FAULTS as error:
                raise numbers.refusal(name, value, error) from error
            if number != number:  # never so for one on a device
                self._warn_of_nan(name)
            try:
                total, weights = over[name]
            except KeyError:
                total, weights = 0.0, 0.0
            total += number * weight
            weights += weight
            so_far[name] = total, weights
            means[name] = total / weights
            batch[name] = number

    def replace(self, values: Mapping[str, Any]) -> None:
        """Take means that somebody else has made, in the place of those of the batches."""
        self._over.update(dict.fromkeys(values, (0.0, 0.0)))
        self.log(values, 1.0)
        self.end_batch()

    def end_batch(self) -> None:
        """Count the batch at hand among those that are over."""
        self._over.update(self._so_far)
        self._batch = {}

    def batch_logs(self) -> Logs:
        """Return the means including the batch at hand, with that batch's own values. Ends the batch."""
        if self._is_lazy:
            logs: Logs = LazyLogs(self._means, self._batch, self._notice)
        else:
            logs = Logs(self._means)
            logs._batch = self._batch
        self._over.update(self._so_far)  # as `end_batch` does, which would cost a call
        self._batch = {}
        return logs

    def mean(self) -> Logs:
        """Return the means so far, without a batch that has not ended."""
        means = {name: total / weights for name, (total, weights) in self._over.items()}
        return LazyLogs(means, None, self._notice) if self._is_lazy else Logs(means)

    def sums(self) -> dict[str, tuple[float, float]]:
        """Return, by name, the sum of value times weight and that of the weights, over the batches that are over.

        They are plain numbers, for a checkpoint: what is on a device is fetched.
        """
        return {name: (_fetched(total), weights) for name, (total, weights) in self._over.items()}

    def go_on_from(self, sums: Mapping[str, tuple[float, float]]) -> None:
        """Begin with what `sums` returned, as if those batches had been here."""
        self._over.update(sums)
        self._so_far.update(sums)
        self._means.update({name: total / weights for name, (total, weights) in sums.items()})

    def _notice(self, fetched: dict[str, float]) -> None:
        for name, number in fetched.items():
            if number != number:
                self._warn_of_nan(name)

    def _warn_of_nan(self, name: str) -> None:
        if name in self._warned or self.is_quiet:
            return
        self._warned.add(name)
        warn(f"{name!r} is NaN ({self._where()}), and so is its mean over the epoch from here on")


def _refuse(value: Any) -> float:
    raise TypeError("it is no number")


def _fetched(total: Any) -> float:
    return float(total.array) if isinstance(total, DeviceValue) else float(total)
