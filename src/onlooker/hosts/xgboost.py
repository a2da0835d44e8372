"""XGBoost: `for_xgboost` makes one of XGBoost's own callbacks out of ours, for `train`, `cv` and the estimators.

Owns how the calls of XGBoost's interface for callbacks, and what `xgboost.train` keeps to itself, become a run whose
epochs are boosting rounds. The order in `xgboost.train`, by which all of this goes:

    before_training, (before_iteration, update, evaluation, after_iteration)*, after_training

Each of the four asks all callbacks in turn, until one returns True: the later ones then miss that call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import xgboost
from xgboost.callback import CallbackContainer, EarlyStopping, TrainingCallback

from onlooker.core.errors import AttachError
from onlooker.core.run import Run
from onlooker.views import booster_files
from onlooker.views.xgboost import BoosterView, XGBoostView

from .agreement import CollectiveAgreement
from .declared.xgboost import XGBOOST
from .follower import Follower
from .round_names import Metrics, RoundNames

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


class XGBoostCallback(TrainingCallback):  # type: ignore[misc]  # its types are not read
    """Runs our callbacks in XGBoost. Made by `for_xgboost`.

    It may be used for several trainings, one after the other. A copy, as scikit-learn's `clone` makes them, has copies
    of the callbacks.
    """

    def __init__(self, callbacks: Any, names: dict[str, str | None], resume: Any = None) -> None:
        super().__init__()
        self._follower = Follower(callbacks, XGBOOST, CollectiveAgreement())
        self._given_names, self._resume = names, resume
        self._names = RoundNames(**names)
        self._call = _Call(None)
        self._is_begun = self._is_round_open = False
        self._watched: Any = None

    def __repr__(self) -> str:
        return f"for_xgboost({', '.join(type(callback).__name__ for callback in self._follower.callbacks)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out what belongs to a training, for pickle and for copy."""
        return XGBoostCallback, (self._follower.callbacks, self._given_names, self._resume)

    def before_training(self, model: Any) -> Any:
        """Look up what `xgboost.train` does not tell. The run begins with the first round, when all others are ready.

        Were it to begin here, an error of a callback that prepares itself after ours would go unseen.
        """
        if self._follower.is_in_hook:
            raise AttachError(f"{self!r} is in a training that is under way; call for_xgboost once more for another")
        self._let_go()  # of one that was cut off unseen
        self._call = _Call(sys._getframe(1))
        self._call.watch(self._failed)
        self._is_begun = self._is_round_open = False
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Begin an epoch, unless somebody wants to stop: then here, so that all have heard the round before."""
        follower = self._follower
        self._begin(model)
        run = follower.run
        run.native_logs = evals_log
        if follower.is_stopping():
            return True
        if self._is_heard:
            follower.open("epoch", run.first_epoch + epoch)
            return follower.is_stopping()
        run.epoch, run.is_epoch_complete = run.first_epoch + epoch, False
        return False

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """End the epoch, with what was evaluated."""
        self._end_round(evals_log)
        return False

    def after_training(self, model: Any) -> Any:
        """End the run."""
        self._begin(model)
        run = self._follower.run
        if self._is_round_open:  # a callback before this one has ended the training in that round
            self._end_round(run.native_logs)
        self._follower.is_stopping()  # the last round may have asked for it, and then no other begins
        stopped = self._call.why_stopped(model)
        self._let_go()
        if model is not run.model:  # EarlyStopping(save_best=True) has cut it down
            run.model = run.view.model = model
            for callback in self._follower.callbacks:
                callback.model = model
        self._follower.finish(stopped=stopped)
        return model

    def _begin(self, model: Any) -> None:
        """Begin the run, if this is the first that is heard of it."""
        if self._is_begun:
            return
        self._is_begun = True
        follower, call = self._follower, self._call
        view = BoosterView(model) if isinstance(model, xgboost.Booster) else XGBoostView(model)
        rounds = int(model.num_boosted_rounds())
        if call.data_sets is not None:
            self._names.check(call.data_sets)
        if self._resume is not None:
            follower.load_state_dict(_saved(str(self._resume), rounds))
        run = follower.start(view, {"epochs": None if call.rounds is None else rounds + call.rounds, "steps": 1})
        run.first_epoch = run.step = rounds
        self._is_heard = any(follower.listens(hook) for hook in _IN_ROUNDS)
        self._watched = model
        _watch_updates(model, self)
        follower.open("train")

    def _end_round(self, evals_log: Any) -> None:
        self._is_round_open = False
        follower, run = self._follower, self._follower.run
        run.native_logs = evals_log
        run.step += 1
        if not self._is_heard:
            run.is_epoch_complete = True
            return
        values, validation = _values(self._names, evals_log, self._call.training)
        follower.close_round(values, validation)

    def _failed(self, error: BaseException) -> None:
        """Close what is open, since something has been raised that is about to end the training."""
        self._follower.cut_off(error)
        if not self._follower.is_live:
            self._let_go()

    def _let_go(self) -> None:
        """Give the model its own class back, and take away the flag that may have stopped it."""
        model, self._watched = self._watched, None
        if model is not None:
            model.__class__ = _plain_kind(type(model))
            model.__dict__.pop("stop_training", None)


class _Call:
    """What is looked up in the variables of `xgboost.train` or `cv`, as callbacks are not told it.

    Args:
        frame: where `before_training` is called; None knows nothing.

    Attributes:
        container: which calls all callbacks; None where somebody else does.
        rounds: how many there will be at most; None where that is unknown.
        data_sets: the names of those that are evaluated; None where they are unknown.
        training: the name of the one that is trained on, if it is among them.
    """

    def __init__(self, frame: FrameType | None) -> None:
        owner = None if frame is None else frame.f_locals.get("self")
        self.container = owner if isinstance(owner, CallbackContainer) else None
        known: Mapping[str, Any] = {}
        if frame is not None and frame.f_back is not None and self.container is not None:
            known = frame.f_back.f_locals
            if isinstance(self.container.callbacks, set):  # up to 3.0: they would be called in any order
                self.container.callbacks = list(dict.fromkeys(known["callbacks"]))
        rounds, evaluated = known.get("num_boost_round"), known.get("evals") or ()
        self.rounds = None if rounds is None else int(rounds)
        self.data_sets: list[str] | None = [name for _, name in evaluated] if "evals" in known else None
        self.training: str | None = next((name for data, name in evaluated if data is known.get("dtrain")), None)
        self._is_broken_off = False

    def watch(self, failed: Callable[[BaseException], None]) -> None:
        """Have errors in callbacks and in the evaluation told, and take note when a callback stops the training."""
        if self.container is not None:
            for name in ("before_iteration", "after_iteration", "after_training"):
                setattr(self.container, name, self._watched(getattr(self.container, name), failed))

    def _watched(self, function: Callable[..., Any], failed: Callable[[BaseException], None]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            try:
                result = function(*given, **named)
            except BaseException as error:
                failed(error)
                raise
            if result is True:
                self._is_broken_off = True
            return result

        return call

    def why_stopped(self, model: Any) -> str:
        """Say why another callback has ended the training; empty where none has."""
        if not self._is_broken_off or self.container is None:
            return ""
        for callback in self.container.callbacks:
            if isinstance(callback, XGBoostCallback):
                run: Run | None = callback._follower.__dict__.get("run")
                if run is not None and run.is_stop_requested:
                    return run.reason
            if isinstance(callback, EarlyStopping) and 0 < callback.rounds <= callback.current_rounds:
                of = next((f"{metric} of {data}" for data, one in callback.stopping_history.items() for metric in one))
                best = model.attr("best_iteration")
                return f"EarlyStopping: {of} has not improved for {callback.rounds} rounds; best in epoch {best}"
        return "one of XGBoost's own callbacks has stopped it"


def _values(names: RoundNames, evals_log: Any, training: str | None) -> tuple[Metrics, Metrics]:
    """Return the last round's values of the epoch and of its validation; in `cv` means, with deviations as `_std`."""
    last = {data: {metric: values[-1] for metric, values in one.items()} for data, one in evals_log.items()}
    if not any(isinstance(value, tuple) for one in last.values() for value in one.values()):
        own, validation, others = names.sort(last, training=training)
        return {**own, **others}, validation
    found: list[Metrics] = [{}, {}, {}]
    for part, suffix in enumerate(("", "_std")):
        results = {data: {metric: value[part] for metric, value in one.items()} for data, one in last.items()}
        for all_of_them, some in zip(found, names.sort(results), strict=True):
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


def _watch_updates(model: Any, watcher: XGBoostCallback) -> None:
    """Have a watcher told of rounds that are done, and of errors in them, by a class of its own for this one model.

    Not by a function on the instance: copies that callbacks make of a booster would have it too, and train the
    original. Copies and pickles of this one are plain boosters.
    """
    kind = type(model)

    def update(self: Any, *given: Any, **named: Any) -> None:
        try:
            kind.update(self, *given, **named)
        except BaseException as error:
            watcher._failed(error)
            raise
        watcher._is_round_open = True

    def reduce(self: Any, protocol: Any) -> tuple[Any, ...]:
        return object.__new__, (_plain_kind(kind),), self.__getstate__()

    body = {"update": update, "__reduce_ex__": reduce, "__module__": kind.__module__, "_onlooker_kind": kind}
    model.__class__ = type(kind.__name__, (kind,), body)


def _plain_kind(kind: type) -> type:
    while "_onlooker_kind" in vars(kind):
        kind = vars(kind)["_onlooker_kind"]
    return kind
