"""`Chunk`: the values of some batches in a row, which are added up only when somebody asks; `PendingLogs` asks.

Most logs of a batch are never read, and to add up many values at once costs little: on a device one call for a whole
chunk. So a batch only leaves its values here. What was logged where is `means`.
"""

from __future__ import annotations

from .errors import LogError
from .logs import DeviceValue, LazyBatch, LazyLogs, Logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Sums = dict[str, tuple[Any, float]]
    """By name the sum of value times weight, a float or a `DeviceValue`, and that of the weights."""

LENGTH = 32
"""How many entries a chunk has, when it is added up, whether or not somebody asks: so much is kept at most."""
_NOTHING = (0.0, 0.0)


class _Pending:
    """What stands for a mean in logs that nobody has read yet."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<not yet added up>"


PENDING = _Pending()


class Chunk:
    """Values in the order in which they were logged.

    Args:
        before: the sums over all batches before.
        notice: called with names and numbers that were fetched from a device.

    Attributes:
        entries: values by name, each a float or a `DeviceValue`, and their weight. It only grows.
    """

    __slots__ = ("_before", "_known", "entries", "notice")

    def __init__(self, before: Sums, notice: Callable[[dict[str, float]], None]) -> None:
        self._before = before
        self._known = (0, before)  # together, as threads may ask too
        self.notice = notice
        self.entries: list[tuple[dict[str, Any], float]] = []

    def sums(self, count: int) -> Sums:
        """Return the sums over all batches before and the first entries. Whoever asks in order pays for each once."""
        done, sums = self._known
        if count == done:
            return sums
        if count < done:
            done, sums = 0, self._before
        sums = dict(sums)
        on_device: dict[str, list[tuple[DeviceValue, float]]] = {}  # which wait, to be added up together
        for values, weight in self.entries[done:count]:
            for name, value in values.items():
                if type(value) is DeviceValue:
                    on_device.setdefault(name, []).append((value, weight))
                    continue
                if name in on_device:
                    sums[name] = _added(name, sums.get(name, _NOTHING), on_device.pop(name))
                total, weights = sums.get(name, _NOTHING)
                sums[name] = total + value * weight, weights + weight
        for name, entries in on_device.items():
            sums[name] = _added(name, sums.get(name, _NOTHING), entries)
        self._known = (count, sums)
        return sums

    def own(self, start: int, count: int) -> dict[str, Any]:
        """Return the values of one batch, whose entries are those from `start` to `count`."""
        if count == start + 1:  # as usual, and quicker
            return self.entries[start][0].copy()
        return {name: value for values, _ in self.entries[start:count] for name, value in values.items()}


class _Lost:
    """What stands for a sum of which a value was given away before it was added up: an error for whoever reads it.

    Also the array library of it, for those who would fetch it or add to it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __add__(self, number: object) -> _Lost:
        return self

    def device(self, array: object) -> object:
        """Return where it is."""
        return None

    def fetch(self, arrays: object) -> list[float]:
        """Refuse to be read.

        Raises:
            LogError: with what to do.
        """
        name = self._name
        raise LogError(
            f"{name!r} was logged as an array that was donated to a step before it was read, though the first ones "
            f"were not; log a copy of it, for example {name}={name}.copy()"
        )


def _added(name: str, sums: tuple[Any, float], entries: list[tuple[DeviceValue, float]]) -> tuple[DeviceValue, float]:
    """Add values on a device to the sums of their name, in the order in which they were logged."""
    (total, weights), library = sums, entries[0][0].library
    for _, weight in entries:
        weights += weight
    if isinstance(total, DeviceValue) and isinstance(total.library, _Lost):
        return total, weights
    if _are_gone([value for value, _ in entries]):
        lost: Any = _Lost(name)
        return DeviceValue(lost, lost), weights
    start = total.array if isinstance(total, DeviceValue) else total
    array = library.add_all(start, [value.array for value, _ in entries], [weight for _, weight in entries])
    return DeviceValue(library, array), weights


def _are_gone(values: list[DeviceValue]) -> bool:
    return any(value.library.is_gone(value.array) for value in values)


class PendingLogs(LazyLogs):
    """The logs of a batch's end hook. Nothing is added up before they are read; then they become `Logs`, or `LazyLogs`.

    Made of the names, each with `PENDING`; then `_chunk`, `_start` and `_count` are assigned: where the batch's own
    entries begin and end. Making one runs no Python code.
    """

    __slots__ = ()

    _chunk: Chunk
    _start: int
    _count: int

    __init__ = dict.__init__

    @property
    def batch(self) -> Mapping[str, Any]:
        """This batch's own values."""
        batch = getattr(self, "_batch", None)
        if batch is None:
            own = self._chunk.own(self._start, self._count)
            is_lazy = any(type(value) is DeviceValue for value in own.values())
            batch = self._batch = LazyBatch(own, self) if is_lazy else own
        return batch

    def _fill_in(self) -> None:
        chunk, start, count = self._chunk, self._start, self._count
        sums, is_lazy = chunk.sums(count), isinstance(self.batch, LazyBatch)
        if is_lazy:
            for name, value in chunk.own(start, count).items():
                if type(value) is DeviceValue and _are_gone([value]):
                    _Lost(name).fetch(())
        for name, value in dict.items(self):
            if value is PENDING:  # what a callback has assigned stays
                total, weights = sums[name]
                mean = total / weights
                dict.__setitem__(self, name, mean)  # of a name that is there: the dict may be gone through
                is_lazy = is_lazy or type(mean) is DeviceValue
        del self._chunk
        if is_lazy:
            self._notice = chunk.notice
            self.__class__ = LazyLogs  # type: ignore[assignment]  # it turns into one: ADR 0003
        else:
            self.__class__ = Logs  # type: ignore[assignment]  # likewise
