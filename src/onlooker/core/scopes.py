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


class ScopeCalls:
    """A scope of the grammar with the calls of its two hooks at hand, and, while it is open, what is outside it.

    By the grammar a scope can be open only once at a time.

    Attributes:
        begin: calls the begin hook.
        end: calls the end hook.
        begin_line: the listeners of the begin hook.
        end_line: the listeners of the end hook.
        outer: the scope that it is open in, None for the outermost. A batch can be open in one only, always the same.
        outside: stage, epoch and batch outside it. A batch has none: it moves nothing else, and a stage has no batch
            outside its batches.
    """

    __slots__ = (
        "begin",
        "begin_line",
        "end",
        "end_line",
        "holds",
        "index",
        "is_train_batch",
        "name",
        "outer",
        "outside",
        "stage",
    )

    def __init__(self, scope: Scope, dispatcher: Dispatcher) -> None:
        self.name, self.stage, self.index, self.holds = scope.name, scope.stage, scope.index, scope.holds
        self.is_train_batch = scope.name == "train_batch"
        self.begin: Callable[..., None] = getattr(dispatcher, scope.begin)
        self.end: Callable[..., None] = getattr(dispatcher, scope.end)
        self.begin_line, self.end_line = dispatcher.line(scope.begin), dispatcher.line(scope.end)
        self.outer: ScopeCalls | None = None
        self.outside: tuple[str | None, int | None, int | None] = (None, None, None)


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
        calls: the scopes by name, for `open_batch` and `close_batch`, and to be compared with `current`.
        current: the innermost open scope, None where none is.
    """

    __slots__ = ("_closed", "_run", "calls", "current", "is_in_hook", "logs_for")

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
        self.calls = {name: ScopeCalls(scope, dispatcher) for name, scope in SCOPES.items()}
        for outer in self.calls.values():
            for name in outer.holds:
                self.calls[name].outer = outer
        self.current: ScopeCalls | None = None
        self.is_in_hook = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the open scopes, from outside in."""
        names, scope = [], self.current
        while scope is not None:
            names.append(scope.name)
            scope = scope.outer
        return tuple(reversed(names))

    @property
    def innermost(self) -> str | None:
        """The name of the innermost open scope."""
        return None if self.current is None else self.current.name

    def open(self, name: str, index: int | None = None) -> None:
        """Open a scope: move the run into it and call its begin hook.

        It counts as open before the hook is called, so that its end comes even if the hook raises.

        Args:
            name: a name in `SCOPES`.
            index: the epoch or the batch, for the scopes that have one.

        Raises:
            GrammarError: the grammar does not allow it here.
        """
        scope, outer, run = self.calls[name], self.current, self._run
        if scope.index == "batch":
            self.open_batch(scope, index)
            return
        if name not in (TOP_SCOPES if outer is None else outer.holds):
            raise self.misplaced(scope)
        scope.outer, scope.outside = outer, (run.stage, run.epoch, run.batch)
        self.current = scope
        self.is_in_hook = True
        try:
            if name == "epoch":
                run.epoch, run.step_at_epoch_begin, run.is_epoch_complete = index, run.step, False
                scope.begin(index)
            else:
                run.stage, run.batch = scope.stage, None
                if outer is None:
                    run.begun_at_s = run.clock()
                    run.is_training = name == "train"
                scope.begin()
        finally:
            self.is_in_hook = False

    def open_batch(self, scope: ScopeCalls, index: int | None) -> None:
        """Open the scope of a batch, one of `calls`, as `open` does; it comes often, and so it is short.

        Raises:
            GrammarError: the grammar does not allow it here.
        """
        if self.current is not scope.outer:
            raise self.misplaced(scope)
        self.current = scope
        run, begin = self._run, scope.begin  # not called as a method: that would look for it on the class first
        run.batch = index
        if scope.is_train_batch:  # a test within it must not move this
            run.step_at_batch_begin = run.step
        self.is_in_hook = True
        try:
            begin(index)
        finally:
            self.is_in_hook = False

    def close(self) -> Logs | None:
        """Close the innermost scope: call its end hook and move the run out of it. Return the logs of the hook."""
        scope, run = self.current, self._run
        if scope is None:
            raise GrammarError("nothing is open that could be closed")
        if scope.index == "batch":
            return self.close_batch(scope)
        logs, logs_for, (stage, epoch, batch) = None, self.logs_for, scope.outside
        self.current = scope.outer
        self.is_in_hook = True
        try:
            logs = logs_for(scope.name)
            if scope.index == "epoch":
                scope.end(run.epoch, logs)
            else:
                scope.end(logs)
        finally:
            self.is_in_hook = False
            run.stage, run.batch = stage, batch
            if scope.name == "train":
                run.is_training = False
            elif scope.name != "epoch":  # after them the last one stays
                run.epoch = epoch
            self._closed(scope.name, logs)
        return logs

    def close_batch(self, scope: ScopeCalls) -> Logs | None:
        """Close the innermost scope, which is that of a batch, as `close` does. Return the logs of the hook."""
        self.current = scope.outer
        run, logs_for, end = self._run, self.logs_for, scope.end
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
        while self.current is not None and self.current.name != name:
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

    def misplaced(self, scope: ScopeCalls) -> GrammarError:
        """Return what to raise where the grammar does not allow a scope."""
        names = self.names
        within = f"within {' > '.join(names)}" if names else "outside train"
        return GrammarError(f"{SCOPES[scope.name].begin} cannot come {within}")
