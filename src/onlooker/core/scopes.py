"""`Scopes`: opens and closes the scopes of a run by the grammar, and keeps the position right while it does.

Every host that owns its loop, or sees another's, moves its run through this and nothing else; so the grammar holds, and
whatever is open when a training is cut off is closed from the inside out. Owns no logs: the host gives them.
"""

from __future__ import annotations

from .errors import GrammarError
from .faults import Collected, add_to
from .hooks import SCOPES, TOP_SCOPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .dispatch import Dispatcher
    from .hooks import Scope
    from .logs import Logs
    from .run import Run

    _Frame = tuple["_Scope", str | None, int | None, int | None]
    """An open scope, with the position outside it: stage, epoch and batch."""


class _Scope:
    """A scope of the grammar, with the calls of its two hooks at hand."""

    __slots__ = ("begin", "end", "frame", "holds", "index", "name", "stage")

    def __init__(self, scope: Scope, dispatcher: Dispatcher) -> None:
        self.name, self.stage, self.index, self.holds = scope.name, scope.stage, scope.index, scope.holds
        self.frame: _Frame = (self, None, None, None)
        self.begin: Callable[..., None] = getattr(dispatcher, scope.begin)
        self.end: Callable[..., None] = getattr(dispatcher, scope.end)


class Scopes:
    """The open scopes of a run, from outside in.

    Args:
        run: what is moved.
        dispatcher: what is called.
        logs_for: gives the logs of a scope's end hook; called once, just before it.
        closed: called after the end hook with those logs, which callbacks may have added to; not for a batch, whose
            logs go no further.

    Attributes:
        logs_for: as above.
        is_in_hook: whether a hook is being called.
    """

    def __init__(
        self,
        run: Run,
        dispatcher: Dispatcher,
        logs_for: Callable[[str], Logs | None],
        closed: Callable[[str, Logs | None], None],
    ) -> None:
        self._run = run
        self.logs_for = logs_for
        self._closed = closed
        self._scopes = {name: _Scope(scope, dispatcher) for name, scope in SCOPES.items()}
        self._open: list[_Frame] = []
        self.is_in_hook = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the open scopes, from outside in."""
        return tuple(frame[0].name for frame in self._open)

    @property
    def innermost(self) -> str | None:
        """The name of the innermost open scope."""
        return self._open[-1][0].name if self._open else None

    def open(self, name: str, index: int | None = None) -> None:
        """Open a scope: move the run into it and call its begin hook.

        It counts as open before the hook is called, so that its end comes even if the hook raises.

        Args:
            name: a name in `SCOPES`.
            index: the epoch or the batch, for the scopes that have one.

        Raises:
            GrammarError: the grammar does not allow it here.
        """
        run, opened, scope = self._run, self._open, self._scopes[name]
        if name not in (opened[-1][0].holds if opened else TOP_SCOPES):
            within = f"within {' > '.join(self.names)}" if opened else "outside train"
            raise GrammarError(f"{SCOPES[name].begin} cannot come {within}")
        begin = scope.begin  # not called as a method: that would look for it on the class first, each time
        self.is_in_hook = True
        try:
            if scope.index == "batch":
                opened.append(scope.frame)  # a stage has no batch outside its batches, and they move nothing else
                run.batch = index
                if name == "train_batch":  # a test within it must not move this
                    run.step_at_batch_begin = run.step
                begin(index)
                return
            opened.append((scope, run.stage, run.epoch, run.batch))
            if name == "epoch":
                run.epoch, run.step_at_epoch_begin, run.is_epoch_complete = index, run.step, False
                begin(index)
            else:
                run.stage, run.batch = scope.stage, None
                if len(opened) == 1:
                    run.begun_at_s = run.clock()
                    run.is_training = name == "train"
                begin()
        finally:
            self.is_in_hook = False

    def close(self) -> Logs | None:
        """Close the innermost scope: call its end hook and move the run out of it. Return the logs of the hook."""
        if self._open[-1][0].index == "batch":
            return self.close_batch()
        run = self._run
        scope, stage, epoch, batch = self._open.pop()
        end, logs_for = scope.end, self.logs_for
        logs = None
        self.is_in_hook = True
        try:
            logs = logs_for(scope.name)
            if scope.index == "epoch":
                end(run.epoch, logs)
            else:
                end(logs)
        finally:
            self.is_in_hook = False
            run.stage, run.batch = stage, batch
            if scope.name == "train":
                run.is_training = False
            elif scope.name != "epoch":  # after them the last one stays
                run.epoch = epoch
            self._closed(scope.name, logs)
        return logs

    def close_batch(self) -> Logs | None:
        """Close the innermost scope, which is a batch. Return the logs of the hook."""
        run, scope, logs_for = self._run, self._open.pop()[0], self.logs_for
        end = scope.end
        self.is_in_hook = True
        try:
            logs = logs_for(scope.name)
            end(run.batch, logs)
            return logs
        finally:
            self.is_in_hook = False
            run.batch = None

    def close_to(self, name: str | None) -> None:
        """Close all that is open within the scope `name`, which stays open; None closes everything.

        Every end hook is called, also after one has raised. The first error is raised at the end, the later ones become
        notes on it.
        """
        errors = Collected()
        while self._open and self._open[-1][0].name != name:
            errors.call(self.close)
        if errors.first is not None:
            raise errors.first

    def close_all(self, error: BaseException | None = None) -> None:
        """Close everything that is open.

        Args:
            error: what ended the training. It is raised anyway by whoever has it, so errors in end hooks become notes
                on it; without it the first of them is raised.
        """
        try:
            self.close_to(None)
        except Exception as later:
            if error is None:
                raise
            add_to(error, later)
