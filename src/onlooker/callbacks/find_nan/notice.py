"""`Notice`: notices that something is not finite, late if need be, so that a device is not waited for.

Owns the losses that are still on a device, and the words for what was noticed, and for what is never logged.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from onlooker.core.errors import AbsentError, LookError, warn
from onlooker.core.logs import DeviceValue, fetch_together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from onlooker.core.logs import Logs
    from onlooker.core.origin import Kept
    from onlooker.core.run import Run


LOSSES = "*loss*"
"""What is looked at where nothing else is said."""
PATIENCE = 1000
"""After so many batches a name has to have been logged, where the first epoch is not over before."""


class Notice:
    """Looks at losses, weights, buffers and gradients. Each look returns what is not finite, in words, or `""`.

    Args:
        losses: patterns on the names of logged values.

    Attributes:
        sick: the batch of the first loss that was not finite, where the words are about one; else None.
    """

    def __init__(self, losses: Sequence[str]) -> None:
        self._losses = losses
        self._watched: dict[str, bool] = {}
        self._batch_count = 0
        self._has_checked = False
        self._buffers: frozenset[str] | None = None  # those that have to be finite
        self.let_go()

    def let_go(self) -> None:
        """Forget what was logged, but for its names."""
        self._waiting: list[tuple[str, DeviceValue, Kept]] = []
        self.sick: Kept | None = None

    def is_watched(self, name: str) -> bool:
        """Say whether a logged value has to be finite."""
        is_watched = self._watched.get(name)
        if is_watched is None:
            is_watched = self._watched[name] = any(fnmatchcase(name, pattern) for pattern in self._losses)
        return is_watched

    def in_losses(self, logs: Logs, kept: Kept) -> str:
        """Look at a batch's own values. Those on a device are left there, to be looked at with the weights."""
        values: Any = logs.batch
        for name, value in dict.items(values):  # as they are: nothing is fetched
            if not self.is_watched(name):
                continue
            if type(value) is DeviceValue:
                self._waiting.append((name, value, kept))
            elif not is_finite(value):
                self.sick = kept
                return f"{name!r} is {value}"
        self._batch_count += 1
        if self._batch_count == PATIENCE:
            self.check_names(f"the first {PATIENCE} batches")
        return ""

    def check_names(self, when: str) -> None:
        """Warn, once, of patterns that no value has matched that was logged in a batch.

        Args:
            when: in words, the batches so far.
        """
        if self._has_checked or not self._batch_count:
            return
        self._has_checked = True
        idle = [pattern for pattern in self._losses if not any(fnmatchcase(name, pattern) for name in self._watched)]
        if not idle or (not self._watched and idle == [LOSSES]):  # who logs nothing has named nothing
            return
        logged = ", ".join(map(repr, self._watched)) or "nothing"
        warn(
            f"FindNaN(losses={list(self._losses)!r}): in {when} no train batch logged a value named "
            f"{' or '.join(map(repr, idle))}, so none is looked at; logged: {logged}"
        )

    def in_weights(self, run: Run) -> str:
        """Look at the losses on a device, at weights, optimizers and buffers; waits for a device."""
        waiting = [one for one in self._waiting if not one[1].library.is_gone(one[1].array)]
        self._waiting = []
        numbers = fetch_together([value for _, value, _ in waiting])
        for (name, _, kept), number in zip(waiting, numbers, strict=True):
            if not is_finite(number):
                self.sick = kept
                return f"{name!r} was {number} at batch {kept.batch} of epoch {kept.epoch}"
        found = _said("weights", _names(run, "weights")) or _said("the optimizer's state", _names(run, "optimizer"))
        return found or _said("buffers", self.lost_buffers(run))

    def in_gradients(self, run: Run) -> str:
        """Look at gradients that no optimizer has used; waits for a device."""
        return _said("gradients, by which no optimizer steps", _names(run, "gradients"))

    def begin(self, run: Run) -> None:
        """Take note of the buffers that are finite before the first batch; later ones change nothing."""
        if self._buffers is None:
            self._buffers = run.view.finite_buffers()

    def lost_buffers(self, run: Run) -> list[str]:
        """Return the names of buffers that are not finite any more; waits for a device."""
        return run.view.lost_buffers(self._buffers) if self._buffers else []


def _names(run: Run, what: str) -> list[str]:
    try:
        return run.view.not_finite(what)
    except (AbsentError, LookError):
        return []


def _said(words: str, names: list[str]) -> str:
    if not names:
        return ""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"NaN or infinities in {words}: {', '.join(names[:3])}{rest}"


def patterns(losses: Any) -> tuple[str, ...]:
    """Return the patterns on the names of losses.

    Raises:
        ValueError: they are none.
    """
    listed = [losses] if isinstance(losses, str) else losses
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) and one for one in listed):
        raise ValueError(
            f"losses={losses!r}; expected a pattern on the names of logged values, such as '*loss*', or a list of them"
        )
    return tuple(listed)


def is_finite(value: Any) -> bool:
    """Say whether a logged value is finite; what is no number is."""
    return not isinstance(value, int | float) or value - value == 0
