"""What `epochs`, `train`, `test` and `predict` return, and what iterating it does.

When the body of a `for` is left early, CPython closes the generator before anybody knows why, and swallows what is
raised while it does. So a generator's close calls no hooks here: it marks its `Iteration` as left and puts modes back.
`Loop` closes the scopes with its next call or when `with` ends, and by then knows the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from onlooker.core.errors import DataError, LoopError
from onlooker.core.logs import Logs

if TYPE_CHECKING:
    from .loop import Loop


class Iteration:
    """One pass of a `for` over epochs or over a stage.

    Attributes:
        what: its name, for messages.
        base: the innermost scope around it; all within is its own.
        is_left: whether its generator was closed or has raised before the end.
        is_over: whether its scopes are closed; its generator must not go on.
        owns_training: whether the training ends with it.
        is_silent: whether it was started from within a hook and so calls none.
        outer: the run's data and outputs and the weight of the batch around it.
        stop: the run's wish to stop from before it, where it stands alone.
    """

    def __init__(self, what: str, base: str | None, context: AbstractContextManager[None] | None = None) -> None:
        self.what = what
        self.base = base
        self.is_left = self.is_over = self.owns_training = self.is_silent = False
        self.outer: tuple[Any, Any, float | None] = (None, None, None)
        self.stop: tuple[bool, str, str | None] | None = None
        self.context = context
        if context is not None:
            context.__enter__()

    def leave(self) -> None:
        """Take note that the generator is at its end, however that came."""
        if not self.is_over:
            self.is_left = True
        self.restore()

    def restore(self) -> None:
        """Put back modes and gradients, once."""
        context, self.context = self.context, None
        if context is not None:
            context.__exit__(None, None, None)

    def check(self) -> None:
        """Refuse to go on once it is over.

        Raises:
            LoopError: something else on the loop has ended it in between.
        """
        if self.is_over:
            raise LoopError(
                f"this {self.what} is over: another stage of the loop, or the end of `with`, has ended it. "
                f"Nest only test and predict within a batch"
            )


class Epochs:
    """What `Loop.epochs` returns: iterating it runs the training and gives the number of each epoch.

    Args:
        loop: whose training it is.
        count: how many epochs; None for as many as it takes until somebody stops.
    """

    def __init__(self, loop: Loop, count: int | None) -> None:
        self._loop = loop
        self._count = count

    def __len__(self) -> int:
        if self._count is None:
            raise TypeError("these epochs have no length: they go on until somebody stops")
        return self._count

    def __iter__(self) -> Iterator[int]:
        loop = self._loop
        iteration, epoch = loop._begin_epochs(self._count)
        try:
            while (self._count is None or epoch < self._count) and not loop._is_stopping():
                loop._open_epoch(epoch)
                if not loop._is_stopping():
                    yield epoch
                    iteration.check()
                loop._close_epoch(iteration)
                epoch += 1
            loop._end(iteration)
        finally:
            iteration.leave()


class Stage:
    """What `Loop.train`, `test` and `predict` return: iterating it runs the stage and gives what the loader gives.

    It has a length where the loader has one.

    Args:
        loop: whose stage it is.
        kind: `"train"`, `"test"` or `"predict"`.
        loader: any iterable of batches.
        prefix: under which a test's values stand in the epoch's logs.
        keep_mode: whether modules keep their mode and gradients stay on.

    Attributes:
        logs: the stage's means, once it has ended; empty before, and after a train stage.

    Raises:
        DataError: the loader cannot be iterated.
    """

    def __init__(self, loop: Loop, kind: str, loader: Iterable[Any], prefix: str, keep_mode: bool) -> None:
        if isinstance(loader, str | bytes) or not (hasattr(loader, "__iter__") or hasattr(loader, "__getitem__")):
            raise DataError(
                f"loop.{kind} takes something that yields batches, not {type(loader).__qualname__} {loader!r:.60}; "
                f"for example a torch.utils.data.DataLoader or a list of batches"
            )
        self.kind = kind
        self.prefix = prefix
        self.keep_mode = keep_mode
        self.logs = Logs()
        self._loop = loop
        self._loader = loader
        self._last_count = 0

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        loop = self._loop
        iteration, first = loop._begin_stage(self)
        try:
            count = 0
            if not loop._is_stopping(iteration):
                for data in self._loader:
                    loop._begin_batch(self, iteration, first + count, data)
                    count += 1
                    yield data
                    iteration.check()
                    loop._end_batch(self, iteration)
                    if loop._is_stopping(iteration):
                        break
                else:
                    self._check_count(count)
            self._last_count = count
            loop._end_stage(self, iteration)
        finally:
            iteration.leave()

    def _check_count(self, count: int) -> None:
        """Refuse a loader that yields nothing: nobody means that, and it looks like a training."""
        if count:
            return
        where = self._loop.run.where()
        used_up = self._last_count or (hasattr(self._loader, "__next__") and self._loop._has_trained)
        hint = (
            "a generator can be iterated only once: pass a loader or a list, or make the generator within the epoch"
            if used_up
            else "check the data set's size against batch_size and drop_last"
        )
        raise DataError(f"loop.{self.kind}: the loader yielded no batch ({where}); {hint}")
