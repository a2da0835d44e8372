"""XGBoost: `for_xgboost` makes one of XGBoost's own callbacks out of ours, for `train`, `cv` and the estimators.

Owns how the calls of XGBoost's interface for callbacks become a run whose epochs are boosting rounds; what
`xgboost.train` keeps to itself is in `call`. The order in `xgboost.train`, by which all of this goes:

    before_training, (before_iteration, update, evaluation, after_iteration)*, after_training

Each of the four asks all callbacks in turn, until one returns True: the later ones then miss that call.
"""

from __future__ import annotations

import sys
from typing import Any

import xgboost
from xgboost.callback import TrainingCallback

from onlooker.core.errors import AttachError
from onlooker.hosts.adapter import Adapter, why_asked
from onlooker.hosts.agreement import CollectiveAgreement
from onlooker.hosts.declared.xgboost import XGBOOST
from onlooker.hosts.follower import Follower
from onlooker.hosts.round_names import Metrics, RoundNames
from onlooker.views import booster_files
from onlooker.views.xgboost import BoosterView, XGBoostView

from .call import Call
from .watched_booster import unwatch_updates, watch_updates

_IN_ROUNDS = ("on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end", "on_train_end")
"""The hooks of a round, or that get what was logged in the last one."""


def for_xgboost(
    *callbacks: Any,
    training: str | None = None,
    validation: str | None = None,
    loss: str | None = None,
    resume: Any = None,
) -> XGBoostCallback:
    """Return the callback of XGBoost's that runs ours, for `callbacks=[...]` of `train`, `cv` and the estimators.

    Args:
        *callbacks: in the order in which they are called.
        training: the name of the data set whose metrics stand in the logs without a prefix; None takes the one that is
            trained on, where it is among those evaluated.
        validation: the name of the data set whose metrics stand under `val_`; None takes the first of the others.
        loss: the metric that is called `loss`; None takes the first of which less is better.
        resume: a file of `run.save` to go on from; give it to XGBoost as `xgb_model` too.

    Raises:
        AttachError: something is no callback, is passed twice, or needs what XGBoost cannot give.

    Example:
        ```python
        xgboost.train(parameters, data, 100, evals=[(held_out, "eval")], callbacks=[ol.for_xgboost(Watch())])
        ```
    """
    return XGBoostCallback(callbacks, {"training": training, "validation": validation, "loss": loss}, resume)


class XGBoostCallback(Adapter, TrainingCallback):  # type: ignore[misc]  # its types are not read
    """Runs our callbacks in XGBoost. Made by `for_xgboost`.

    It may be used for several trainings, one after the other. A copy, as scikit-learn's `clone` makes them, has copies
    of the callbacks.
    """

    def __init__(self, callbacks: Any, names: dict[str, str | None], resume: Any = None) -> None:
        super().__init__()
        self.follower = Follower(callbacks, XGBOOST, CollectiveAgreement())
        self._given_names, self._resume = names, resume
        self._names = RoundNames(**names)
        self._call = Call(None)
        self.is_begun = self.is_round_open = False
        self._others: list[XGBoostCallback] = []  # adapters of the same training
        self._watched: Any = None

    def __repr__(self) -> str:
        return f"for_xgboost({', '.join(type(callback).__name__ for callback in self.follower.callbacks)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out what belongs to a training, for pickle and for copy."""
        return XGBoostCallback, (self.follower.callbacks, self._given_names, self._resume)

    def before_training(self, model: Any) -> Any:
        """Look up what `xgboost.train` does not tell. The run begins with the first round, when all others are ready.

        Were it to begin here, an error of a callback that prepares itself after ours would go unseen.
        """
        if self.follower.is_in_hook:
            raise AttachError(f"{self!r} is in a training that is under way; call for_xgboost once more for another")
        self._let_go()  # of one that was cut off unseen
        self._call = Call(sys._getframe(1))
        self.check_alone(self._call.given)
        self._call.watch(self.failed)
        self.is_begun = self.is_round_open = False
        self._others = [one for one in self._call.callbacks if isinstance(one, XGBoostCallback) and one is not self]
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Begin an epoch, unless somebody wants to stop: then here, so that all have heard the round before."""
        follower = self.follower
        self._begin(model)
        run = follower.run
        run.native_logs = evals_log
        self._heed_others()  # a later one would stop the round that we have begun
        if follower.is_stopping():
            return True
        if self._is_heard:
            follower.open("epoch", run.first_epoch + epoch)
            return follower.is_stopping()
        if follower.is_alone:  # several workers have to ask each other in each round
            self._call.count_rounds(self)
        return False

    def after_iteration(self, model: Any, epoch: int | None = None, evals_log: Any = None) -> bool:
        """End the epoch, with what was evaluated."""
        if epoch is None:  # CatBoost has a method of the same name, and gives less
            raise self.misplaced("for_catboost")
        self._end_round(evals_log)
        return False

    def after_training(self, model: Any) -> Any:
        """End the run."""
        self._begin(model)
        run = self.follower.run
        if self.is_round_open:  # a callback before this one has ended the training in that round
            self._end_round(run.native_logs)
        self.follower.is_stopping()  # the last round may have asked for it, and then no other begins
        self._heed_others()
        stopped = self._call.why_stopped(model)
        self._let_go()
        if model is not run.model:  # EarlyStopping(save_best=True) has cut it down
            run.model = run.view.model = model
            for callback in self.follower.callbacks:
                callback.model = model
        self.follower.finish(stopped=stopped)
        return model

    def _begin(self, model: Any) -> None:
        """Begin the run, if this is the first that is heard of it."""
        if self.is_begun:
            return
        self.is_begun = True
        follower, call = self.follower, self._call
        view = BoosterView(model) if isinstance(model, xgboost.Booster) else XGBoostView(model)
        rounds = 0 if call.is_new else int(model.num_boosted_rounds())
        if call.data_sets is not None:
            self._names.check(call.data_sets)
        if self._resume is not None:
            follower.load_state_dict(_saved(str(self._resume), rounds))
        run = follower.start(view, {"epochs": None if call.rounds is None else rounds + call.rounds, "steps": 1})
        run.first_epoch = run.step = rounds
        self._watched = model
        watch_updates(model, self, run)
        follower.open("train")
        self._is_heard = any(follower.listens(hook) for hook in _IN_ROUNDS)

    def _heed_others(self) -> None:
        asked = why_asked(other for other in self._others if other.is_begun)
        if asked:
            self.follower.run.stop(asked)

    def _end_round(self, evals_log: Any) -> None:
        self.is_round_open = False
        follower, run = self.follower, self.follower.run
        run.native_logs = evals_log
        run.step += 1
        if not self._is_heard:
            run.is_epoch_complete = True
            return
        values, validation = _values(self._names, evals_log, self._call)
        follower.close_round(values, validation)

    def failed(self, error: BaseException) -> None:
        """Close what is open, since something has been raised that is about to end the training."""
        self.follower.cut_off(error)
        if not self.follower.is_live:
            self._let_go()

    def _let_go(self) -> None:
        """Leave no trace on the model."""
        model, self._watched = self._watched, None
        if model is not None:
            unwatch_updates(model)


def _values(names: RoundNames, evals_log: Any, call: Call) -> tuple[Metrics, Metrics]:
    """Return the last round's values of the epoch and of its validation; in `cv` means, with deviations as `_std`."""
    last = {data: {metric: values[-1] for metric, values in one.items()} for data, one in evals_log.items()}
    if not any(isinstance(value, tuple) for one in last.values() for value in one.values()):
        own, validation, others = names.sort(last, call.maximized(last), training=call.training)
        return {**own, **others}, validation
    found: list[Metrics] = [{}, {}, {}]
    for part, suffix in enumerate(("", "_std")):
        results = {data: {metric: value[part] for metric, value in one.items()} for data, one in last.items()}
        for all_of_them, some in zip(found, names.sort(results, call.maximized(last)), strict=True):
            all_of_them.update({f"{name}{suffix}": value for name, value in some.items()})
    return {**found[0], **found[2]}, found[1]


def _saved(path: str, rounds: int) -> dict[str, Any]:
    """Return the position and the states of a file of `run.save`, if it belongs to the booster at hand."""
    saved = booster_files.load_extra(path)
    if saved["next_epoch"] != rounds:
        raise AttachError(
            f"resume={path!r} was saved after {saved['next_epoch']} rounds, but the booster has {rounds}; pass "
            f"xgb_model={path!r} to XGBoost too"
        )
    return saved
