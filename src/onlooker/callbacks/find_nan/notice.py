"""`Notice`: notices that something is not finite, late if need be, so that a device is not waited for.

Owns the sums of losses on a device, and the words for what was noticed.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from onlooker.core.errors import AbsentError, LookError
from onlooker.core.logs import DeviceValue, fetch_together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from onlooker.core.logs import Logs
    from onlooker.core.run import Run


class Notice:
    """Looks at losses, weights and gradients. Each look returns what is not finite, in words, or `""`.

    Args:
        losses: patterns on the names of logged values.
    """

    def __init__(self, losses: Sequence[str]) -> None:
        self._losses = losses
        self._watched: dict[str, bool] = {}
        self._sums: dict[str, DeviceValue] = {}

    def is_watched(self, name: str) -> bool:
        """Say whether a logged value has to be finite."""
        is_watched = self._watched.get(name)
        if is_watched is None:
            is_watched = self._watched[name] = any(fnmatchcase(name, pattern) for pattern in self._losses)
        return is_watched

    def in_losses(self, logs: Logs) -> str:
        """Look at a batch's own values. Those on a device are added up there: the sum is finite as long as all are."""
        values: Any = logs.batch
        for name, value in dict.items(values):  # as they are: nothing is fetched
            if not self.is_watched(name):
                continue
            if type(value) is DeviceValue:
                total = self._sums.get(name)
                array = value.array if total is None else value.library.add(total.array, value.array, 1.0)
                self._sums[name] = DeviceValue(value.library, array)
            elif not is_finite(value):
                return f"{name!r} is {value}"
        return ""

    def in_weights(self, run: Run, count: int) -> str:
        """Look at the sums of losses, at weights and at optimizers; waits for a device.

        Args:
            run: whose.
            count: over how many batches the sums go.
        """
        sums, self._sums = self._sums, {}
        for name, total in zip(sums, fetch_together(list(sums.values())), strict=True):
            if not is_finite(total):
                return f"{name!r} was not finite in one of the last {count} batches"
        return _look(run, "weights", "weights") or _look(run, "optimizer", "the optimizer's state")

    def in_gradients(self, run: Run) -> str:
        """Look at gradients that no optimizer has used; waits for a device."""
        return _look(run, "gradients", "gradients, by which no optimizer steps")


def _look(run: Run, what: str, words: str) -> str:
    try:
        names = run.view.not_finite(what)
    except (AbsentError, LookError):
        return ""
    if not names:
        return ""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"NaN or infinities in {words}: {', '.join(names[:3])}{rest}"


def is_finite(value: Any) -> bool:
    """Say whether a logged value is finite; what is no number is."""
    return not isinstance(value, int | float) or value - value == 0
