"""`StateRun`: a training as callbacks see it, where the model is a state that each step makes anew.

Owns that `model` is the present one, and the warning where it never changes. Which one is present, the view knows.
"""

from __future__ import annotations

from typing import Any

from onlooker.core.errors import warn
from onlooker.core.run import Run


class StateRun(Run):
    """A run whose model is the state that the loop's body has assigned last."""

    @property
    def model(self) -> Any:
        """The present state.

        Raises:
            LoopError: it was donated to a step, and there is no new one yet.
        """
        return self.view.model

    @model.setter
    def model(self, model: Any) -> None:
        """The view has it already."""


def warn_of_standstill(run: Run, has_trained: bool) -> None:
    """Warn, once, that callbacks have seen the same state all along: somebody forgot to assign the new one."""
    view = run.view
    if has_trained and not view.has_moved:
        view.has_moved = True
        warn(
            "there were train batches, but no new state: callbacks see it as it was passed to Loop. Assign what the "
            "step returns: loop.state, loss = step(loop.state, ...)"
        )
