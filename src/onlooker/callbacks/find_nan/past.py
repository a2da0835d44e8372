"""`Past`: the last batches of a training, and its state before the first of them, kept to run them once more.

Owns the memory that it takes and its bound. When to begin anew is `FindNaN`'s business.
"""

from __future__ import annotations

from onlooker.core.origin import Kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from onlooker.core.run import Run


class State:
    """The state of a training: what its view keeps, and what of its host's own a step depends on.

    Args:
        run: the training.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._snapshot = run.view.snapshot()
        self._of_host: list[Any] = []

    @property
    def size_bytes(self) -> int:
        """How much memory it takes."""
        return self._snapshot.size_bytes

    @property
    def is_whole(self) -> bool:
        """Whether nothing was missing in it, as the weights are that a module gets with its first batch."""
        return self._snapshot.is_whole

    def take(self, gradients: bool) -> None:
        """Keep the state as it stands."""
        self._snapshot.take(gradients)
        self._of_host = [one.state_dict() for one in self._run.step_states]

    def restore(self) -> None:
        """Go back to it."""
        self._snapshot.restore()
        for one, state in zip(self._run.step_states, self._of_host, strict=True):
            one.load_state_dict(state)


class Past:
    """What is kept of a training.

    Args:
        run: the training.

    Attributes:
        state: before the first of the batches.
        batches: those since, the one at hand last.
        batches_bytes: how much memory they take.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.state = State(run)
        self.batches: list[Kept] = []
        self.batches_bytes = 0

    @property
    def size_bytes(self) -> int:
        """How much memory all of it takes."""
        return self.state.size_bytes + self.batches_bytes

    def begin_anew(self, gradients: bool) -> None:
        """Keep the state as it stands, and forget the batches."""
        self.state.take(gradients)
        self.batches, self.batches_bytes = [], 0

    def add(self, epoch: int, batch: int) -> None:
        """Keep the batch that begins."""
        run = self._run
        data, size_bytes = run.view.keep_batch(run.data)
        self.batches.append(Kept(epoch, batch, run.step, data, run.view.moment()))
        self.batches_bytes += size_bytes
