"""`Search`: runs the kept batches once more, first to find the batch, then that batch alone to find the operation.

Owns the order of both passes, and that the state afterwards is that from before the batch.
"""

from __future__ import annotations

from onlooker.core.origin import Kept

from .notice import is_finite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from onlooker.core.logs import Logs
    from onlooker.core.origin import Origin, Trace
    from onlooker.core.run import Run

    from .notice import Notice
    from .past import Past


class Search:
    """What a host is asked to replay.

    Args:
        run: the training.
        past: what was kept of it. Its state is taken anew on the way.
        notice: says what has to be finite.
        done: called at the end, with what was found.

    Attributes:
        batches: what is run once more.
        origin: what was found, or None.
        kept: the batch in which it began, or None.
        compared: how many batches had values to compare.
        differing: the batch that came out different from the first time, or None.
        error: what went wrong in the search itself, or None.
        trace_error: what went wrong when the batch was watched, so that less may be known than there is; or None.
        other_steps: whether an optimizer stepped in other batches than the first time.
        stray: a batch whose loss is not finite now, and was so the first time; or None. Then nothing is known.
    """

    def __init__(self, run: Run, past: Past, notice: Notice, done: Callable[[Search], None]) -> None:
        self._run, self._past, self._notice, self._done = run, past, notice, done
        self.batches = list(past.batches)
        self._now = run.view.moment()  # random states and learning rates go on from here in the end
        self._index = -1
        self._candidate: int | None = None  # gradients were not finite from here on; perhaps nobody will use them
        self._looks_at_gradients = True
        self._lost: list[str] = []  # buffers, where it is only they
        self._sick: int | None = None
        self._trace: Trace | None = None
        self._has_traced = False
        self.origin: Origin | None = None
        self.error: Exception | None = None
        self.trace_error: Exception | None = None
        self.compared = 0
        self.differing: Kept | None = None
        self.other_steps = False
        self.stray: Kept | None = None

    @property
    def kept(self) -> Kept | None:
        """The batch in which it began."""
        return None if self._sick is None or self.error is not None else self.batches[self._sick]

    def next_batch(self) -> Kept | None:
        """Set the training up for the next batch; None when the search is over, or has failed."""
        try:
            return self._next() if self.error is None and self.stray is None else None
        except Exception as error:  # a search must not end a training that would not have ended
            self.error = error
            return None

    def _next(self) -> Kept | None:
        state = self._past.state
        if self._sick is not None:
            if self._has_traced:
                return None
            self._has_traced = True
            state.restore()
            kept = self._fresh(self.batches[self._sick])
            self._trace = self._run.view.trace(kept.data, self._lost)
            kept.moment.restore()
            self._trace.__enter__()
            return kept
        self._index += 1
        if self._index == len(self.batches):
            return None
        if self._index == 0:
            state.restore()
        elif self._candidate is None:
            state.take(gradients=True)
        kept = self._fresh(self.batches[self._index])
        kept.moment.restore()
        return kept

    def end_batch(self, logs: Logs, has_stepped: bool) -> None:
        """Look at what the batch has come to."""
        try:
            self._end(logs, has_stepped)
        except Exception as error:
            self.error = error

    def _end(self, logs: Logs, has_stepped: bool) -> None:
        if self._trace is not None:
            self._end_trace()
            return
        kept, own = self.batches[self._index], dict(logs.batch)
        self._compare(kept, own, has_stepped)
        view = self._run.view
        lost_losses = [name for name, value in own.items() if self._notice.is_watched(name) and not is_finite(value)]
        if kept.logs and lost_losses and all(is_finite(kept.logs.get(name)) for name in lost_losses):
            self.stray = kept
        elif lost_losses or view.not_finite("weights") or view.not_finite("optimizer"):
            self._sick = self._index if self._candidate is None else self._candidate
        elif lost := self._notice.lost_buffers(self._run):
            self._find_buffers(lost)
        elif self._looks_at_gradients and view.not_finite("gradients"):
            if self._candidate is None:
                self._candidate = self._index
        else:
            self._candidate = None
        is_last = self._index + 1 == len(self.batches)
        if self._sick is None and self.stray is None and self._candidate is not None and is_last:
            self._sick = self._candidate

    def _find_buffers(self, lost: list[str]) -> None:
        """Take the batch at hand, in which buffers were lost: with that gradients have nothing to do.

        Where there are such that were not finite before, and nobody has used, as those that a gradient scaler throws
        away, the state is that from before them, and has to be brought up to the batch.
        """
        if self._candidate is None:
            self._sick, self._lost = self._index, lost
            return
        self._index, self._candidate, self._looks_at_gradients = self._candidate - 1, None, False
        self._past.state.restore()

    def notes(self) -> list[str]:
        """Return in words why nothing was found, and what was not as it was the first time."""
        said = []
        if self.error is not None:
            said.append(f"running batches once more failed: {self.error!r}")
        elif self.stray is not None:
            said.append(
                f"run once more, batch {self.stray.batch} has a loss that is not finite, as it had not the first time: "
                f"the loop's body has kept something of it, such as a hidden state, and where it began cannot be seen"
            )
        elif self.kept is None:
            count = len(self.batches)
            said.append(f"the last {count} batches were run once more from before them, and all stayed finite")
        elif self.trace_error is not None:
            said.append(f"watching the operations of batch {self.kept.batch} failed midway: {self.trace_error!r}")
        elif self.origin is None:
            said.append(
                f"batch {self.kept.batch} was run once more, and the numbers were finite in all operations; a logged "
                f"value that is so on purpose is left out by FindNaN(losses=[...])"
            )
        if self.differing is not None:
            said.append(
                f"run once more, batch {self.differing.batch} came out different: the loop's body may have something "
                f"of its own that goes on, such as a count of batches (use loop.run.batch), a gradient scaler "
                f"(loop.run.step_states.append(scaler) has it put back too) or a random generator, or compute in no "
                f"fixed order"
            )
        if self.other_steps:
            said.append(
                "run once more, the optimizer stepped in other batches than the first time: let the body ask "
                "loop.run.batch whether to step, instead of counting itself; a gradient scaler belongs in "
                "loop.run.step_states"
            )
        return said

    def close(self) -> None:
        """Take away what watches, put the state back, and hand over what was found."""
        self._end_trace()
        try:
            if self._sick is not None or self.error is not None or self.stray is not None:
                self._past.state.restore()
        except Exception as error:
            self.error = self.error or error
        self._now.restore()
        self._done(self)

    def _end_trace(self) -> None:
        trace, self._trace = self._trace, None
        if trace is not None:
            trace.__exit__(None, None, None)
            self.origin, self.trace_error = trace.origin, trace.error

    def _fresh(self, kept: Kept) -> Kept:
        """Return the batch with data of its own: the body may change them."""
        fresh = Kept(kept.epoch, kept.batch, kept.step, self._run.view.keep_batch(kept.data)[0], kept.moment)
        fresh.has_stepped = kept.has_stepped
        return fresh

    def _compare(self, kept: Kept, own: Mapping[str, Any], has_stepped: bool) -> None:
        self.other_steps = self.other_steps or has_stepped != kept.has_stepped
        if kept.logs:
            self.compared += 1
            if self.differing is None and not _is_same(kept.logs, own):
                self.differing = kept


def _is_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Compare numbers bit by bit, NaN being the same as NaN."""
    return first.keys() == second.keys() and all(
        value == second[name] or (value != value and second[name] != second[name]) for name, value in first.items()
    )
