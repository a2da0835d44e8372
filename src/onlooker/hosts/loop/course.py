"""`Course`: the course that a hand-written loop takes, kept in order whatever its body does.

Owns which iterations are under way, what becomes of those that were left, and the outcome. It moves the run through
`Scopes` only, so the grammar holds. What a user calls is in `loop`, what is logged in `ledger`.
"""

from __future__ import annotations

from typing import Any

from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import LoopError
from onlooker.core.faults import add_to
from onlooker.core.hooks import SCOPES
from onlooker.core.logs import Logs
from onlooker.core.run import Run
from onlooker.core.scopes import Scopes
from onlooker.core.state import collect_extra
from onlooker.hosts.ledger import Ledger
from onlooker.hosts.stop_flags import StopFlags

from .endings import EarlyStop, Endings
from .nesting import check_is_kept
from .newcomers import Newcomers
from .resume import go_on_from
from .stage import Iteration, Stage
from .steps import Steps


class Course:
    """Opens and closes the scopes of a loop as its iterations begin, go on, end, or are left.

    Args:
        run: what is moved.
        dispatcher: whose callbacks are called.
        resume: a file from which the first training goes on, or None.

    Attributes:
        run: what is moved.
        scopes: what is open.
        ledger: what was logged.
        newcomers: callbacks that were added during the training.
        steps: in how many train batches there was a step.
        flags: whether a model asks to stop.
        has_left: whether there is something to settle: an iteration that was left, or one that a hook has begun.
    """

    def __init__(self, run: Run, dispatcher: Dispatcher, resume: Any = None) -> None:
        self.ledger = Ledger(run, dispatcher)
        self.scopes = Scopes(run, dispatcher, self.ledger.logs_for, self.ledger.closed)
        self.newcomers = Newcomers(dispatcher, self.scopes)
        self.flags = StopFlags(run)
        self.has_left = self._has_trained = False
        self.run = run
        self._dispatcher = dispatcher
        self._resume = resume
        self._active: list[Iteration] = []  # from outside in
        self._last_train: Iteration | None = None  # the last train stage of this epoch
        self.steps = Steps(run, self.scopes)
        self._early_stop = EarlyStop(run)
        run.save_extra = lambda: collect_extra(run, dispatcher.callbacks, "epoch" in self.scopes.names)

    @property
    def has_trained(self) -> bool:
        """Whether there has been a train batch."""
        return self._has_trained or (self._last_train is not None and self._last_train.index >= 0)

    def start(self) -> None:
        """Take hold of the callbacks and begin to count steps."""
        self._dispatcher.claim()
        self.run.is_live = True
        self.steps.start()

    def finish(self, error: BaseException | None) -> None:
        """Close everything that is open, now that it is known how it ended.

        Args:
            error: what ended it, and is about to be raised further; None where nothing did.
        """
        run = self.run
        if "train" in self.scopes.names:
            run.conclude(error, is_complete=False)
            run.is_epoch_complete = error is None and not self._is_within_a_stage()
        try:
            later = self._wind_up(0)
            if later is not None:
                if error is None or not isinstance(later, Exception):
                    raise later
                add_to(error, later)
        finally:
            self._early_stop.give_up()
            run.is_live = False
            run.data = run.outputs = None
            self.steps.finish()

    # Epochs.

    def enter_training(self) -> Iteration:
        """Make room for a training: whatever is still under way is over."""
        self.check_live()
        if self.scopes.is_in_hook:
            raise LoopError("a callback cannot train from within a hook; test and predict can be nested")
        self.settle()
        while self._active:
            check_is_kept(self._active[-1], "loop.epochs")
            self._close(self._active[-1], is_complete=False)
        self._activate([Iteration("training", base=None, owns_training=True)])
        return self._active[0]

    def open_training(self, epochs: int | None) -> int:
        """Begin a training and return its first epoch."""
        run = self.run
        self._early_stop.begin_training()
        self.flags.clear()
        run.params["epochs"] = epochs
        self.ledger.begin_training()
        resume, self._resume = self._resume, None
        if resume is None:
            self.scopes.open("train")
        else:
            go_on_from(resume, run, self.scopes)
        return run.first_epoch

    def open_epoch(self, epoch: int) -> None:
        """Begin an epoch, with the callbacks that were added since the last."""
        self.newcomers.join()
        self.ledger.begin_epoch()
        self._has_trained, self._last_train = self.has_trained, None
        self.scopes.open("epoch", epoch)

    def close_epoch(self, iteration: Iteration) -> None:
        """End an epoch, and before it whatever is still under way within."""
        self.return_to(iteration)
        self.scopes.close_to("epoch")
        self.run.is_epoch_complete = True
        self.scopes.close()

    # Stages.

    def enter(self, stage: Stage) -> Iteration:
        """Make room for a stage: close what was left, and what cannot hold it."""
        self.check_live()
        self.settle()
        is_silent = self.scopes.is_in_hook
        if is_silent and stage.kind == "train":
            raise LoopError("a callback cannot train from within a hook; test and predict can be nested")
        wanted = stage.batch_scope if stage.kind == "train" else stage.kind
        while not is_silent and self._active and wanted not in SCOPES[self.scopes.innermost or "train"].holds:
            check_is_kept(self._active[-1], f"loop.{stage.kind}")
            self._close(self._active[-1], is_complete=False)
        run = self.run
        iteration = Iteration(f"{stage.kind} stage", self.scopes.innermost, stage.batch_scope, is_silent=is_silent)
        iteration.outer = (run.data, run.outputs, self.ledger.weight)
        self.ledger.weight = None
        self._activate([*self._active, iteration])
        self.has_left = is_silent  # until it is known whether its hook keeps it open
        return iteration

    def open(self, stage: Stage, iteration: Iteration) -> int:
        """Open what a stage needs; return the number of its first batch."""
        run, stands_alone = self.run, iteration.base is None
        if not stage.keep_mode:
            iteration.enter(run.view.evaluating())
        if iteration.is_silent:
            self.ledger.begin_stage(stage.prefix)
            return 0
        if stage.kind == "train":
            run.params["steps"] = stage.length
            if stands_alone:
                iteration.owns_training = True
                epoch = self.open_training(1)
                if not self.is_stopping():
                    self.open_epoch(epoch)
            if self._last_train is not None:
                iteration.index = self._last_train.index
            self._last_train = iteration
            return iteration.index + 1
        if stands_alone:
            run.params["steps"] = stage.length
            iteration.stop = (run.is_stop_requested, run.reason, run.stopped_by)
            run.is_stop_requested = False
        elif stage.kind == "test" and iteration.base == "epoch" and self.ledger.has_test(stage.prefix):
            raise LoopError(
                f"this epoch has already had a test with prefix={stage.prefix!r}; give the second another prefix, "
                f"for example loop.test(loader, prefix='holdout')"
            )
        run.batch_count = stage.length
        self.ledger.begin_stage(stage.prefix)
        self.scopes.open(stage.kind)
        return 0

    def end(self, iteration: Iteration, stage: Stage | None = None) -> None:
        """End an iteration whose generator came to its end."""
        if stage is not None and stage.kind != "train":
            if iteration.is_silent:
                stage.logs = self.ledger.end_stage()
                self._activate([other for other in self._active if other is not iteration])
                iteration.is_over = True
                self._put_back(iteration)
                return
            stage.logs = self.scopes.close() or Logs()
        self._close(iteration, is_complete=True)

    def is_stopping(self, iteration: Iteration | None = None) -> bool:
        """Say whether to stop at this boundary. A test within a training runs to its end, as in Keras."""
        run = self.run
        if iteration is not None and (iteration.is_silent or run.stage != "train"):
            return iteration.stop is not None and run.is_stop_requested
        return run.is_stop_requested or self.flags.is_up()

    # Order among the iterations.

    def settle(self) -> None:
        """Close what was left since the last call, from the inside out, and what hooks that are over have kept open."""
        is_in_hook = self.scopes.is_in_hook
        for iteration in self._active:
            if iteration.is_left or (iteration.is_silent and not is_in_hook):
                self._close(iteration, is_complete=False)
                break
        self.has_left = bool(self._active) and self._active[-1].is_silent

    def leave(self, iteration: Iteration) -> None:
        """Take note that a generator is at its end, however that came."""
        if not iteration.is_over:
            iteration.is_left = self.has_left = True
        iteration.restore()

    def check_live(self) -> None:
        """Refuse to go on outside `with`, by a `LoopError`."""
        if not self.run.is_live:
            raise LoopError("Loop is a context manager; write: with onlooker.Loop(...) as loop: and use it in there")

    def return_to(self, iteration: Iteration) -> None:
        """Close the iterations that are still under way within one.

        Raises:
            LoopError: that one is over itself.
        """
        if iteration.is_over:
            iteration.refuse()
        while not iteration.is_innermost:
            self._close(self._active[-1], is_complete=False)

    def end_within(self, iteration: Iteration) -> None:
        """End the silent stages that are still under way within an iteration."""
        while self._active and self._active[-1] is not iteration and self._active[-1].is_silent:
            self._close(self._active[-1], is_complete=False)

    def _activate(self, iterations: list[Iteration]) -> None:
        """Take note of the iterations that are under way; the innermost is told."""
        for iteration in self._active:
            iteration.is_innermost = False
        self._active = iterations
        if iterations:
            iterations[-1].is_innermost = True

    def _close(self, iteration: Iteration, is_complete: bool) -> None:
        """End an iteration and all within it: put modes back, then call the end hooks of what is open."""
        if iteration.owns_training and "train" in self.scopes.names:
            self.run.conclude(None, is_complete)
            self.run.is_epoch_complete = is_complete or not self._is_within_a_stage()
        first = self._wind_up(self._active.index(iteration))
        if first is not None:
            raise first

    def _is_within_a_stage(self) -> bool:
        """Say whether a stage is under way: an epoch that ends now is cut off in its middle."""
        return any(iteration.batch_scope for iteration in self._active)

    def _wind_up(self, position: int) -> BaseException | None:
        """End the iterations from a position on, from the inside out. Return the first error that an end hook raised.

        Modes are put back first. Each end hook still finds the batch that it closes.
        """
        ended = self._active[position:]
        self._activate(self._active[:position])  # a hook that begins a stage of its own must not meet them
        ended.reverse()
        for iteration in ended:
            iteration.is_over = True
            iteration.restore()
        errors = Endings(self.run)
        for iteration in ended:
            self.ledger.weight = None  # from the end hook on it is too late to log to the batch
            if iteration.is_silent:
                self.ledger.end_stage()  # it has opened no scopes, and those around it may have changed since
            elif self.scopes.innermost == iteration.batch_scope:
                errors.call(self.scopes.close)
            self._put_back(iteration)
            while not iteration.is_silent and self.scopes.innermost not in (None, iteration.base):
                errors.call(self.scopes.close)
            if iteration.owns_training:
                self._early_stop.end_training()
        return errors.first

    def _put_back(self, iteration: Iteration) -> None:
        """Put back the batch around an iteration, and the wish to stop from before it."""
        run = self.run
        run.data, run.outputs, self.ledger.weight = iteration.outer
        if iteration.stop is not None:
            run.is_stop_requested, run.reason, run.stopped_by = iteration.stop
