"""`Call`: one call of `xgboost.train` or `xgboost.cv`, as far as it has to be known and XGBoost does not tell.

Owns what is looked up in the variables of that call, and the watch over the container by which XGBoost calls all
callbacks: what is raised there, who stops it, and the rounds of adapters to whom nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from xgboost.callback import CallbackContainer, EarlyStopping

if TYPE_CHECKING:
    from .adapter import XGBoostCallback

_IS_BROKEN_OFF = "_onlooker_is_broken_off"
"""Where a container keeps for all adapters in it whether a callback has stopped the training."""


class Call:
    """What is looked up in the variables of `xgboost.train` or `cv`, as callbacks are not told it.

    Args:
        frame: where `before_training` is called; None knows nothing.

    Attributes:
        callbacks: all that XGBoost calls, in its order.
        given: all that it was given: of what stands there twice it calls one.
        rounds: how many there will be at most; None where that is unknown.
        data_sets: the names of those that are evaluated; None where they are unknown.
        training: the name of the one that is trained on, if it is among them.
        is_new: whether the booster is known to have no rounds yet. To ask it takes a third of a millisecond.
    """

    def __init__(self, frame: FrameType | None) -> None:
        owner = None if frame is None else frame.f_locals.get("self")
        self._container = owner if isinstance(owner, CallbackContainer) else None
        known: Mapping[str, Any] = {}
        self.callbacks: list[Any] = []
        if frame is not None and frame.f_back is not None and self._container is not None:
            known = frame.f_back.f_locals
            if isinstance(self._container.callbacks, set):  # up to 3.0: they would be called in any order
                self._container.callbacks = list(dict.fromkeys(known["callbacks"]))
            self.callbacks = self._container.callbacks
        self.given: list[Any] = list(known.get("callbacks") or ())
        rounds, evaluated = known.get("num_boost_round"), known.get("evals") or ()
        self.rounds = None if rounds is None else int(rounds)
        self.data_sets: list[str] | None = [name for _, name in evaluated] if "evals" in known else None
        self.training: str | None = next((name for data, name in evaluated if data is known.get("dtrain")), None)
        self.is_new = bool(known) and known.get("xgb_model") is None
        self._maximized = [
            (callback.data, callback.metric_name)
            for callback in self.callbacks
            if isinstance(callback, EarlyStopping) and callback.maximize
        ]
        if known.get("maximize"):
            self._maximized.append((None, None))
        self._unwatched: dict[str, Callable[..., Any]] = {}  # what XGBoost calls, by its name, before it was watched
        self._watched: dict[str, Callable[..., Any]] = {}  # and what stands in its place

    def watch(self, failed: Callable[[BaseException], None]) -> None:
        """Have errors in callbacks and in the evaluation told, and take note when a callback stops the training."""
        if self._container is not None:
            if not hasattr(self._container, _IS_BROKEN_OFF):
                setattr(self._container, _IS_BROKEN_OFF, False)
            for name in ("before_iteration", "after_iteration", "after_training"):
                self._unwatched[name] = getattr(self._container, name)
                self._watched[name] = self._told_of_errors(self._container, name, failed)
                setattr(self._container, name, self._watched[name])

    def _told_of_errors(self, container: Any, name: str, failed: Callable[[BaseException], None]) -> Callable[..., Any]:
        function = self._unwatched[name]

        def call(*given: Any) -> Any:
            try:
                result = function(*given)
            except BaseException as error:
                failed(error)
                raise
            if result is True:
                setattr(container, _IS_BROKEN_OFF, True)
            return result

        return call

    def count_rounds(self, host: XGBoostCallback) -> None:
        """Count the rounds of an adapter to whom nobody listens, from the one on that is about to be trained.

        XGBoost calls it no longer until the training is over: to be called costs more than to count. Where nobody else
        is called either, a wish to stop is heeded when a round is done, as nobody could have it before the next.
        """
        container = self._container
        if container is None:
            return
        run, look, is_stopping, failed = host.follower.run, host.follower.look, host.follower.is_stopping, host.failed
        before, after = (
            self._unwatched[name] if getattr(container, name) is self._watched[name] else getattr(container, name)
            for name in ("before_iteration", "after_iteration")
        )
        after_all = container.after_training
        container.callbacks = [callback for callback in container.callbacks if callback is not host]
        is_alone = not container.callbacks and before is self._unwatched["before_iteration"]

        def before_iteration(model: Any, epoch: int, *more: Any) -> bool:
            try:
                is_over = (run.is_stop_requested or look()) and is_stopping()  # then nobody hears of another round
                if is_over or before(model, epoch, *more) or run.is_stop_requested:
                    setattr(container, _IS_BROKEN_OFF, True)
                    return True
            except BaseException as error:
                failed(error)
                raise
            return False

        def after_iteration(model: Any, epoch: int, data: Any, evaluated: Any) -> bool:
            try:
                is_over: bool = after(model, epoch, data, evaluated)
            except BaseException as error:
                failed(error)
                raise
            host.is_round_open = False
            run.step += 1
            run.is_epoch_complete = True
            if is_over or (is_alone and (run.is_stop_requested or look()) and is_stopping()):
                setattr(container, _IS_BROKEN_OFF, True)
                return True
            return False

        def after_training(model: Any) -> Any:
            container.callbacks = self.callbacks
            return after_all(model)

        container.before_iteration = before if is_alone else before_iteration
        container.after_iteration, container.after_training = after_iteration, after_training

    def maximized(self, results: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Return the metrics of which XGBoost was told that more is better.

        Args:
            results: by data set and metric; what was not named is the last of them, as in XGBoost.
        """
        found: set[str] = set()
        for data, metric in self._maximized:
            one = results.get(data or next(reversed(list(results)), ""), {})
            found.update([metric] if metric else list(one)[-1:])
        return found

    def why_stopped(self, model: Any) -> str:
        """Say why a callback of XGBoost's own has ended the training; empty where none has."""
        if not getattr(self._container, _IS_BROKEN_OFF, False):
            return ""
        for callback in self.callbacks:
            if isinstance(callback, EarlyStopping) and 0 < callback.rounds <= callback.current_rounds:
                of = next((f"{metric} of {data}" for data, one in callback.stopping_history.items() for metric in one))
                best = model.attr("best_iteration")
                return f"EarlyStopping: {of} has not improved for {callback.rounds} rounds; best in epoch {best}"
        return "one of XGBoost's own callbacks has stopped it"
