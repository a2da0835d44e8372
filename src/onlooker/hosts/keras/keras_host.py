"""`KerasHost`: one of Keras' callback lists at work.

Owns where the run stands while Keras calls the hooks of the list, and the end, however it comes. Who is called stands
in `roster`, with what logs in `ledger`, and what is put around the model's functions in `guards`.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import keras

from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import warn
from onlooker.core.hooks import HOOKS, SCOPES
from onlooker.core.scopes import Scopes
from onlooker.core.state import collect_extra, load_states
from onlooker.hosts.declared.keras import on_backend

from .door import Door
from .guards import Guards
from .keras_run import FLAGS, KerasRun
from .ledger import Ledger, for_keras
from .resume import take
from .roster import BATCH_ENDS, Roster
from .step_count import StepCount

live_hosts: weakref.WeakSet[KerasHost] = weakref.WeakSet()
"""The hosts whose run is under way, as far as they know."""


class KerasHost:
    """One `keras.callbacks.CallbackList`, of which it takes the place of all members.

    Args:
        callback_list: Keras' list.
        model: the model that it is for.
        members: those who get hooks from it, in order, Keras' own among them.

    Attributes:
        run: the run under way, or the one to come.
        roster: the list's members.
        is_closing: whether end hooks are called now that Keras would not have called.
        is_guest_called: whether a callback that is not ours is being called.

    Raises:
        AttachError: one of ours is refused.
    """

    def __init__(self, callback_list: Any, model: Any, members: list[Any]) -> None:
        self.callback_list = callback_list
        self.is_closing = self.is_guest_called = False
        self.roster = Roster(members)
        self._thread = 0
        self._executed: int | None = None
        self._steps: StepCount | None = None
        self.run = self._new_run(model, {})
        self._set_up(Dispatcher())
        callback_list.callbacks = [Door(self)]
        for hook in BATCH_ENDS:
            vars(callback_list).pop(hook, None)  # an earlier host's
            vars(callback_list)[hook] = self._way_of_list(hook)

    # What the door and the list call.

    def begin(self, scope: str, index: int | None = None) -> None:
        """Open a scope, as Keras calls its begin hook."""
        try:
            if scope == "train" and self._scopes.names:
                self._close_unseen()
            if not self._scopes.names:
                self._start(scope)
            self._close_begun_batch()
            if scope == "epoch" or index is None:
                self._prepare(scope)
            elif not self._guards.has_data(SCOPES[scope].stage):
                return  # Keras begins a batch before it finds that there is none
            if scope == "epoch" and self.run.epoch is None:
                self.run.first_epoch = index or 0  # one of Keras' own may have restored a backup by then
            self._scopes.open(scope, index)
            if scope == "train":
                self._restore_states()
            self.run.notice_flag()
        except BaseException as error:
            self.cut_off(error)
            raise

    def end(self, scope: str, logs: Any) -> None:
        """Close a scope that is no batch, as Keras calls its end hook."""
        if scope not in self._scopes.names:
            return
        try:
            if self._scopes.innermost != scope:
                self._close_quietly(scope)
            self.run.notice_flag()
            is_last = len(self._scopes.names) == 1
            if is_last:
                self.run.outcome = "stopped" if self.run.is_stop_requested else "completed"
            if scope == "epoch":
                self.run.is_epoch_complete = True
                self.run.step += 0 if self._steps is None else self._steps.catch_up()
            elif scope in ("test", "predict"):
                self._guards.remove_step(scope)
            self._ledger.given = logs or {}
            self._ledger.is_in_epoch = "epoch" in self._scopes.names
            try:
                self._scopes.close()
                self.run.notice_flag()
            finally:
                if is_last:
                    self._finish()
        except BaseException as error:
            self.cut_off(error)
            raise

    def end_batch(self, scope: str, index: int, raw: Any) -> Any:
        """Close a batch, as Keras calls its end hook. Return the logs for those that come after ours."""
        if self._scopes.innermost != scope:
            return raw
        run, hook = self.run, SCOPES[scope].end
        raw = raw or {}
        begun = index if run.batch is None else run.batch
        count, self._executed = self._executed or index - begun + 1, None
        run.batch = begun + count - 1  # Keras' own index overshoots where a group of batches is cut short
        if scope == "train_batch" and self._steps is not None:
            run.step += self._steps.add(count, may_read=self._dispatcher.listens(hook))
        elif scope == "predict_batch":
            run.outputs = raw.get("outputs")
        self._ledger.given = raw
        logs = self._scopes.close()
        run.data = run.outputs = None
        run.notice_flag()
        return for_keras(raw, logs) if self.roster.has_waiting(hook) else raw

    # What the guards call.

    def draw(self, data: Any) -> None:
        """Take note of the batch that comes next."""
        self.run.data = data

    def executed(self, count: int) -> None:
        """Take note of how many batches a call of Keras' step has run."""
        self._executed = count

    def keep_outputs(self, outputs: Any) -> None:
        """Take note of the model's outputs."""
        self.run.outputs = keras.tree.map_structure(lambda one: one.detach(), outputs)

    def is_in_own_hook(self) -> bool:
        """Say whether one of our hooks is being called, in this thread."""
        return self._scopes.is_in_hook and not self.is_guest_called and self._thread == threading.get_ident()

    def cut_off(self, error: BaseException) -> None:
        """Close all that is open, because an error is about to end Keras' function. It may be reported repeatedly."""
        run = self.run
        if not run.is_live or self.is_closing:
            return
        if self._scopes.names:
            run.outcome = "failed" if isinstance(error, Exception) else "interrupted"
            run.reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.is_closing, self._ledger.given = True, None
        try:
            self._scopes.close_all(error)
        finally:
            self._finish()

    def close_if_dead(self) -> bool:
        """Close the run if Keras' function is no longer running. Say whether it is over."""
        if self.run.is_live and find_caller(self.callback_list) is None:
            self._close_unseen()
        return not self.run.is_live

    # Beginning.

    def _start(self, scope: str) -> None:
        """Begin a run, with the list's callbacks as they are now."""
        if self.run.outcome is not None:
            self.run = self._new_run(self.run.view.model, self.run.params)
        run = self.run
        for other in list(live_hosts):
            if other is not self and other.run.view.model is run.view.model:
                other.close_if_dead()
        self._set_up(self.roster.dispatcher(self))
        stage = SCOPES[scope].stage
        asks_for_outputs = self.roster.check_outputs(run, stage)
        self._thread = threading.get_ident()
        run.flag = FLAGS[stage]
        run.is_live = True
        live_hosts.add(self)
        caller = find_caller(self.callback_list)
        self._guards.place(caller)
        if asks_for_outputs:
            self._guards.watch_outputs()
        if scope == "train":
            self._steps = StepCount(run.view)
            if caller is not None:
                run.first_epoch = run.view.model._initial_epoch or caller.f_locals.get("initial_epoch", 0)
            self._resume()

    def _set_up(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._ledger = Ledger(self.run.view.model, dispatcher)
        self._scopes = Scopes(self.run, dispatcher, self._ledger.logs_for, self._ledger.closed)
        self._guards = Guards(self)
        self._states: dict[str, Any] | None = None

    def _prepare(self, scope: str) -> None:
        """Make ready for the batches of a stage."""
        stage = SCOPES[scope].stage
        self._guards.place_step(stage)
        if scope != "epoch":
            self._guards.watch_data(stage, find_caller(self.callback_list))
        self._ledger.begin(scope)

    def _resume(self) -> None:
        """Go on from what `resume` has read for this model, if it has."""
        run = self.run
        extra = take(run.view.model)
        if extra is None:
            return
        run.is_resumed, run.step, self._states = True, int(extra["step"]), extra["callbacks"]
        if run.first_epoch != extra["next_epoch"]:
            warn(
                f"the training was resumed before epoch {extra['next_epoch']}, but fit begins with {run.first_epoch}; "
                f"write fit(initial_epoch=resume(model, path))"
            )

    def _restore_states(self) -> None:
        states, self._states = self._states, None
        if states is not None:
            load_states(self.roster.own, states)

    def _new_run(self, model: Any, params: dict[str, Any]) -> KerasRun:
        run = KerasRun(model, on_backend(keras.backend.backend()))
        run.params = params
        run.save_extra = lambda: collect_extra(run, self.roster.own, "epoch" in self._scopes.names)
        self.roster.bind(run)
        return run

    def _way_of_list(self, hook: str) -> Callable[..., None]:
        """Return what stands in the list for a batch's end hook: ours first, in this thread, then Keras' own way."""
        scope = HOOKS[hook].name
        of_keras = getattr(self.callback_list, hook)
        is_overridden = getattr(type(self.callback_list), hook) is not getattr(keras.callbacks.CallbackList, hook)

        def end(index: int, logs: Any = None) -> None:
            try:
                logs = self.end_batch(scope, int(index), logs)
                if is_overridden or self.roster.has_waiting(hook):
                    of_keras(index, logs)
            except BaseException as error:
                self.cut_off(error)
                raise

        return end

    # Ending.

    def _close_begun_batch(self) -> None:
        """Close a batch that Keras has begun and then found no data for."""
        innermost = self._scopes.innermost
        if innermost is not None and SCOPES[innermost].index == "batch":
            self._close_quietly(self._scopes.names[-2])

    def _close_quietly(self, name: str) -> None:
        """Close what is open within a scope, although Keras calls no hooks for it; its own callbacks hear nothing."""
        self.is_closing, self._ledger.given = True, None
        try:
            self._scopes.close_to(name)
        finally:
            self.is_closing = False

    def _close_unseen(self) -> None:
        self.cut_off(KeyboardInterrupt("Keras was cut off at a moment at which it tells nobody"))

    def _finish(self) -> None:
        self._guards.remove()
        self.run.is_live = self.is_closing = False
        self.run.data = self.run.outputs = None
        live_hosts.discard(self)


def find_caller(callback_list: Any) -> Any:
    """Return the frame of Keras' `fit`, `evaluate` or `predict` that runs with a list, in whatever thread, or None."""
    for frame in sys._current_frames().values():
        current: Any = frame
        while current is not None:
            is_trainer = current.f_code.co_name in ("fit", "evaluate", "predict")
            if is_trainer and current.f_locals.get("callbacks") is callback_list:
                return current
            current = current.f_back
    return None
