"""What `epochs`, `train`, `test` and `predict` return, and what iterating it does.

When the body of a `for` is left early, CPython closes the generator before anybody knows why, and swallows what is
raised while it does. So a generator's close calls no hooks here: it marks its `Iteration` as left and puts modes back.
`Course` closes the scopes with the next call on the loop or when `with` ends, and by then knows the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NoReturn

from onlooker.core.caller import calls_hooks
from onlooker.core.errors import DataError, LoopError, taken_for_an_end
from onlooker.core.logs import Logs
from onlooker.hosts.ledger import UNWEIGHED

from .rerun import rerun

if TYPE_CHECKING:
    from .course import Course


class Iteration:
    """One pass of a `for` over epochs or over a stage.

    Attributes:
        what: its name, for messages.
        base: the innermost scope around it; all within is its own.
        batch_scope: the scope of its batches; "" where it has none.
        index: of its last batch, or of the one before its first.
        is_innermost: whether no other is under way within it; False also when it is over.
        is_left: whether its generator was closed or has raised before the end.
        is_over: whether its scopes are closed; its generator must not go on.
        is_silent: whether it was started from within a hook and so calls none.
        owns_training: whether the training ends with it.
        outer: the run's data and outputs of the batch around it, and its weight.
        stop: the run's wish to stop from before it, where it stands alone.
    """

    __slots__ = (
        "_context",
        "base",
        "batch_scope",
        "index",
        "is_innermost",
        "is_left",
        "is_over",
        "is_silent",
        "outer",
        "owns_training",
        "stop",
        "what",
    )

    def __init__(
        self,
        what: str,
        base: str | None,
        batch_scope: str = "",
        *,
        is_silent: bool = False,
        owns_training: bool = False,
    ) -> None:
        self.what = what
        self.base = base
        self.batch_scope = batch_scope
        self.index = -1
        self.is_innermost = self.is_left = self.is_over = False
        self.is_silent = is_silent
        self.owns_training = owns_training
        self.outer: tuple[Any, Any, float | None] = (None, None, None)
        self.stop: tuple[bool, str, str | None] | None = None
        self._context: AbstractContextManager[None] | None = None

    def enter(self, context: AbstractContextManager[None]) -> None:
        """Enter the context in which modules evaluate."""
        context.__enter__()
        self._context = context

    def restore(self) -> None:
        """Put back modes and gradients, once."""
        context, self._context = self._context, None
        if context is not None:
            context.__exit__(None, None, None)

    def refuse(self) -> NoReturn:
        """Refuse to go on.

        Raises:
            LoopError: something else on the loop has ended it in between.
        """
        raise LoopError(
            f"this {self.what} is over: another stage of the loop, or the end of `with`, has ended it. "
            f"Nest only test and predict within a batch"
        )


class Epochs:
    """What `Loop.epochs` returns: iterating it runs the training and gives the number of each epoch.

    Args:
        course: whose training it is.
        count: how many epochs; None for as many as it takes until somebody stops.
    """

    def __init__(self, course: Course, count: int | None) -> None:
        self._course = course
        self._count = count

    def __len__(self) -> int:
        if self._count is None:
            raise TypeError("these epochs have no length: they go on until somebody stops")
        return self._count

    def __iter__(self) -> Iterator[int]:
        course = self._course
        iteration = course.enter_training()
        try:
            epoch = course.open_training(self._count)
            while (self._count is None or epoch < self._count) and not course.is_stopping():
                course.open_epoch(epoch)
                if not course.is_stopping():
                    yield epoch
                    if iteration.is_over:
                        iteration.refuse()
                course.close_epoch(iteration)
                epoch += 1
            course.end(iteration)
        finally:
            course.leave(iteration)


class Stage:
    """What `Loop.train`, `test` and `predict` return: iterating it runs the stage and gives what the loader gives.

    It has a length where the loader has one.

    Args:
        course: whose stage it is.
        kind: `"train"`, `"test"` or `"predict"`.
        loader: any iterable of batches.
        prefix: under which a test's values stand in the epoch's logs.
        keep_mode: whether modules keep their mode and gradients stay on.

    Attributes:
        logs: the means of a test or predict stage, once it has ended; empty before, and for a train stage.

    Raises:
        DataError: the loader cannot be iterated.
    """

    def __init__(self, course: Course, kind: str, loader: Iterable[Any], prefix: str, keep_mode: bool) -> None:
        if isinstance(loader, str | bytes) or not (hasattr(loader, "__iter__") or hasattr(loader, "__getitem__")):
            raise DataError(
                f"loop.{kind} takes something that yields batches, not {type(loader).__qualname__} {loader!r:.60}; "
                f"for example a torch.utils.data.DataLoader or a list of batches"
            )
        self.kind = kind
        self.batch_scope = f"{kind}_batch"
        self.prefix = prefix
        self.keep_mode = keep_mode
        self.logs = Logs()
        self._course = course
        self._loader = loader
        self._last_count = 0

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]

    @property
    def length(self) -> int | None:
        """The number of batches, or None where the loader cannot tell."""
        try:
            return len(self)
        except (TypeError, NotImplementedError):
            return None

    def __iter__(self) -> Iterator[Any]:
        course = self._course
        iteration = course.enter(self)
        try:
            first = course.open(self, iteration)
            if not course.is_stopping(iteration):
                # What happens in each batch stands here in one piece, with all that it needs at hand: ADR 0027.
                run, ledger, scopes, flags = course.run, course.ledger, course.scopes, course.flags.names
                scope, means = scopes.calls[self.batch_scope], ledger.means
                outer, begin, end = scope.outer, scope.begin_line, scope.end_line
                is_silent, is_train = iteration.is_silent, self.kind == "train"
                line: Any = None  # whose listeners are being called, for `find_caller`
                count_step = course.steps.count_batch if is_train else None
                for index, data in enumerate(self._loader, first):
                    iteration.index = index
                    run.data, run.outputs, ledger.weight = data, None, UNWEIGHED
                    if not is_silent:  # as Scopes.open_batch
                        if scopes.current is not outer:
                            raise scopes.misplaced(scope)
                        scopes.current, run.batch = scope, index
                        if is_train:  # a test within it must not move this
                            run.step_at_batch_begin = run.step
                        calls = begin.calls
                        if calls:  # as Line.call_indexed
                            scopes.is_in_hook, line = True, begin
                            logs, call = Logs(), None
                            try:
                                for call in calls:
                                    call(index, logs)
                            except BaseException as error:
                                line.recover(line, error, calls, call, (index, logs))
                            finally:
                                scopes.is_in_hook, line = False, None
                        if not iteration.is_innermost:  # a hook has kept a stage open
                            course.return_to(iteration)
                    yield data
                    if not iteration.is_innermost:  # the body has left a stage, or ended this one
                        course.return_to(iteration)
                    ledger.weight = None  # from the end hook on it is too late to log to the batch
                    if is_silent:
                        means.end_batch()
                    else:  # as Scopes.close_batch
                        scopes.current, scopes.is_in_hook, calls = outer, True, end.calls
                        try:
                            if count_step is not None:
                                count_step()
                            if calls:  # as Line.call_indexed
                                given = means.batch_logs() if is_train else ledger.logs_for(scope.name)
                                line, call = end, None
                                try:
                                    for call in calls:
                                        call(index, given)
                                except BaseException as error:
                                    line.recover(line, error, calls, call, (index, given))
                            else:
                                means.end_batch()
                        finally:
                            scopes.is_in_hook, run.batch, line = False, None, None
                        if not iteration.is_innermost:
                            course.return_to(iteration)
                    if run.replay is not None:
                        yield from rerun(course, iteration)
                    if (run.is_stop_requested or "stop_training" in flags) and course.is_stopping(iteration):
                        break
                else:
                    self._check_count(iteration.index + 1 - first)
            self._last_count = iteration.index + 1 - first
            course.end(iteration, self)
        except StopIteration as error:
            raise taken_for_an_end("the loader", error) from error
        finally:
            course.leave(iteration)

    def _check_count(self, count: int) -> None:
        """Refuse a loader that yields nothing: nobody means that, and it looks like a training."""
        if count:
            return
        is_used_up = self._last_count or (hasattr(self._loader, "__next__") and self._course.has_trained)
        hint = (
            "a generator can be iterated only once: pass a loader or a list, or make the generator within the epoch"
            if is_used_up
            else "check the data set's size against batch_size and drop_last"
        )
        where = self._course.run.where()
        raise DataError(f"loop.{self.kind}: the loader yielded no batch ({where}); {hint}")


calls_hooks(Stage.__iter__.__code__)
