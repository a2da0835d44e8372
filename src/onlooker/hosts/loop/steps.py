"""`Steps`: in how many train batches an optimizer has stepped, as its own hooks tell it.

Owns the counting. That a step that cannot be told from a skipped one counts is the view's business.
"""

from __future__ import annotations

from collections.abc import Callable

from onlooker.core.run import Run


class Steps:
    """Moves `run.step`.

    Args:
        run: what is moved.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._undo: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to listen to the optimizers."""
        self._undo = self._run.view.count_steps(self._count)

    def finish(self) -> None:
        """Leave the optimizers as they were."""
        if self._undo is not None:
            self._undo()

    def end_batch(self) -> None:
        """Take note of the end of a train batch: where no optimizer is known, each counts as a step."""
        if self._undo is None:
            self._run.step += 1

    def _count(self) -> None:
        """Take note that an optimizer has stepped; several in one batch count once."""
        run = self._run
        if run.stage == "train" and run.batch is not None and run.step == run.step_at_batch_begin:
            run.step += 1
