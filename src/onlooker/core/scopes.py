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
    from .logs import Logs
    from .run import Run

_STAGES = frozenset(TOP_SCOPES)


class Scopes:
    """The open scopes of a run, from outside in.

    Args:
        run: what is moved.
        dispatcher: what is called.
        logs_for: gives the logs of a scope's end hook; called once, just before it.
        closed: called after a scope's end hook with those logs, which callbacks may have added to.
    """

    def __init__(
        self,
        run: Run,
        dispatcher: Dispatcher,
        logs_for: Callable[[str], Logs | None],
        closed: Callable[[str, Logs | None], None],
    ) -> None:
        self._run = run
        self._logs_for = logs_for
        self._closed = closed
        self._open: list[tuple[str, str | None, int | None, int | None]] = []  # name, and the position outside it
        self._begins = {scope.name: getattr(dispatcher, scope.begin) for scope in SCOPES.values()}
        self._ends = {scope.name: getattr(dispatcher, scope.end) for scope in SCOPES.values()}
        self.is_in_hook = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the open scopes, from outside in."""
        return tuple(frame[0] for frame in self._open)

    @property
    def innermost(self) -> str | None:
        """The name of the innermost open scope."""
        return self._open[-1][0] if self._open else None

    def open(self, name: str, index: int | None = None) -> None:
        """Open a scope: move the run into it and call its begin hook.

        It counts as open before the hook is called, so that its end comes even if the hook raises.

        Args:
            name: a name in `SCOPES`.
            index: the epoch or the batch, for the scopes that have one.

        Raises:
            GrammarError: the grammar does not allow it here.
        """
        run, opened = self._run, self._open
        if name not in (SCOPES[opened[-1][0]].holds if opened else TOP_SCOPES):
            within = f"within {' > '.join(self.names)}" if opened else "outside train"
            raise GrammarError(f"{SCOPES[name].begin} cannot come {within}")
        opened.append((name, run.stage, run.epoch, run.batch))
        begin = self._begins[name]
        self.is_in_hook = True
        try:
            if index is None:
                self._enter_stage(name)
                begin()
            elif name == "epoch":
                run.epoch, run.step_at_epoch_begin, run.is_epoch_complete = index, run.step, False
                begin(index)
            else:
                run.batch = index
                if name == "train_batch":  # a test within it must not move this
                    run.step_at_batch_begin = run.step
                begin(index)
        finally:
            self.is_in_hook = False

    def _enter_stage(self, name: str) -> None:
        run = self._run
        run.stage, run.batch = SCOPES[name].stage, None
        if len(self._open) == 1:
            run.begun_at_s = run.clock()
            run.is_training = name == "train"

    def close(self) -> Logs | None:
        """Close the innermost scope: call its end hook and move the run out of it. Return the logs of the hook."""
        run = self._run
        name, stage, epoch, batch = self._open.pop()
        end = self._ends[name]
        logs = None
        self.is_in_hook = True
        try:
            logs = self._logs_for(name)
            if name in _STAGES:
                end(logs)
            else:
                end(run.epoch if name == "epoch" else run.batch, logs)
        finally:
            self.is_in_hook = False
            run.stage, run.batch = stage, batch
            if name == "train":
                run.is_training = False
            elif name != "epoch":  # after them the last one stays
                run.epoch = epoch
            self._closed(name, logs)
        return logs

    def close_to(self, name: str | None) -> None:
        """Close all that is open within the scope `name`, which stays open; None closes everything.

        Every end hook is called, also after one has raised. The first error is raised at the end, the later ones become
        notes on it.
        """
        errors = Collected()
        while self._open and self._open[-1][0] != name:
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
