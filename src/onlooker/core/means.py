"""`Means`: what was logged in a stage, as running means weighted by the batch size.

Owns which values belong to which batch. How a value is read is `numbers`, how many are added up is `pending`.
"""

from __future__ import annotations

from .errors import warn
from .logs import Logs, combine
from .numbers import FAULTS
from .pending import LENGTH, PENDING, Chunk, PendingLogs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .numbers import Numbers
    from .pending import Sums


class Means:
    """Running means of the values of one stage.

    A value is only put down when it is logged. It is added up when somebody reads a mean that it is part of, or with
    the chunk of batches that it is in.

    Args:
        numbers: reads values.
        where: says where the run stands, for messages, for example `"epoch 3, batch 12"`.
        known_nan: names whose NaN has been warned of in such stages before. They are kept up to date.

    Attributes:
        nan_notice: warns of NaN among the values.

    Example:
        >>> from onlooker.core.numbers import Numbers
        >>> means = Means(Numbers(lambda kind: None), lambda: "epoch 0")
        >>> means.log({"loss": 1.0}, weight=32)
        >>> means.end_batch()
        >>> means.log({"loss": 2.0}, weight=16)
        >>> means.end_batch()
        >>> round(means.mean()["loss"], 3)  # not 1.5: the last batch was smaller
        1.333
    """

    __slots__ = ("_chunk", "_entries", "_has_values", "_names", "_numbers", "_start", "nan_notice")

    def __init__(self, numbers: Numbers, where: Callable[[], str], known_nan: set[str] | None = None) -> None:
        self._numbers = numbers
        self.nan_notice = NanNotice(where, set() if known_nan is None else known_nan)
        self._has_values = False  # whether something was logged in the batch at hand
        self._names: dict[str, Any] = {}  # all that were logged, in the order in which they came
        self._begin_chunk({})

    def log(self, values: dict[str, Any], weight: float) -> None:
        """Take values of the batch at hand; a name that comes twice in one batch counts with its last value.

        Args:
            values: numbers by name. The dict is taken over.
            weight: over how many samples they are means.

        Raises:
            LogError: a value is no single number; none of the values counts.
        """
        numbers, names, is_unusual = self._numbers, self._names, self._has_values
        for name, value in values.items():
            number = value
            if type(value) is not float:
                try:
                    number = numbers[type(value)](value)
                    if type(number) is not float:
                        number = numbers.keep(name, value) if number is None else float(number)
                except FAULTS as error:
                    raise numbers.refusal(name, value, error) from error
            if number != number:  # never so for one on a device
                self.nan_notice.look_at({name: number})
            values[name] = number
            if name not in names:
                is_unusual = True
        if is_unusual:
            names.update(dict.fromkeys(values, PENDING))
            self._take_back(values)
        self._has_values = True
        self._entries.append((values, weight))

    def replace(self, values: Mapping[str, Any]) -> None:
        """Take means that somebody else has made, in the place of those of the batches."""
        sums = self._chunk.sums(len(self._entries))
        self._begin_chunk({**sums, **dict.fromkeys(values, (0.0, 0.0))})
        self.log(dict(values), 1.0)
        self.end_batch()

    def end_batch(self) -> None:
        """Count the batch at hand among those that are over."""
        self._has_values, self._start = False, len(self._entries)
        if self._start >= LENGTH:
            self._begin_chunk(self._chunk.sums(self._start))

    def batch_logs(self) -> Logs:
        """Return the means including the batch at hand, with that batch's own values. Ends the batch."""
        logs: PendingLogs = PendingLogs(self._names)
        logs._chunk, logs._start = self._chunk, self._start
        logs._count = self._start = count = len(self._entries)
        self._has_values = False
        if count >= LENGTH:
            self._begin_chunk(self._chunk.sums(count))
        return logs

    def mean(self) -> Logs:
        """Return the means so far, without a batch that has not ended."""
        sums = self._chunk.sums(self._start)
        means = {name: sums[name][0] / sums[name][1] for name in self._names if name in sums}
        self.nan_notice.look_at_means({name: mean for name, mean in means.items() if type(mean) is float})
        return combine((means,), notice=self.nan_notice.look_at_means)

    def sums(self) -> dict[str, tuple[float, float]]:
        """Return, by name, the sum of value times weight and that of the weights, over the batches that are over.

        They are plain numbers, for a checkpoint: what is on a device is fetched.
        """
        sums = self._chunk.sums(self._start)
        totals = combine(({name: total for name, (total, _) in sums.items()},))
        return {name: (totals[name], sums[name][1]) for name in self._names if name in sums}

    def go_on_from(self, sums: Mapping[str, tuple[float, float]]) -> None:
        """Begin with what `sums` returned, as if those batches had been here."""
        self._names.update(dict.fromkeys(sums, PENDING))
        self._begin_chunk({**self._chunk.sums(len(self._entries)), **sums})

    def _begin_chunk(self, before: Sums) -> None:
        """Go on with a new chunk, since the one before has been added up; whoever keeps logs of it keeps it."""
        self._chunk = Chunk(before, self.nan_notice.look_at)
        self._entries = self._chunk.entries
        self._start = 0  # where the entries of the batch at hand begin

    def _take_back(self, values: Mapping[str, Any]) -> None:
        """Take back values of the batch at hand whose names have come again."""
        entries, start = self._entries, self._start
        for earlier, _ in entries[start:]:
            for name in values:
                earlier.pop(name, None)
        entries[start:] = [entry for entry in entries[start:] if entry[0]]


class NanNotice:
    """Warns of NaN, once for each name, and again only after the mean of a whole epoch was finite.

    Args:
        where: says where the run stands, for messages, for example `"epoch 3, batch 12"`.
        known: the names that have been warned of; it is kept up to date.

    Attributes:
        is_quiet: whether NaN are not worth a warning.
    """

    __slots__ = ("_known", "_where", "is_quiet")

    def __init__(self, where: Callable[[], str], known: set[str]) -> None:
        self._where, self._known = where, known
        self.is_quiet = False

    def look_at(self, numbers: Mapping[str, float]) -> None:
        """Warn of those that are NaN."""
        for name, number in numbers.items():
            if number != number and name not in self._known and not self.is_quiet:
                self._known.add(name)
                warn(f"{name!r} is NaN ({self._where()}), and so is its mean over the epoch from here on")

    def look_at_means(self, numbers: Mapping[str, float]) -> None:
        """Warn of whole epochs' or tests' means that are NaN; those that are not have become finite again."""
        for name, number in numbers.items():
            if self.is_quiet:
                return
            if number == number:
                self._known.discard(name)
            elif name not in self._known:
                self._known.add(name)
                warn(f"the mean of {name!r} is NaN ({self._where()}): at least one of the values in it was")
