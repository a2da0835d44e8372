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
        scopes: tell the ends of batches, where no optimizer is known: then each train batch counts.
    """

    def __init__(self, run: Run, scopes: Scopes) -> None:
        self._run = run
        self._scopes = scopes
        self._logs_for = scopes.logs_for
        self._undo: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to listen to the optimizers, or else to the batches."""
        self._undo = self._run.view.count_steps(self._count)
        if self._undo is None:
            self._scopes.logs_for = self._count_batch

    def finish(self) -> None:
        """Leave the optimizers as they were."""
        if self._undo is not None:
            self._undo()

    def _count(self, *_: object) -> None:
        """Take note that an optimizer has stepped; several in one batch count once."""
        run = self._run
        if run.stage == "train" and run.batch is not None and run.step == run.step_at_batch_begin:
            run.step += 1

    def _count_batch(self, scope: str) -> Logs | None:
        if scope == "train_batch":
            self._run.step += 1
        return self._logs_for(scope)
