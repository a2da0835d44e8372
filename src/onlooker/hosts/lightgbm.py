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
from typing import Any

from lightgbm import CVBooster
from lightgbm.callback import CallbackEnv, EarlyStopException

from onlooker.core.errors import AttachError, DataError
from onlooker.core.faults import Collected
from onlooker.views.booster_files import load_extra
from onlooker.views.lightgbm import LightGBMView

from .declared.lightgbm import LIGHTGBM
from .follower import Follower
from .round_names import RoundNames

_BEFORE, _AFTER = "callbacks_before_iter", "callbacks_after_iter"
"""How LightGBM calls its two lists of callbacks, in `train` and in `cv`."""

_METHODS = ("update", "eval_train", "eval_valid")
"""The methods of a booster in which a round's work is done, and the user's objectives and metrics are called."""


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


class LightGBMHost:
    """What LightGBM is given. It is called once in each training, and then replaced in LightGBM's lists."""

    before_iteration = True

    def __init__(self, follower: Follower, names: RoundNames, resume: str | os.PathLike[str] | None) -> None:
        self.follower = follower
        self._names = names
        self._resumed = None if resume is None else load_extra(os.fspath(resume))

    def __call__(self, env: CallbackEnv) -> None:
        """Take part in the training that has just called."""
        if not self.follower.is_in_hook:  # else one of our own callbacks has started it: it is silent
            _Call.find(sys._getframe(1)).join(self, env)

    def begin_round(self, env: CallbackEnv) -> None:
        """Begin an epoch, and the training before the first."""
        if env.iteration == env.begin_iteration:
            self._begin_training(env)
        if self.follower.is_live:
            self.follower.open("epoch", env.iteration)

    def end_round(self, env: CallbackEnv) -> None:
        """Take the round's metrics and end the epoch, unless that has been done."""
        follower = self.follower
        if not follower.is_live or "epoch" not in follower.scopes.names or env.evaluation_result_list is None:
            return
        run, booster = follower.run, env.model
        run.step = env.iteration + 1
        results: dict[str, dict[str, Any]] = {}
        run.native_logs = {}
        higher: dict[str, bool] = {}
        for name, metric, value, is_higher_better, *deviation in env.evaluation_result_list:
            results.setdefault(name, {})[metric] = value
            higher[metric] = is_higher_better
            own = {f"{metric}-mean": value, f"{metric}-stdv": deviation[0]} if deviation else {metric: value}
            run.native_logs.setdefault(name, {}).update(own)
        known = None if isinstance(booster, CVBooster) else booster._train_data_name
        training, validation, others = self._names.sort(results, higher.__getitem__, known)
        follower.log_means(training)
        follower.log(others)
        if validation:
            follower.open("test")
            follower.log_means(validation)
            follower.close("test")
        follower.close("epoch")

    def _begin_training(self, env: CallbackEnv) -> None:
        resumed, self._resumed = self._resumed, None
        first = env.begin_iteration
        if resumed is not None:
            if resumed["next_epoch"] != first:
                raise DataError(
                    f"the file to resume from was saved after {resumed['next_epoch']} rounds, but the training begins "
                    f"with {first}; pass the same file as resume=... and as init_model=..."
                )
            self.follower.load_state_dict(resumed)
        view = LightGBMView(env.model, env.params, first)
        run = self.follower.start(view, {"epochs": env.end_iteration, "steps": 1})
        run.first_epoch = run.step = first
        self.follower.open("train")


class _Call:
    """One call of `train` or `cv`: its two lists of callbacks, and all adapters that follow it.

    Every callback in the lists is watched, so that what it raises is seen. Around the round's own work the booster's
    methods are watched too; no callback meets them so. What ends the training ends it for all adapters.
    """

    def __init__(self, before: list[Any], after: list[Any]) -> None:
        self._hosts: list[LightGBMHost] = []
        self._before, self._after = before, after
        self._replaced: dict[str, Any] = {}
        before[:] = [_Watched(self, callback, callback.order) for callback in before]
        after[:] = [_Watched(self, callback, callback.order) for callback in after]
        before.append(self._watch_booster)
        after.insert(0, self._leave_booster)
        after.append(self._settle)

    @classmethod
    def find(cls, frame: Any) -> _Call:
        """Return the call in which somebody has been called: the nearest frame outwards that has LightGBM's lists."""
        while frame is not None:
            if _AFTER in frame.f_code.co_varnames and _BEFORE in frame.f_code.co_varnames:
                before, after = frame.f_locals[_BEFORE], frame.f_locals[_AFTER]
                ours = next((one for one in after if isinstance(one, _Watched)), None)
                return cls(before, after) if ours is None else ours.call
            frame = frame.f_back
        raise AttachError(
            "for_lightgbm was called by something else than lightgbm.train and lightgbm.cv, or LightGBM keeps its "
            f"callbacks in another way than in {LIGHTGBM.tested}"
        )

    def join(self, host: LightGBMHost, env: CallbackEnv) -> None:
        """Have an adapter hear all rounds, at its own place among the callbacks; the first has just begun."""
        self._hosts.append(host)
        entry = next(one for one in self._before if isinstance(one, _Watched) and one.callback is host)
        entry.callback = host.begin_round
        vars(host).pop("order", None)  # LightGBM's mark: in another list it may stand elsewhere
        place = 1 + sum(one.order <= entry.order for one in self._after[1:-1])  # first and last are ours
        self._after.insert(place, _Watched(self, host.end_round, entry.order))
        entry(env)

    def as_told(self, env: CallbackEnv) -> CallbackEnv:
        """Return what a callback is told of a round: it is the last one where one of ours has asked to stop.

        So LightGBM's early stopping hands out the best round that it has found.
        """
        if env.evaluation_result_list is None or not self._is_stopping():
            return env
        told = {name: getattr(env, name) for name in ("model", "params", "iteration", "begin_iteration")}
        return CallbackEnv(**told, end_iteration=env.iteration + 1, evaluation_result_list=env.evaluation_result_list)

    def cut_off(self, error: BaseException) -> None:
        """Close what is open because of an error that is about to end the training."""
        errors = Collected()
        for host in self._hosts:
            errors.call(host.follower.cut_off, error)
        if errors.first is not None:
            raise errors.first

    def stop(self, who: Any, env: CallbackEnv, stop: EarlyStopException) -> None:
        """End the training: a callback of somebody else's has stopped it, or found that this was its last round."""
        errors = Collected()
        for host in self._hosts:  # those that stand after it have not had the round yet
            errors.call(host.end_round, env)
        _set_best(env.model, stop.best_iteration + 1, stop.best_score)
        name = getattr(who, "__name__", type(who).__name__)
        name = "LightGBM's early_stopping" if name == "_EarlyStoppingCallback" else name
        is_last = env.iteration == env.end_iteration - 1
        self._finish("" if is_last else f"{name}, with epoch {stop.best_iteration} as the best", errors)

    def _settle(self, env: CallbackEnv) -> None:
        """End the training after the last round, or after one in which it was asked to stop."""
        is_last, is_stopping = env.iteration == env.end_iteration - 1, self._is_stopping()
        if not is_last and not is_stopping:
            return
        results = env.evaluation_result_list
        # The number after the best round is cut off in cv, and 0 means "none" in train, as at an ordinary end.
        best = env.iteration if isinstance(env.model, CVBooster) else -1
        _set_best(env.model, best + 1 if is_stopping else None, results)
        reason = next((host.follower.run.reason for host in self._hosts if host.follower.run.is_stop_requested), "")
        self._finish("" if is_last else reason, Collected())
        if is_stopping and not is_last:
            raise EarlyStopException(best, results)

    def _finish(self, stopped: str, errors: Collected) -> None:
        for host in self._hosts:
            errors.call(lambda follower: follower.finish(stopped=stopped), host.follower)
        if errors.first is not None:
            raise errors.first

    def _is_stopping(self) -> bool:
        return any(host.follower.is_live and host.follower.is_stopping() for host in self._hosts)

    def _watch_booster(self, env: CallbackEnv) -> None:
        own = vars(env.model)
        self._replaced = {name: own[name] for name in _METHODS if name in own}
        own.update({name: self._watched(env, getattr(env.model, name)) for name in _METHODS})

    def _leave_booster(self, env: CallbackEnv) -> None:
        own = vars(env.model)
        for name in _METHODS:
            own.pop(name, None)
        own.update(self._replaced)

    def _watched(self, env: CallbackEnv, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            try:
                return method(*given, **named)
            except BaseException as error:
                self._leave_booster(env)
                self.cut_off(error)
                raise

        return call


class _Watched:
    """A callback in LightGBM's lists of which we see what it raises."""

    def __init__(self, call: _Call, callback: Callable[[CallbackEnv], Any], order: float) -> None:
        self.call, self.callback, self.order = call, callback, order

    def __call__(self, env: CallbackEnv) -> None:
        told = self.call.as_told(env)
        try:
            self.callback(told)
        except BaseException as error:
            if isinstance(error, EarlyStopException) and told.evaluation_result_list is not None:
                self.call.stop(self.callback, told, error)
            else:
                self.call.cut_off(error)
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
        scores: dict[str, Any] = defaultdict(OrderedDict)
        for name, metric, value, *_ in results or ():
            scores[name][metric] = value
        booster.best_score = scores
