"""`StopFlags`: `model.stop_training = True`, by which Keras' callbacks stop a training.

Owns the look at the models' attributes; that a stop was asked for is then the run's to know.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial

from onlooker.core.run import Run


class StopFlags:
    """Looks at the flag wherever a model takes attributes: one look into a dict for each.

    Args:
        run: whose models these are, and which is told.

    Attributes:
        look: says whether one may be up: a quick look, for each batch, before `is_up` is asked.
        names: likewise holds `"stop_training"`, to look without a call.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._holders = run.view.flag_holders()
        # With one holder, as usual, the look runs no Python code.
        self.look: Callable[[], object] = (
            partial(self._holders[0].get, "stop_training") if len(self._holders) == 1 else self.is_up
        )
        self.names: Container[object] = self._holders[0] if len(self._holders) == 1 else self

    def __contains__(self, name: object) -> bool:
        return any(name in holder for holder in self._holders)

    def clear(self) -> None:
        """Take down the flags that an earlier training has left up."""
        for holder in self._holders:
            if holder.get("stop_training"):
                holder["stop_training"] = False

    def is_up(self) -> bool:
        """Say whether one is up, and tell the run."""
        for holder in self._holders:
            if holder.get("stop_training"):
                self._run.stop("model.stop_training was set to True")
                return True
        return False
