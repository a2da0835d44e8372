"""`Ledger`: what was logged where, and the logs of each hook that follow from it.

Owns the means of the epoch and of the tests within it. When a hook comes is not its business.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from onlooker.arrays import batch_size, find_library
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import LogError, warn
from onlooker.core.hooks import SCOPES
from onlooker.core.logs import LazyLogs, Logs, combine
from onlooker.core.means import Means
from onlooker.core.numbers import FAULTS, Numbers
from onlooker.core.run import Run
from onlooker.core.scopes import Scopes

UNWEIGHED = 0.0
"""The weight of a batch of which nobody has needed it yet."""
INFINITY = float("inf")
BATCH_ENDS = {name: scope.end for name, scope in SCOPES.items() if scope.index == "batch"}


class Ledger:
    """The values of one run.

    Args:
        run: where it stands.
        dispatcher: asked whether anybody wants the logs of a batch.

    Attributes:
        weight: of the batch at hand, `UNWEIGHED` until somebody needs it; None where there is no batch to log to.
        means: of what is logged now: of the innermost stage that is open, or else of the epoch.
    """

    __slots__ = (
        "_epoch_values",
        "_known_hidden",
        "_known_nan",
        "_last_epoch",
        "_listens",
        "_means",
        "_numbers",
        "_prefixes",
        "_run",
        "_test_values",
        "_tested",
        "means",
        "weight",
    )

    def __init__(self, run: Run, dispatcher: Dispatcher) -> None:
        self._run = run
        self._listens = dispatcher.listens
        self.weight: float | None = None
        self._numbers = Numbers(find_library)
        self._known_nan: dict[str | None, set[str]] = {}  # names warned of, by the prefix of their stage
        self._known_hidden: set[str] = set()  # names warned of that a test hides
        self.means = self._new_means()
        self._means = [self.means]  # the epoch's, then those of the stages within, innermost last
        self._prefixes: list[str] = []  # of the open tests
        self._tested: set[str] = set()  # the prefixes of this epoch's tests that are over, but for those in batches
        self._epoch_values: dict[str, Any] = {}
        self._test_values: dict[str, Any] = {}
        self._last_epoch = Logs()

    @property
    def is_in_batch(self) -> bool:
        """Whether there is a batch to log to; one that is begun is as yet `UNWEIGHED`."""
        return self.weight is not None

    @is_in_batch.setter
    def is_in_batch(self, is_in_batch: bool) -> None:
        self.weight = UNWEIGHED if is_in_batch else None

    def begin_training(self) -> None:
        """Forget the training before."""
        self._last_epoch = Logs()
        self._known_nan.clear()

    def begin_epoch(self) -> None:
        """Start new means for an epoch."""
        self.means = self._new_means()
        self._means = [self.means]
        self._prefixes, self._tested, self._epoch_values, self._test_values = [], set(), {}, {}

    def begin_stage(self, prefix: str = "") -> None:
        """Start the means of a test or predict stage; they are added up apart from those around it."""
        self.means = self._new_means(prefix)
        self._means.append(self.means)
        self._prefixes.append(prefix)

    def end_stage(self) -> Logs:
        """Return the means of the innermost stage and go back to those around it."""
        self._prefixes.pop()
        return self._leave_means().mean()

    def log(self, values: Mapping[str, Any], weight: float | None, scopes: Scopes) -> None:
        """Take values that somebody logs, as `take` does, and leave the mapping as it is."""
        self.take(dict(values), weight, scopes)

    def take(self, values: dict[str, Any], weight: float | None, scopes: Scopes) -> None:
        """Take values that the user logs.

        Args:
            values: numbers by name. The dict is taken over.
            weight: of these values, or None for that of the batch.
            scopes: what is open.

        Raises:
            LogError: a value is no number, a weight is no positive one, or there is nothing here to log to.
        """
        if weight is None:
            if self.weight is None:
                return self._log_to_epoch(values, scopes)
            weight = self.weight = self.weight or batch_size(self._run.data)
        else:
            try:
                is_plain = (0 < weight < INFINITY) is True
            except FAULTS:
                is_plain = False
            if not is_plain:
                weight = _read_weight(weight)
            if self.weight is None:
                return self._log_to_epoch(values, scopes)
        return self.means.log(values, weight)

    def logs_for(self, scope: str) -> Logs | None:
        """Return the logs of a scope's end hook; None where nobody would read them."""
        if scope in BATCH_ENDS:
            if not self._listens(BATCH_ENDS[scope]):
                self.means.end_batch()
                return None
            logs = self.means.batch_logs()
            if scope == "predict_batch" and self._run.outputs is not None:
                logs["outputs"] = self._run.outputs
            return logs
        if scope == "epoch":
            notice, mean = self.means.nan_notice.look_at_means, self.means.mean()
            self._warn_of_hidden(mean.keys() | self._epoch_values.keys())
            return combine((mean, self._epoch_values, self._test_values), notice=notice)
        if scope == "train":
            return self._last_epoch
        return self.means.mean()

    def closed(self, scope: str, logs: Logs | None) -> None:
        """Take over what callbacks may have added to the logs of a scope, now that its end hook is done."""
        if scope == "epoch":
            self._last_epoch = Logs() if logs is None else logs
        elif scope in ("test", "predict"):
            self._leave_means()
            prefix = self._prefixes.pop()
            if scope == "test" and logs is not None:
                if self._run.batch is None:
                    self._tested.add(prefix)
                for name, value in dict.items(logs):  # as it is: nothing is fetched here
                    self._test_values[f"{prefix}_{name}"] = value

    def has_test(self, prefix: str) -> bool:
        """Say whether the epoch itself, not a batch of it, has already had a test with this prefix."""
        return prefix in self._tested

    def gathered(self) -> dict[str, Any]:
        """Return what the epoch at hand has gathered so far, as plain numbers. Values on a device are fetched."""
        return {
            "sums": self._means[0].sums(),
            "epoch_values": _plain(self._epoch_values),
            "test_values": _plain(self._test_values),
        }

    def go_on_from(self, gathered: Mapping[str, Any]) -> None:
        """Give the epoch at hand, which has just begun, what `gathered` returned: it goes on in its middle."""
        self._means[0].go_on_from({name: (total, weights) for name, (total, weights) in gathered["sums"].items()})
        self._epoch_values.update(gathered["epoch_values"])
        self._test_values.update(gathered["test_values"])

    def _leave_means(self) -> Means:
        """Go back to the means around the innermost; return those."""
        left = self._means.pop()
        self.means = self._means[-1]
        return left

    def _log_to_epoch(self, values: Mapping[str, Any], scopes: Scopes) -> None:
        if scopes.innermost != "epoch":
            raise LogError("there is nothing to log to here; log within loop.epochs, loop.train or loop.test")
        for name, value in values.items():
            self._epoch_values[name] = self._numbers.read(name, value)

    def _warn_of_hidden(self, names: Set[str]) -> None:
        """Warn, once for each, of names that were logged in the epoch and come from a test of it, too."""
        for name in sorted(names & self._test_values.keys() - self._known_hidden):
            self._known_hidden.add(name)
            warn(
                f"{name!r} was logged ({self._run.where()}), and a test of the epoch has a value of this name, too, "
                f"which is the one in its logs; log the other under another name, or give the test another prefix"
            )

    def _new_means(self, prefix: str | None = None) -> Means:
        return Means(self._numbers, self._run.where, self._known_nan.setdefault(prefix, set()))


def _read_weight(weight: Any) -> float:
    """Return a weight that is no plain positive number as one, for example of a tensor with one element.

    Raises:
        LogError: it is none.
    """
    try:
        number = float(weight) if hasattr(weight, "__float__") else 0.0
    except FAULTS:
        number = 0.0
    if 0 < number < INFINITY:
        return number
    raise LogError(f"weight={weight!r} must be a positive number: how many samples the values are means over")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values fetched, without what a callback may have added that is no number and no word."""
    return {name: value for name, value in dict(LazyLogs(values)).items() if isinstance(value, int | float | str)}
