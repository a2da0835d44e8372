"""`Loop`: the host of a hand-written loop.

Owns which iterations are under way and what becomes of those that were left. It moves the run through `Scopes` only, so
the grammar holds whatever the user does in the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from onlooker.core.attach import check_callback
from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import LoopError
from onlooker.core.hooks import SCOPES
from onlooker.core.run import Run
from onlooker.core.scopes import Scopes
from onlooker.core.state import collect_states, load_states
from onlooker.hosts.declared.loop import LOOP
from onlooker.views import find_view
from onlooker.views.foreign import adapt

from .ledger import Ledger
from .stage import Epochs, Iteration, Stage


class Loop:
    """Calls callbacks from a loop that you write yourself, for one model or several.

    Use it as a context manager, so that `on_train_end` comes also when the training fails. `epochs`, `train`, `test`
    and `predict` are iterated like what they are given; `log` says what there is to know about a batch.

    Args:
        model: what is trained, or a dict of several.
        optimizer: its optimizer, or a dict or list of several; None where there is none to look at.
        callbacks: onlooker's, or Keras' own, in the order in which they are called.
        resume: a file that `run.save` wrote: the first training goes on from there.

    Attributes:
        run: the `Run` that callbacks see.

    Raises:
        AttachError: a callback is refused.

    Example:
        >>> import onlooker as ol
        >>> class Watch(ol.Callback):
        ...     def on_epoch_end(self, epoch, logs):
        ...         print(epoch, dict(logs))
        >>> with ol.Loop(model=None, callbacks=[Watch()]) as loop:
        ...     for epoch in loop.epochs(2):
        ...         for number in loop.train([1.0, 2.0]):
        ...             loop.log(loss=number / (epoch + 1))
        0 {'loss': 1.5}
        1 {'loss': 0.75}
        >>> loop.run.outcome
        'completed'
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any = None,
        callbacks: Iterable[Any] = (),
        *,
        resume: Any = None,
    ) -> None:
        params = {"epochs": None, "steps": None, "verbose": 1}
        self.run = Run(model, view=find_view(model, optimizer), host=LOOP, params=params)
        self.run.save_extra = self._position_and_states
        self._dispatcher = Dispatcher(adapt(callbacks), self.run)
        self._ledger = Ledger(self.run, self._dispatcher)
        self._scopes = Scopes(self.run, self._dispatcher, self._ledger.logs_for, self._ledger.closed)
        self._resume = resume
        self._active: list[Iteration] = []  # from outside in
        self._joining: list[Callback] = []
        self._next_batch = 0
        self._has_trained = False
        self._is_used = False
        self._undo_counting: Callable[[], None] | None = None
        self._flag_holders = self.run.view.flag_holders()

    # What a user calls.

    def __enter__(self) -> Loop:
        if self._is_used:
            raise LoopError("this Loop was used before; make a new one for each `with`")
        if self.run.view.process_count() > 1:
            raise LoopError(
                f"{self.run.view.process_count()} processes train together, but Loop cannot yet agree with the others "
                f"on stopping, and a stop on one alone would hang the rest; use Loop in a single process"
            )
        self._dispatcher.claim()
        self._is_used = self.run.is_live = True
        self._undo_counting = self.run.view.count_steps(self._count_step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if "train" in self._scopes.names:
            self._set_outcome(error, is_complete=False)
        try:
            for iteration in reversed(self._active):
                iteration.is_over = True
                iteration.restore()
            self._active.clear()
            self._scopes.close_all(error)
        finally:
            self.run.is_live = False
            self.run.data = self.run.outputs = None
            if self._undo_counting is not None:
                self._undo_counting()

    def epochs(self, count: int | None = None) -> Epochs:
        """Train for some epochs; iterate the result to get their numbers, from 0.

        `on_train_begin` comes with the first, `on_train_end` when they are over or left.

        Args:
            count: how many; None for as many as it takes until somebody stops.

        Raises:
            ValueError: a negative number; TypeError: no whole number.
        """
        self._check_live()
        if count is not None:
            if isinstance(count, bool) or not hasattr(count, "__index__"):
                raise TypeError(f"loop.epochs takes a whole number or None, not {count!r}")
            if count < 0:
                raise ValueError(f"loop.epochs({count}) is negative; expected 0 or more, or None for no end")
        return Epochs(self, count)

    def train(self, loader: Iterable[Any]) -> Stage:
        """Train on the batches of a loader; iterate the result to get them. Outside `epochs` it is a run of one epoch.

        Raises:
            DataError: the loader cannot be iterated, or, when iterated, yields nothing.
        """
        self._check_live()
        return Stage(self, "train", loader, "", keep_mode=True)

    def test(self, loader: Iterable[Any], *, prefix: str = "val", keep_mode: bool = False) -> Stage:
        """Evaluate on the batches of a loader; iterate the result to get them.

        Modules are in evaluation mode and gradients off meanwhile. Within an epoch it is its validation, and may also
        stand within a train batch; elsewhere it stands alone.

        Args:
            loader: any iterable of batches.
            prefix: under which its values stand in the epoch's logs, for example `val_loss`. In the test's own hooks
                they have none.
            keep_mode: leave modes and gradients alone.

        Raises:
            DataError: the loader cannot be iterated, or, when iterated, yields nothing.
            LoopError: when iterated, if the epoch has already had a test with this prefix.
        """
        self._check_live()
        if not isinstance(prefix, str) or not prefix:
            raise ValueError(f"prefix={prefix!r} must be a word, as 'val' in val_loss")
        return Stage(self, "test", loader, prefix, keep_mode)

    def predict(self, loader: Iterable[Any], *, keep_mode: bool = False) -> Stage:
        """Predict on the batches of a loader; iterate the result to get them, and assign `loop.outputs` in the body.

        Modes and gradients are as in `test`.

        Raises:
            DataError: the loader cannot be iterated, or, when iterated, yields nothing.
        """
        self._check_live()
        return Stage(self, "predict", loader, "", keep_mode)

    def log(self, values: Mapping[str, Any] | None = None, /, *, weight: float | None = None, **named: Any) -> None:
        """Say what there is to know about the batch at hand, or, outside a batch, about the epoch.

        Values on a device are not waited for. The last value counts where a name comes twice in a batch. A name that is
        logged in some batches only is averaged over those.

        Args:
            values: numbers by name, for names that are no identifiers, such as `"loss/real"`, or `"weight"`.
            weight: over how many samples the values are means. Default: the length of the first axis of the first
                array in the batch, else 1.
            **named: numbers: floats, or arrays with one element.

        Raises:
            LogError: a value is no single number, or there is nothing here to log to.

        Example:
            `loop.log(loss=loss, accuracy=correct / len(x))`
        """
        if self._active and any(iteration.is_left for iteration in self._active):
            self._settle()
        if values is not None:
            named = {**values, **named}
        is_silent = bool(self._active) and self._active[-1].is_silent
        self._ledger.log(named, weight, "test_batch" if is_silent else self._scopes.innermost)

    @property
    def outputs(self) -> Any:
        """The model's outputs for the batch at hand, offered to callbacks as `run.outputs`; let go when it ends."""
        return self.run.outputs

    @outputs.setter
    def outputs(self, outputs: Any) -> None:
        self.run.outputs = outputs

    def stop(self, reason: str = "") -> None:
        """Ask for the training to end at the next boundary; validation still runs, as in Keras."""
        self.run.stop(reason)

    def add(self, callback: Any) -> None:
        """Attach a callback. During a training it joins with the next epoch, and first gets `on_train_begin`.

        Raises:
            AttachError: it is refused.
        """
        (adapted,) = adapt([callback])
        if "train" in self._scopes.names:
            check_callback(adapted)
            self._joining.append(adapted)
        else:
            self._dispatcher.add(adapted)

    # What the iterations call: epochs.

    def _begin_epochs(self, count: int | None) -> tuple[Iteration, int]:
        self._check_live()
        if self._scopes.is_in_hook:
            raise LoopError("a callback cannot train from within a hook; test and predict can be nested")
        self._settle()
        while self._active:  # whatever is still under way is over, now that a training begins
            self._close(self._active[-1], is_complete=False)
        iteration = Iteration("training", base=None)
        iteration.owns_training = True
        self._active.append(iteration)
        return iteration, self._begin_training(count)

    def _begin_training(self, epochs: int | None) -> int:
        """Open the training and return its first epoch."""
        run = self.run
        run.reset()
        for holder in self._flag_holders:
            if holder.get("stop_training"):
                holder["stop_training"] = False
        run.params["epochs"] = epochs
        self._ledger.begin_training()
        resume, self._resume = self._resume, None
        run.is_resumed = resume is not None
        if resume is None:
            self._scopes.open("train")
        else:
            saved = run.view.load(str(resume))
            run.first_epoch, run.step = saved["next_epoch"], saved["step"]
            self._scopes.open("train")
            load_states(self._dispatcher.callbacks, saved["callbacks"])
            run.view.load(str(resume))  # again: what on_train_begin drew or changed, it did the first time too
        return run.first_epoch

    def _open_epoch(self, epoch: int) -> None:
        joining, self._joining = self._joining, []
        for callback in joining:
            self._dispatcher.join(callback)
        self._ledger.begin_epoch()
        self._next_batch = 0
        self._scopes.open("epoch", epoch)

    def _close_epoch(self, iteration: Iteration) -> None:
        self._close_within(iteration)
        self._scopes.close_to("epoch")
        self._scopes.close()

    def _end(self, iteration: Iteration) -> None:
        self._close(iteration, is_complete=True)

    # What the iterations call: stages.

    def _begin_stage(self, stage: Stage) -> tuple[Iteration, int]:
        """Make room for a stage and open what it needs; return its iteration and the number of its first batch."""
        self._check_live()
        self._settle()
        if self._scopes.is_in_hook or (self._active and self._active[-1].is_silent):
            return self._begin_silent(stage), 0
        scope = "train_batch" if stage.kind == "train" else stage.kind
        while self._active and scope not in SCOPES[self._scopes.innermost or "train"].holds:
            self._close(self._active[-1], is_complete=False)
        stands_alone = self._scopes.innermost is None
        iteration = self._push(stage)
        if stage.kind != "train":
            if stands_alone:
                run = self.run
                iteration.stop = (run.is_stop_requested, run.reason, run.stopped_by)
                run.is_stop_requested = False
            elif stage.kind == "test" and self._scopes.innermost == "epoch" and self._ledger.has_test(stage.prefix):
                raise LoopError(
                    f"this epoch has already had a test with prefix={stage.prefix!r}; give the second another prefix, "
                    f"for example loop.test(loader, prefix='holdout')"
                )
            self._set_steps(stage)
            self._ledger.begin_stage(stage.prefix)
            self._scopes.open(stage.kind)
            return iteration, 0
        if stands_alone:
            iteration.owns_training = True
            self._set_steps(stage)
            epoch = self._begin_training(1)
            if not self._is_stopping():
                self._open_epoch(epoch)
        self._set_steps(stage)
        return iteration, self._next_batch

    def _begin_silent(self, stage: Stage) -> Iteration:
        if stage.kind == "train":
            raise LoopError("a callback cannot train from within a hook; test and predict can be nested")
        iteration = self._push(stage)
        iteration.is_silent = True
        self._ledger.begin_stage(stage.prefix)
        return iteration

    def _push(self, stage: Stage) -> Iteration:
        context = None if stage.keep_mode else self.run.view.evaluating()
        iteration = Iteration(f"{stage.kind} stage", self._scopes.innermost, context)
        iteration.outer = (self.run.data, self.run.outputs, self._ledger.weight)
        self._active.append(iteration)
        return iteration

    def _begin_batch(self, stage: Stage, iteration: Iteration, index: int, data: Any) -> None:
        iteration.check()
        self.run.data = data
        self.run.outputs = None
        self._ledger.weight = None
        if not iteration.is_silent:
            self._scopes.open(f"{stage.kind}_batch", index)

    def _end_batch(self, stage: Stage, iteration: Iteration) -> None:
        if self._active[-1] is not iteration:
            self._close_within(iteration)
        if iteration.is_silent:
            self._ledger.end_batch()
            return
        if stage.kind == "train":
            self._next_batch += 1
            self._has_trained = True
            if self._undo_counting is None:
                self.run.step += 1
        self._scopes.close()

    def _end_stage(self, stage: Stage, iteration: Iteration) -> None:
        if iteration.is_silent:
            stage.logs = self._ledger.end_stage()
            iteration.is_silent = False  # its means are closed already
            self._close(iteration, is_complete=True, closes_scopes=False)
            return
        if stage.kind != "train":
            logs = self._scopes.close()
            if logs is not None:
                stage.logs = logs
        self._close(iteration, is_complete=True)

    def _is_stopping(self, iteration: Iteration | None = None) -> bool:
        """Say whether to stop at this boundary. A test within a training runs to its end, as in Keras."""
        run = self.run
        if iteration is not None and (iteration.is_silent or run.stage != "train"):
            return iteration.stop is not None and run.is_stop_requested
        if run.is_stop_requested:
            return True
        for holder in self._flag_holders:
            if holder.get("stop_training"):
                run.stop("model.stop_training was set to True")
                return True
        return False

    # Keeping order among the iterations.

    def _settle(self) -> None:
        """Close what was left since the last call, from the inside out."""
        for iteration in self._active:
            if iteration.is_left:
                self._close(iteration, is_complete=False)
                return

    def _close_within(self, iteration: Iteration) -> None:
        """Close the iterations that are still under way within one."""
        while self._active[-1] is not iteration:
            self._close(self._active[-1], is_complete=False)

    def _close(self, iteration: Iteration, is_complete: bool, closes_scopes: bool = True) -> None:
        """End an iteration and all within it: put modes back, then call the end hooks of what is open."""
        position = self._active.index(iteration)
        for inner in reversed(self._active[position:]):
            inner.is_over = True
            inner.restore()
            if inner.is_silent:
                self._ledger.end_stage()
        del self._active[position:]
        try:
            if closes_scopes:
                if iteration.owns_training:
                    self._set_outcome(None, is_complete)
                self._scopes.close_to(iteration.base)
        finally:
            self.run.data, self.run.outputs, self._ledger.weight = iteration.outer
            if iteration.stop is not None:
                self.run.is_stop_requested, self.run.reason, self.run.stopped_by = iteration.stop

    def _set_outcome(self, error: BaseException | None, is_complete: bool) -> None:
        """Say how the training ends, before its last hooks are called."""
        run = self.run
        if error is not None and not isinstance(error, GeneratorExit):
            run.outcome = "failed" if isinstance(error, Exception) else "interrupted"
            run.reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        elif run.is_stop_requested:
            run.outcome = "stopped"
        elif is_complete:
            run.outcome = "completed"
        else:
            run.outcome, run.reason = "stopped", "the loop was left before its end"

    # Small things.

    def _check_live(self) -> None:
        if not self.run.is_live:
            what = "its `with` has ended" if self._is_used else "it must be entered first"
            raise LoopError(f"Loop is a context manager and {what}; write: with onlooker.Loop(...) as loop: ...")

    def _set_steps(self, stage: Stage) -> None:
        try:
            self.run.params["steps"] = len(stage)
        except TypeError:
            self.run.params["steps"] = None

    def _count_step(self) -> None:
        """Take note that an optimizer has stepped; several in one batch count once."""
        run = self.run
        if run.stage == "train" and run.batch is not None and run.step == run.step_at_batch_begin:
            run.step += 1

    def _position_and_states(self) -> dict[str, Any]:
        """Return what a resumed run needs beside the model. In the middle of an epoch, that epoch is begun again."""
        epoch = -1 if self.run.epoch is None else self.run.epoch
        is_within = "epoch" in self._scopes.names
        return {
            "next_epoch": epoch if is_within else epoch + 1,
            "step": self.run.step_at_epoch_begin if is_within else self.run.step,
            "callbacks": collect_states(self._dispatcher.callbacks),
        }
