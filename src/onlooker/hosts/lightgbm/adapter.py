"""`for_lightgbm`: Onlooker's callbacks in `lightgbm.train`, `lightgbm.cv` and LightGBM's scikit-learn interface.

Owns how one call of `train` or `cv` tells where it stands. LightGBM calls a callback either before its rounds or after
them, never both, and tells nobody when a training begins, ends or fails. But the two lists that it goes through are its
own variables, and stay the same through all rounds. So the first adapter that is called looks them up, and places in
them what hears the rest (`_Call`). How metrics are named is `RoundNames`' business.
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from types import FrameType
from typing import Any

from lightgbm import Booster, CVBooster
from lightgbm.callback import CallbackEnv, EarlyStopException

from onlooker.core.errors import AttachError
from onlooker.core.faults import Collected
from onlooker.hosts.adapter import Adapter, why_asked
from onlooker.hosts.declared.lightgbm import LIGHTGBM
from onlooker.hosts.follower import Follower
from onlooker.hosts.round_names import RoundNames
from onlooker.views.booster_files import load_extra
from onlooker.views.lightgbm import LightGBMView

from .results import native_of, values_of
from .watched_booster import unwatch, watch, watcher_of

_BEFORE, _AFTER = "callbacks_before_iter", "callbacks_after_iter"
"""How LightGBM calls its two lists of callbacks, in `train` and in `cv`."""

_IN_ROUNDS = ("on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end", "on_train_end")
"""The hooks for whom a round has to be followed: the last one has the last epoch's logs."""


def for_lightgbm(
    *callbacks: Any,
    training: str | None = None,
    validation: str | None = None,
    loss: str | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> Callable[[CallbackEnv], None]:
    """Return one callback of LightGBM's that runs Onlooker's: `lightgbm.train(..., callbacks=[for_lightgbm(Watch())])`.

    An epoch is a boosting round; there are no batches. It may stand beside LightGBM's own callbacks, and several may
    stand in one list.

    Args:
        *callbacks: in the order in which they are called.
        training: LightGBM's name of the data set whose values stand in the logs as they are; None takes the one that
            is trained on, where it is evaluated.
        validation: of the data set whose values stand under `val_`; None takes the first of the others.
        loss: the metric that is called `loss`; None takes the first of which less is better.
        resume: a file of `run.save`, which is also passed as `init_model`: position and states are taken from it.

    Raises:
        AttachError: something is no callback, or needs what LightGBM cannot give.
        DataError: there is nothing of a run beside the file to resume from.
    """
    return LightGBMHost(Follower(callbacks, LIGHTGBM), RoundNames(training, validation, loss), resume)


class LightGBMHost(Adapter):
    """What LightGBM is given. It is called once in each training, and then replaced in LightGBM's lists."""

    before_iteration = True
    call: _Call
    place: float
    is_heard: bool

    def __init__(self, follower: Follower, names: RoundNames, resume: str | os.PathLike[str] | None) -> None:
        self.follower = follower
        self._names = names
        self._resumed = None if resume is None else load_extra(os.fspath(resume))

    def __call__(self, env: CallbackEnv) -> None:
        """Take part in the training that has just called."""
        if not self.follower.is_in_hook:  # else one of our own callbacks has started it: it is silent
            _Call.find(sys._getframe(1), env).join(self, env)

    def begin_training(self, env: CallbackEnv) -> None:
        """Begin the training."""
        resumed, first = self._resumed, env.begin_iteration
        if resumed is not None:
            if resumed["next_epoch"] != first:
                raise AttachError(
                    f"the file to resume from was saved after {resumed['next_epoch']} rounds, but the training begins "
                    f"with {first}; pass the same file as resume=... and as init_model=..."
                )
            self.follower.load_state_dict(resumed)
        view = LightGBMView(env.model, env.params, first)
        run = self.follower.start(view, {"epochs": env.end_iteration, "steps": 1})
        run.first_epoch = run.step = first
        self.follower.open("train")

    def begin_round(self, env: CallbackEnv) -> None:
        """Begin an epoch."""
        try:
            if self.follower.is_live:
                self.follower.open("epoch", env.iteration)
        except BaseException as error:
            self.call.cut_off(error)
            raise

    def end_round(self, env: CallbackEnv) -> None:
        """Take the round's metrics and end the epoch, unless that has been done."""
        follower = self.follower
        if not follower.is_live or "epoch" not in follower.scopes.names:
            return
        try:
            run, model = follower.run, env.model
            run.step = env.iteration + 1
            run.native_logs = native_of(env.evaluation_result_list)
            known = model._train_data_name if isinstance(model, Booster) else None
            values, validation = values_of(self._names, env.evaluation_result_list, known)
            follower.close_round(values, validation)
            self.call.has_ended(env.iteration == env.end_iteration - 1, follower.is_stopping())
        except BaseException as error:
            self.call.cut_off(error)
            raise

    def count_rounds(self, env: CallbackEnv) -> Callable[[], None]:
        """Return what takes note of a round that nobody listens to, when its trees are there."""
        run, call, is_stopping, look = self.follower.run, self.call, self.follower.is_stopping, self.follower.look
        first, last = env.begin_iteration + 1, env.end_iteration

        def count() -> None:
            run.epoch = run.step
            run.step = rounds = run.step + 1
            if rounds == last or run.is_stop_requested or look():
                call.has_ended(rounds == last, is_stopping())
            if rounds == first:
                call.spare_begin(self)

        return count


class _Call:
    """One call of `train` or `cv`: its two lists of callbacks, and all adapters that follow it.

    LightGBM's own callbacks in the lists and the booster are watched, so that what is raised in them is seen. What ends
    the training ends it for all adapters.

    Attributes:
        code: of the function that has been called.
        is_stopping: whether one of our callbacks has asked to stop: this round is the last.
        counts: called when a round's trees are there, for those to whom nobody listens in rounds: LightGBM no longer
            calls them, as it makes something anew for each whom it calls.
    """

    def __init__(self, frame: FrameType, model: Any) -> None:
        self.code, self.is_stopping = frame.f_code, False
        self.counts: list[Callable[[], None]] = []
        self._hosts: list[LightGBMHost] = []
        self._given = frame.f_locals.get("callbacks") or ()
        self._before, self._after = frame.f_locals[_BEFORE], frame.f_locals[_AFTER]
        for callbacks in (self._before, self._after):
            callbacks[:] = [one if isinstance(one, LightGBMHost) else _Watched(self, one) for one in callbacks]
        self._model = model
        watch(model, self)

    @classmethod
    def find(cls, frame: FrameType | None, env: CallbackEnv) -> _Call:
        """Return the call in which somebody has been called: the nearest frame outwards that has LightGBM's lists."""
        while frame is not None:
            if _AFTER in frame.f_code.co_varnames and _BEFORE in frame.f_code.co_varnames:
                return watcher_of(env.model) or cls(frame, env.model)
            frame = frame.f_back
        raise AttachError(
            "for_lightgbm was called by something else than lightgbm.train and lightgbm.cv, or LightGBM keeps its "
            f"callbacks in another way than in {LIGHTGBM.tested}"
        )

    def join(self, host: LightGBMHost, env: CallbackEnv) -> None:
        """Have an adapter hear all rounds, at its own place among the callbacks; the first has just begun."""
        if host not in self._before:
            raise AttachError("what for_lightgbm returns must itself stand in callbacks=[...]")
        host.check_alone(self._given)  # of what stands there twice LightGBM calls one
        self._hosts.append(host)
        host.call, host.place = self, vars(host).pop("order")  # LightGBM's mark: in another list it may stand elsewhere
        try:
            host.begin_training(env)
        except BaseException as error:
            self.cut_off(error)
            raise
        self._before[self._before.index(host)] = host.begin_round
        host.is_heard = any(host.follower.listens(hook) for hook in _IN_ROUNDS)
        if host.is_heard:
            place = sum(getattr(one, "__self__", one).place <= host.place for one in self._after)
            self._after.insert(place, host.end_round)
            host.begin_round(env)
        else:
            self.counts.append(host.count_rounds(env))

    def spare_begin(self, host: LightGBMHost) -> None:
        """Have an adapter no longer called before a round; not while LightGBM goes through that list."""
        self._before.remove(host.begin_round)

    def has_ended(self, is_last: bool, is_stopping: bool) -> None:
        """Take note that an adapter has had a round; after the last one the training ends for all."""
        self.is_stopping = self.is_stopping or is_stopping
        if (self.is_stopping or is_last) and self._settle not in self._after:
            self._after.append(self._settle)

    def cut_off(self, error: BaseException) -> None:
        """Close what is open because of an error that is about to end the training."""
        errors = Collected()
        for host in self._hosts:
            errors.call(host.follower.cut_off, error)
        self._leave(errors)

    def stop(self, who: Any, env: CallbackEnv, stop: EarlyStopException) -> None:
        """End the training: a callback of somebody else's has stopped it, or found that this was its last round."""
        errors = Collected()
        for host in self._hosts:  # those that stand after it have not had the round yet
            if host.is_heard:
                errors.call(host.end_round, env)
        _set_best(env.model, stop.best_iteration + 1, stop.best_score)
        name = getattr(who, "__name__", type(who).__name__)
        name = "LightGBM's early_stopping" if name == "_EarlyStoppingCallback" else name
        is_last = env.iteration == env.end_iteration - 1
        ended = "" if is_last else f"{name}, with epoch {stop.best_iteration} as the best"
        self._finish(ended or why_asked(self._hosts), errors)

    def _settle(self, env: CallbackEnv) -> None:
        """End the training after the last round, or after one in which it was asked to stop."""
        results, is_last = env.evaluation_result_list, env.iteration == env.end_iteration - 1
        # The number after the best round is cut off in cv, and 0 means "none" in train, as at an ordinary end.
        best = env.iteration if isinstance(env.model, CVBooster) else -1
        _set_best(env.model, best + 1 if self.is_stopping else None, results)
        self._finish(why_asked(self._hosts), Collected())
        if self.is_stopping and not is_last:
            raise EarlyStopException(best, results)

    def _finish(self, stopped: str, errors: Collected) -> None:
        for host in self._hosts:
            errors.call(lambda follower: follower.finish(stopped=stopped), host.follower)
        self._leave(errors)

    def _leave(self, errors: Collected) -> None:
        """Leave no trace on the booster, let go of the call, and raise what there is to raise."""
        unwatch(self._model)
        for host in self._hosts:
            vars(host).pop("call", None)
        if errors.first is not None:
            raise errors.first


class _Watched:
    """A callback of LightGBM's own in its lists, of which we see what it raises."""

    def __init__(self, call: _Call, callback: Callable[[CallbackEnv], Any]) -> None:
        self._call, self._callback, self.place = call, callback, callback.order  # type: ignore[attr-defined]

    def __call__(self, env: CallbackEnv) -> None:
        call, is_after = self._call, env.evaluation_result_list is not None
        if call.is_stopping and is_after:  # LightGBM's early stopping then hands out the best round that it has found
            env = CallbackEnv(
                env.model, env.params, env.iteration, env.begin_iteration, env.iteration + 1, env.evaluation_result_list
            )
        try:
            self._callback(env)
        except BaseException as error:
            if is_after and isinstance(error, EarlyStopException):
                call.stop(self._callback, env, error)
            else:
                call.cut_off(error)
            raise


def _set_best(booster: Any, rounds: int | None, results: Any) -> None:
    """Set what LightGBM sets right after the last callback, so that `on_train_end` finds it.

    Args:
        booster: or a pack of them.
        rounds: up to the best; None where LightGBM leaves it as it is.
        results: of the best round.
    """
    is_pack = isinstance(booster, CVBooster)
    if rounds is not None:
        for one in (booster, *booster.boosters) if is_pack else (booster,):
            one.best_iteration = rounds
    if not is_pack:
        booster.best_score = defaultdict(OrderedDict)
        for name, metric, value, *_ in results or ():
            booster.best_score[name][metric] = value
