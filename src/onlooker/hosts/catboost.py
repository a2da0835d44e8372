"""`for_catboost`: Onlooker's callbacks in the `fit` of CatBoost and its scikit-learn classes.

Owns how one `fit` tells where it stands. CatBoost calls its callbacks once a round, when the round is over, and tells
them its number and metrics only. So who trains, and for how many rounds, is looked up in the variables of the caller;
and since CatBoost, once its trees are there, calls a method of the model, the end is heard through the model (`_Fit`).
How metrics are named is `RoundNames`' business.
"""

from __future__ import annotations

import sys
from types import FrameType, SimpleNamespace
from typing import Any

from catboost import CatBoost, CatBoostError
from catboost._catboost import is_maximizable_metric
from catboost.core import _TrainCallbacksWrapper

from onlooker.core.errors import AttachError
from onlooker.core.faults import Collected
from onlooker.core.view import ModelView

from .adapter import Adapter, why_asked
from .declared.catboost import CATBOOST
from .follower import Follower
from .round_names import RoundNames

_CALLER, _TRAIN = _TrainCallbacksWrapper.after_iteration.__code__, CatBoost._train.__code__
"""The code that calls callbacks, and the one around it that trains the model."""

_IS_TRAINED = "_set_trained_model_attributes"
"""The method of a model that CatBoost calls when the trees are there."""

_DEFAULT_ROUNDS = 1000

_IN_ROUNDS = ("on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end", "on_train_end")
"""The hooks of a round, or that get what was logged in the last one."""


def for_catboost(
    *callbacks: Any, training: str | None = None, validation: str | None = None, loss: str | None = None
) -> CatBoostHost:
    """Return one callback of CatBoost's that runs Onlooker's: `model.fit(..., callbacks=[for_catboost(Watch())])`.

    An epoch is a boosting round; there are no batches. It may stand beside CatBoost's own callbacks, and several may
    stand in one list.

    Args:
        *callbacks: in the order in which they are called.
        training: CatBoost's name of the data set whose values stand in the logs as they are; None takes `"learn"`.
        validation: of the data set whose values stand under `val_`; None takes the first of the others.
        loss: the metric that is called `loss`; None takes what is minimized, where CatBoost tells it, and else the
            first metric of which less is better.

    Raises:
        AttachError: something is no callback, or needs what CatBoost cannot give.
    """
    return CatBoostHost(Follower(callbacks, CATBOOST), RoundNames(training, validation, loss))


class CatBoostHost(Adapter):
    """What CatBoost is given."""

    def __init__(self, follower: Follower, names: RoundNames) -> None:
        self.follower = follower
        self._names = names
        self.fit: _Fit | None = None
        self._told: dict[tuple[str, str], int] = {}
        self._is_heard = True

    def after_iteration(self, info: Any) -> bool:
        """Take a round that is over, and say whether there shall be another."""
        if self.follower.is_in_hook:  # one of our own callbacks has started this training: it is silent
            return True
        return _Fit.find(sys._getframe(1)).hear(self, info)

    def begin(self, fit: _Fit, first: int) -> None:
        """Begin a training with an epoch."""
        self.fit, self._told = fit, {}
        view = ModelView(fit.model)
        view.reason = "CatBoost gives the model out only when the training is over"
        run = self.follower.start(view, {"epochs": fit.first + fit.rounds, "steps": 1})
        run.first_epoch = run.step = first
        self.follower.open("train")
        self._is_heard = any(self.follower.listens(hook) for hook in _IN_ROUNDS)

    def take_round(self, fit: _Fit, info: Any) -> None:
        """Call the hooks of a round, unless they have been called."""
        follower, run = self.follower, self.follower.run
        if self.fit is not fit or not run.is_live or run.step >= fit.first + info.iteration:
            return
        run.native_logs = info.metrics
        if not self._is_heard:
            run.step = fit.first + info.iteration
            run.epoch = run.step - 1
            return
        follower.open("epoch", fit.first + info.iteration - 1)
        run.step = fit.first + info.iteration
        results = self._new_results(fit, info.metrics)
        if not results:
            follower.close("epoch")
            return
        values, validation, others = self._names.sort(results, fit.is_higher_better, "learn")
        follower.close_round({**values, **others}, validation)

    def _new_results(self, fit: _Fit, metrics: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
        """Return the values of this round, what is minimized first; with metric_period most rounds have none."""
        found: dict[str, dict[str, float]] = {}
        for data, one in metrics.items():
            for metric in sorted(one, key=lambda metric: metric != fit.minimized):
                if len(one[metric]) > self._told.get((data, metric), 0):
                    self._told[data, metric] = len(one[metric])
                    found.setdefault(data, {})[metric] = one[metric][-1]
        return found


class _Fit:
    """One training, and all adapters that follow it. What ends it ends it for all of them.

    An error in one of our hooks is kept, the training stopped, and the error raised as it is when CatBoost is done: let
    through, it would come out as a `CatBoostError` with its text.

    Attributes:
        model: which is trained.
        first: how many rounds it goes on from.
        rounds: how many there will be at most.
        minimized: the metric that is trained for, where it has a name.
    """

    def __init__(self, caller: Any, train: dict[str, Any]) -> None:
        params, start = train["params"], train["init_model"]
        self.model: Any = train["self"]
        self.first = 0 if start is None else int(start.tree_count_)
        self.rounds = int(params.get("iterations") or _DEFAULT_ROUNDS)
        self.minimized = params.get("loss_function")
        self._params, self._caller = params, caller
        self._hosts: list[CatBoostHost] = []
        self._error: BaseException | None = None
        self._stopped = ""
        left = vars(self.model).pop(_IS_TRAINED, None)
        if isinstance(left, _End):
            left.fit.cut_off(KeyboardInterrupt("CatBoost was cut off at a moment at which it tells nobody"))
        caller.onlooker_fit = self
        for one in caller._callbacks:
            if isinstance(one, CatBoostHost):
                one.check_alone(caller._callbacks)
        caller._callbacks = [
            _Hearing(self, one) if isinstance(one, CatBoostHost) else self._watched(one) for one in caller._callbacks
        ]
        setattr(self.model, _IS_TRAINED, _End(self))

    @classmethod
    def find(cls, frame: FrameType | None) -> _Fit:
        """Return the training in which somebody has been called."""
        caller: Any = None
        while frame is not None:
            if frame.f_code is _CALLER:
                caller = frame.f_locals["self"]
                if hasattr(caller, "onlooker_fit"):
                    return caller.onlooker_fit  # type: ignore[no-any-return]
            elif frame.f_code is _TRAIN and caller is not None:
                return cls(caller, frame.f_locals)
            frame = frame.f_back
        raise AttachError("for_catboost was called by something else than the fit of a CatBoost model")

    def hear(self, host: CatBoostHost, info: Any) -> bool:
        """Have an adapter hear a round; say whether there shall be another."""
        try:
            self._let_hear(host, info)
            if not self._is_stopping():
                return True
            self._all_hear(info)
        except BaseException as error:
            self._error = error
            self.cut_off(error)
        return False

    def is_higher_better(self, metric: str) -> bool:
        """Say whether more of a metric is better; of one that is the user's own, the user's object says it."""
        own = self._params.get("eval_metric")
        if type(own).__name__ == metric and hasattr(own, "is_max_optimal"):
            return bool(own.is_max_optimal())
        try:
            return bool(is_maximizable_metric(metric))
        except CatBoostError:  # a name that it does not know
            return False

    def cut_off(self, error: BaseException) -> None:
        """Close what is open because of an error."""
        errors = Collected()
        for host in self._hosts:
            errors.call(host.follower.cut_off, error)
        if errors.first is not None:
            raise errors.first

    def end(self) -> None:
        """End the training, now that the model is there; raise what has been kept."""
        error, self._error = self._error, None
        if error is not None:
            raise error
        getattr(self.model, _IS_TRAINED)()
        errors = Collected()
        asked = why_asked(self._hosts)
        for host in self._hosts:
            is_last = host.follower.run.step >= self.first + self.rounds
            reason = asked or ("" if is_last else self._why_stopped())
            errors.call(lambda follower, reason=reason: follower.finish(stopped=reason), host.follower)
        if errors.first is not None:
            raise errors.first

    def is_called_by(self, frame: FrameType) -> bool:
        """Say whether a frame is that of this training, not of a later one of the same model."""
        return frame.f_code is _TRAIN and frame.f_locals["params"].get("callbacks") is self._caller

    def _all_hear(self, info: Any) -> None:
        """Have those hear the last round whom CatBoost will no longer call, as somebody has stopped it."""
        for one in self._caller._callbacks:
            if isinstance(one, _Hearing):
                self._let_hear(one.host, info)

    def _let_hear(self, host: CatBoostHost, info: Any) -> None:
        if host not in self._hosts:
            self._hosts.append(host)
            host.begin(self, self.first + info.iteration - 1)
        host.take_round(self, info)

    def _is_stopping(self) -> bool:
        return any(host.follower.is_live and host.follower.is_stopping() for host in self._hosts)

    def _why_stopped(self) -> str:
        if self._stopped:
            return self._stopped
        best = self.model.best_iteration_  # None where there are no held-out data, and so nothing to detect
        if best is not None and {"od_type", "od_wait", "od_pval"} & set(self._params):
            return f"CatBoost's overfitting detector, with epoch {self.first + best} as the best"
        return "one of CatBoost's own callbacks has stopped it"

    def _watched(self, callback: Any) -> Any:
        """Return a callback of CatBoost's own of which we see what it raises, and that it stops."""

        def after_iteration(info: Any) -> Any:
            try:
                is_going_on = callback.after_iteration(info)
                if not is_going_on:
                    self._stopped = self._stopped or f"{type(callback).__name__} has stopped it"
                    self._all_hear(info)
                return is_going_on
            except BaseException as error:
                self.cut_off(error)
                raise

        return SimpleNamespace(after_iteration=after_iteration)


class _Hearing:
    """What stands for an adapter in one training: it need not look for the training in each round."""

    def __init__(self, fit: _Fit, host: CatBoostHost) -> None:
        self._fit, self.host = fit, host

    def after_iteration(self, info: Any) -> bool:
        """Take a round that is over, and say whether there shall be another."""
        return self.host.follower.is_in_hook or self._fit.hear(self.host, info)


class _End:
    """What stands for the method that CatBoost calls when a model's trees are there."""

    def __init__(self, fit: _Fit) -> None:
        self.fit = fit

    def __call__(self) -> None:
        """End the training; another than the one that was followed shows that nobody saw how that one ended."""
        fit = self.fit
        vars(fit.model).pop(_IS_TRAINED, None)
        if fit.is_called_by(sys._getframe(1)):
            fit.end()
        else:
            fit.cut_off(KeyboardInterrupt("CatBoost was cut off at a moment at which it tells nobody"))
            getattr(fit.model, _IS_TRAINED)()
