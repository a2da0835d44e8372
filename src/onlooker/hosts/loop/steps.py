"""`Steps`: in how many train batches an optimizer has stepped, as its own hooks tell it.

Owns the counting. That a step that cannot be told from a skipped one counts is the view's business.
"""

from __future__ import annotations

from collections.abc import Callable

from onlooker.core.logs import Logs
from onlooker.core.run import Run
from onlooker.core.scopes import Scopes


class Steps:
    """Moves `run.step`.

    Args:
        run: what is moved.
        scopes: tell the ends of batches that were cut off, where no optimizer is known: then each train batch counts.

    Attributes:
        count_batch: to be called at the end of each train batch; None where optimizers tell.
    """

    def __init__(self, run: Run, scopes: Scopes) -> None:
        self._run = run
        self._scopes = scopes
        self._logs_for = scopes.logs_for
        self._undo: Callable[[], None] | None = None
        self.count_batch: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to listen to the optimizers, or else to the batches."""
        self._undo = self._run.view.count_steps(_counter(self._run))
        if self._undo is None:
            self.count_batch, self._scopes.logs_for = self._count_batch, self._count_in_scope

    def finish(self) -> None:
        """Leave the optimizers as they were."""
        if self._undo is not None:
            self._undo()

    def _count_batch(self) -> None:
        if self._run.view.has_stepped():
            self._run.step += 1

    def _count_in_scope(self, scope: str) -> Logs | None:
        if scope == "train_batch":
            self._count_batch()
        return self._logs_for(scope)


def _counter(run: Run) -> Callable[..., None]:
    """Return what takes note that an optimizer has stepped; a function, as that is the quickest to call."""

    def count(optimizer: object = None, given: object = None, named: object = None) -> None:
        if run.stage == "train" and run.batch is not None:
            run.step = run.step_at_batch_begin + 1  # several in one batch count once

    return count
