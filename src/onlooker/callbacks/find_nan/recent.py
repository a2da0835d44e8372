"""`Recent`: the last batches of a training whose host runs none once more, and which of them was the sick one.

Owns what can be told without running anything once more. The batches stay the host's: nothing is copied.
"""

from __future__ import annotations

from onlooker.core.origin import Kept

from .batch_look import origin_in, size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from onlooker.core.origin import Origin
    from onlooker.core.run import Run

CLOSED = (
    "the training was being closed: nothing could be run once more. FindNaN(steps_back=1) looks at the weights after "
    "each batch, and so before the next one fails because of them"
)
LATE = "it was noticed after the last batch: nothing could be run once more"
LEFT = "the body left the loop in that batch: nothing could be run once more. FindNaN ends the training itself"


class Recent:
    """The batches since the last look, or the last of them.

    Args:
        limit_bytes: of their data. Where they are more, those of the earliest are let go.

    Attributes:
        batches: the batch at hand last; without data where those were let go.
        size_bytes: how much memory their data take.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self.batches: list[Kept] = []
        self._sizes: list[int] = []
        self._first = 0  # the first whose data are still there
        self.size_bytes = 0

    def add(self, run: Run) -> Kept:
        """Take the batch at hand."""
        kept = Kept(run.epoch or 0, run.batch or 0, run.step_at_batch_begin, run.data, None)
        self.batches.append(kept)
        self._sizes.append(size_of(run.data))
        self.size_bytes += self._sizes[-1]
        while self.size_bytes > self._limit_bytes and self._first + 1 < len(self.batches):
            self.batches[self._first].data = None
            self.size_bytes -= self._sizes[self._first]
            self._first += 1
        return kept


def first_sick(
    run: Run, batches: Sequence[Kept], sick: Kept | None
) -> tuple[Origin | None, Kept | None, Sequence[str]]:
    """Return an origin in the data of one of the last batches, if it is there, the batch in which it began, and notes.

    Args:
        run: the training.
        batches: those that may have been it, the last one last.
        sick: the first whose loss was not finite, or None where no loss tells. The one before it may have been it, by
            what its step did to the weights.

    Returns:
        Without an origin where the data are finite, and then without a batch where none is known.
    """
    if sick is None and (len(batches) == 1 or (batches and run.outcome == "failed")):
        sick = batches[-1]  # or else it is what would not go on because of an earlier one
    suspects = list(batches)
    if sick in suspects:
        place = suspects.index(sick)
        suspects = [sick, *suspects[max(place - 1, 0) : place]]
    for kept in suspects:
        origin = None if kept.data is None else origin_in(run, kept.data)
        if origin is not None:
            return origin, kept, ()
    notes = [] if sick is not None else [f"in which of the last {len(batches)} batches it began is not known"]
    if any(kept.data is None for kept in suspects):
        notes.append("the data of batches were let go of at limit_bytes, and could not all be looked at")
    return None, sick, notes
