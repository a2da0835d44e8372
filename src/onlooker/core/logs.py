"""`Logs`: the dict of numbers that a hook is given, fetched from the device at the first read.

Owns reading. How the means come about is `means`; how an array is fetched is `arrays`, reached through `DeviceValue`.

Two classes, because a lazy dict is dangerous: much of Python reads a dict's storage directly. `Logs` holds plain floats
and overrides no reading. `LazyLogs` holds placeholders and intercepts every way to read; the first read fetches all
of them in one transfer per device, and turns the object itself into a plain `Logs`.
"""

from __future__ import annotations

from .errors import MissingLogError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Protocol

    class ArrayLibrary(Protocol):
        """What the core needs of an array library; `arrays` has one for each."""

        def has_type(self, kind: type) -> bool:
            """Say whether a type is one of its arrays."""

        def read(self, array: Any) -> float | None:
            """Return the one number of an array; None if that would wait for a device."""

        def snapshot(self, array: Any) -> Any:
            """Return a detached copy of shape ()."""

        def can_stay(self, array: Any) -> bool:
            """Say whether an array does as its own snapshot, as long as it is there: nothing can change it."""

        def is_gone(self, array: Any) -> bool:
            """Say whether an array was given away, and can be read no more."""

        def add(self, total: Any, array: Any, weight: float) -> Any:
            """Return `total + array * weight`, where it is."""

        def add_all(self, total: Any, arrays: list[Any], weights: list[float]) -> Any:
            """Return a total, an array or a float, plus arrays times their weights, in this order, where they are."""

        def device(self, array: Any) -> object:
            """Return what tells arrays apart that cannot be fetched together."""

        def fetch(self, arrays: list[Any]) -> list[float]:
            """Bring arrays from one place in one transfer."""


class DeviceValue:
    """A number that is still on a device.

    Attributes:
        library: what knows how to fetch it.
        array: a detached copy of shape (), float32 or wider.
        divisor: what the fetched number is divided by: the weight that its mean is over.
    """

    __slots__ = ("array", "divisor", "library")

    def __init__(self, library: ArrayLibrary, array: Any, divisor: float = 1.0) -> None:
        self.library, self.array, self.divisor = library, array, divisor

    def __repr__(self) -> str:
        return "<on a device>"

    # As for floats. Each is a new object: a kept `Logs` may have the old.

    def __add__(self, number: float) -> DeviceValue:
        return DeviceValue(self.library, self.array + number)

    def __truediv__(self, weight: float) -> DeviceValue:
        return DeviceValue(self.library, self.array, weight)


class Logs(dict[str, "Any"]):
    """The numbers that a hook is given. A dict, really: assigning shows to the callbacks that come later.

    A kept `Logs` is a snapshot. In a batch hook its values are means over the epoch so far, weighted by batch size.

    Attributes:
        batch: this batch's own values; empty outside batch hooks.

    Raises:
        MissingLogError: a name that is not there is read; the message lists the names that are.

    Example:
        >>> logs = Logs.of_batch({"loss": 0.5}, {"loss": 0.25})
        >>> logs["loss"], logs.batch["loss"]
        (0.5, 0.25)
        >>> logs["val_loss"]
        Traceback (most recent call last):
            ...
        onlooker.core.errors.MissingLogError: 'val_loss' is not in the logs; available: loss
    """

    # Making one, which happens for every hook, runs no Python code and makes no dict of attributes: where nothing was
    # assigned to `_batch`, there is no batch.
    __slots__ = ("_batch", "_chunk", "_count", "_notice", "_start")  # all but the first are those of the lazy kinds

    _batch: Mapping[str, Any] | None

    @classmethod
    def of_batch(cls, values: Mapping[str, Any], batch: Mapping[str, Any] | None) -> Logs:
        """Return logs with a batch's own values."""
        logs = cls(values)
        logs._batch = batch
        return logs

    @property
    def batch(self) -> Mapping[str, Any]:
        """This batch's own values."""
        batch = getattr(self, "_batch", None)
        return {} if batch is None else batch

    def __missing__(self, name: str) -> Any:
        raise MissingLogError(f"{name!r} is not in the logs; available: {', '.join(map(str, self)) or 'nothing'}")

    def copy(self) -> Logs:
        """Return a snapshot of its own."""
        return Logs.of_batch(self, dict(self.batch))

    def __copy__(self) -> Logs:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return Logs.of_batch, (dict(self), dict(self.batch))

    # dict implements the operators on its storage and returns a dict; these are right for the lazy kind too.
    def __or__(self, other: Any) -> Any:
        return dict(self) | dict(other) if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return dict(other) | dict(self) if isinstance(other, dict) else NotImplemented

    __hash__ = None


def _reading(name: str) -> Callable[..., Any]:
    """Make a dict method that fetches first. By then `self` is a `Logs`, so it is looked up anew.

    A bound one may be kept and called again, as `match` and `max(logs, key=logs.get)` do: then `self` has no `fetch`.
    """

    def read(self: LazyLogs, *arguments: Any, **named: Any) -> Any:
        LazyLogs.fetch(self)
        return getattr(self, name)(*arguments, **named)

    read.__name__ = name
    read.__doc__ = f"Fetch the values, then `dict.{name}`."
    return read


class LazyLogs(Logs):
    """A `Logs` some of whose values are `DeviceValue` placeholders. Names can be looked at without fetching.

    Args:
        values: names and floats, or placeholders.
        batch: the batch's own values, likewise; they are fetched in the same transfer.
        notice: called with the names and numbers that were fetched, for example to look for NaN.
    """

    __slots__ = ()

    _notice: Callable[[dict[str, float]], None] | None

    def __init__(
        self,
        values: Mapping[str, Any],
        batch: Mapping[str, Any] | None = None,
        notice: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        dict.__init__(self, values)
        self._notice = notice
        if batch is not None:
            self._batch = LazyBatch(batch, self)

    def fetch(self) -> None:
        """Replace every placeholder by its number, in one transfer per device, and become a plain `Logs`."""
        if not isinstance(self, LazyLogs):
            return
        self._fill_in()
        if type(self) is Logs:  # nothing of it was on a device
            return
        batch, notice = getattr(self, "_batch", None), self._notice
        places: list[tuple[dict[str, Any], str, DeviceValue]] = [
            (self, name, value) for name, value in dict.items(self) if type(value) is DeviceValue
        ]
        if isinstance(batch, LazyBatch):
            places += [(batch, name, value) for name, value in dict.items(batch) if type(value) is DeviceValue]
        numbers = fetch_together([value for _, _, value in places])
        for (target, name, _), number in zip(places, numbers, strict=True):
            dict.__setitem__(target, name, number)
        del self._notice
        self.__class__ = Logs  # type: ignore[assignment]
        if isinstance(batch, LazyBatch):
            self._batch = dict(dict.items(batch))
            batch.owner = None
        if notice is not None:
            own_first = zip(reversed(places), reversed(numbers), strict=True)  # so that of one name the mean counts
            notice({name: number for (_, name, _), number in own_first})

    def _fill_in(self) -> None:
        """Put the values in the place of names alone; for those that have put it off."""

    def __iter__(self) -> Iterator[str]:
        # Overriding it is what makes dict(logs), {**logs} and f(**logs) ask for the items one by one.
        return dict.__iter__(self)

    def __repr__(self) -> str:
        LazyLogs.fetch(self)
        return dict.__repr__(self)

    def __eq__(self, other: object) -> bool:
        LazyLogs.fetch(self)
        if isinstance(other, LazyLogs):  # dict would compare what is stored
            other.fetch()
        return dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    __getitem__ = _reading("__getitem__")
    get = _reading("get")
    items = _reading("items")
    values = _reading("values")
    pop = _reading("pop")
    popitem = _reading("popitem")
    setdefault = _reading("setdefault")


class LazyBatch(dict[str, "Any"]):
    """The batch's own values of a `LazyLogs`: reading one fetches those of both."""

    __slots__ = ("owner",)

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]], owner: LazyLogs | None = None) -> None:
        dict.__init__(self, values)
        self.owner = owner

    def _fetch(self) -> None:
        if self.owner is not None:
            self.owner.fetch()

    def __iter__(self) -> Iterator[str]:
        return dict.__iter__(self)

    def __reduce__(self) -> tuple[Any, ...]:
        self._fetch()
        return dict, (list(dict.items(self)),)


def _reading_batch(name: str) -> Callable[..., Any]:
    native = getattr(dict, name)

    def read(self: LazyBatch, *arguments: Any, **named: Any) -> Any:
        self._fetch()
        return native(self, *arguments, **named)

    read.__name__ = name
    return read


for _name in ("__getitem__", "get", "items", "values", "pop", "popitem", "setdefault", "copy"):
    setattr(LazyBatch, _name, _reading_batch(_name))
for _name in ("__repr__", "__eq__", "__ne__", "__or__", "__ror__"):
    setattr(LazyBatch, _name, _reading_batch(_name))


def combine(parts: Iterable[dict[str, Any]], batch: Any = None, notice: Any = None) -> Logs:
    """Put several dicts into one `Logs`, the later over the earlier, without fetching anything."""
    values: dict[str, Any] = {}
    is_lazy = False
    for part in parts:
        for name, value in dict.items(part):
            values[name] = value
            is_lazy = is_lazy or type(value) is DeviceValue
    return LazyLogs(values, batch, notice) if is_lazy else Logs.of_batch(values, batch)


def fetch_together(values: list[DeviceValue]) -> list[float]:
    """Fetch numbers in one transfer per array library and device, in the order given."""
    groups: dict[object, list[int]] = {}
    for position, value in enumerate(values):
        groups.setdefault((id(value.library), value.library.device(value.array)), []).append(position)
    numbers = [0.0] * len(values)
    for positions in groups.values():
        library = values[positions[0]].library
        fetched = library.fetch([values[position].array for position in positions])
        for position, number in zip(positions, fetched, strict=True):
            numbers[position] = number / values[position].divisor
    return numbers
