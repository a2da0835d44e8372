"""How a training of a loop ends: what its last hooks find as the outcome, and a wish to stop that comes too early.

Owns these two. When the hooks come is the business of `course`.
"""

from __future__ import annotations

from collections.abc import Callable

from onlooker.core.faults import Collected
from onlooker.core.run import Run


class Endings(Collected):
    """The errors of the hooks that close what is open, from the inside out.

    The first, if it comes before the training's last hook, is how the training ends: that hook, and those on the way to
    it, find it as the outcome. Where an error has ended the training it stays.

    Args:
        run: whose outcome it is.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def call(self, close: Callable[..., object], *arguments: object) -> None:
        """Call, keep what it raises, and say so to the run where its training is being ended."""
        super().call(close, *arguments)
        run, error = self._run, self.first
        if error is not None and run.is_training and run.outcome in ("completed", "stopped"):
            run.conclude(error, is_complete=False)


class EarlyStop:
    """A wish to stop that comes while no training is under way: it ends the next one before its first epoch.

    Args:
        run: who is asked to stop.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._said: tuple[str, str | None] = ("", None)

    def end_training(self) -> None:
        """The wish that has ended a training is fulfilled; from here on a wish is for the next."""
        self._said = (self._run.reason, self._run.stopped_by)
        self._run.is_stop_requested = False

    def begin_training(self) -> None:
        """Have the run begin a new training, with the wish that was there before it."""
        run = self._run
        is_wanted, reason, stopped_by = run.is_stop_requested, run.reason, run.stopped_by
        run.reset()
        if is_wanted:
            run.is_stop_requested, run.reason, run.stopped_by = True, reason, stopped_by

    def give_up(self) -> None:
        """There is no next training: the run's reason is again that of the last."""
        if self._run.is_stop_requested:
            self._run.is_stop_requested = False
            self._run.reason, self._run.stopped_by = self._said
