"""`Progress`: how far a training, an evaluation or a prediction has come.

Owns the hooks and the choice between bars and lines. What is shown when is `session`'s business, how it looks that of
`bars` and `lines`.
"""

from __future__ import annotations

import os
import sys

from onlooker.core.callback import Callback

from .lines import Lines
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from onlooker.core.logs import Logs

    from .bars import Bars


class Progress(Callback):
    """Shows how far it has come, how long it will take, how fast it goes, and the running losses.

    On a terminal, live: a bar for the epochs, with the logs of the last one, and a bar for the batches at hand, with
    their running means. What is printed meanwhile appears above. Where nothing can be drawn anew (a file, a pipe, a
    notebook, a terminal that another live display has already): one line when an epoch ends.

    In Keras, pass `verbose=0` to `fit`, whose own progress bar would be in the way.

    Acts in all hooks but the begins of batches. Reads all numbers in the logs of epochs and of train and test batches;
    live, at most once in `refresh_interval_s`, so that a device is not waited for in each batch; otherwise once an
    epoch. Writes none. What goes wrong is a warning (`on_error = "warn"`), not the end of the training.

    Args:
        refresh_interval_s: how long the display stays as it is at least. Default 0.1.
        live: whether to draw live; None (default) where the output is a terminal.
        stream: where to write; None (default) for `sys.stdout`.

    Raises:
        ValueError: an interval that is no positive number.

    Example:
        >>> import onlooker as ol
        >>> with ol.Loop(model=None, callbacks=[ol.callbacks.Progress(live=False)]) as loop:
        ...     for epoch in loop.epochs(2):
        ...         for number in loop.train([1.0, 2.0]):
        ...             loop.log(loss=number / (epoch + 1))
        epoch 1/2  0.0 s  loss 1.500  (0:00 left)
        epoch 2/2  0.0 s  loss 0.7500
    """

    on_error = "warn"
    only_on = "rank 0"

    _session: Session | None = None

    def __init__(
        self, *, refresh_interval_s: float = 0.1, live: bool | None = None, stream: TextIO | None = None
    ) -> None:
        if not 0 < refresh_interval_s < float("inf"):
            raise ValueError(f"refresh_interval_s={refresh_interval_s!r} must be a positive number of seconds")
        self.refresh_interval_s = refresh_interval_s
        self.live = live
        self.stream = stream

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is under way: a copy shows nothing until it is in a run itself."""
        return {name: value for name, value in super().__getstate__().items() if name != "_session"}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Show the epochs."""
        self._begin().begin_training()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Show how it has ended, and give the terminal back."""
        if self._session:
            try:
                self._session.end_training()
            finally:
                self._end()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Show the train batches."""
        if self._session:
            self._session.begin_epoch(epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Show the epoch's logs."""
        if self._session:
            self._session.end_epoch(epoch, logs or {})

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Show the test batches."""
        self._begin().begin_stage("test")

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Go back to what is around the test; of one that stands alone, show the logs."""
        self._end_stage("test", logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Show the predict batches."""
        self._begin().begin_stage("predict")

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Go back to what is around the prediction."""
        self._end_stage("predict", None)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Show the batch, if it is time to."""
        session = self._session
        if session:
            session.stage.pace.count = batch + 1
            if session.clock() >= session.due_at_s:
                session.refresh(logs)

    on_test_batch_end = on_train_batch_end

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Show the batch, if it is time to, but not its outputs."""
        self.on_train_batch_end(batch, None)

    def _begin(self) -> Session:
        """Return the session that is under way, or a new one."""
        if self._session and self._session.run is not self.run:
            self._end()  # its trainer has left it open
        if self._session is None:
            self._session = Session(self.run, self._output(), self.refresh_interval_s)
        return self._session

    def _end_stage(self, kind: str, logs: Logs | None) -> None:
        if self._session:
            is_over = True
            try:
                is_over = self._session.end_stage(kind, logs or {})
            finally:
                if is_over:
                    self._end()

    def _end(self) -> None:
        session, self._session = self._session, None
        if session:
            session.close()

    def _output(self) -> Bars | Lines:
        """Choose where to show it."""
        stream = sys.stdout if self.stream is None else self.stream
        is_live = self.live
        if is_live is None:
            is_live = stream is not None and stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        if is_live:
            from rich.errors import LiveError

            from .bars import Bars

            run = self.run
            try:
                return Bars(self.stream, is_stale=lambda: not run.is_live)
            except LiveError:
                pass
        return Lines(self.stream)
