"""A booster in which we see what a round raises, and that it is done, as long as it is trained.

Owns how that is seen, and that nothing of it shows in copies; who is told is the call of `train` or `cv`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any, Protocol

_EVALUATIONS = ("eval_train", "eval_valid")

_OWN = ("update", *_EVALUATIONS, "__getstate__")
"""The methods that a watched booster has of its own."""

_MARK = "_onlooker_watcher"
"""Where its `update` keeps who is told."""


class Watcher(Protocol):
    """Who is told.

    Attributes:
        code: of the function that trains.
        counts: called when a round's update is done.
    """

    code: CodeType
    counts: list[Callable[[], None]]

    def cut_off(self, error: BaseException) -> None:
        """Take note of an error in a round, which is then raised further."""


def watch(model: Any, watcher: Watcher) -> None:
    """Have a watcher told of rounds that are done, and of errors in them: not of those of callbacks' own calls.

    By functions on the instance, not by a class of its own nor through `__dict__`: in CPython 3.11 either makes all of
    the booster's attributes slower from then on. Copies and pickles are plain boosters: whoever makes them asks for
    the state, and in that the functions are left out.
    """
    state_as_usual = model.__getstate__

    def state() -> Any:
        return {name: value for name, value in state_as_usual().items() if name not in _OWN}

    model.update = _watched_update(model.update, watcher)
    for name in _EVALUATIONS:
        setattr(model, name, _watched_evaluation(getattr(model, name), watcher))
    model.__getstate__ = state


def watcher_of(model: Any) -> Any:
    """Return who watches a model, or None."""
    return getattr(model.update, _MARK, None)


def unwatch(model: Any) -> None:
    """Give a model its own methods back."""
    if watcher_of(model) is not None:
        for name in _OWN:
            delattr(model, name)


# They take what LightGBM's own take, by the same names: to hand on whatever comes would cost twice as much.


def _watched_update(update: Callable[..., bool], watcher: Watcher) -> Callable[..., bool]:
    code, counts, caller = watcher.code, watcher.counts, sys._getframe

    def call(train_set: Any = None, fobj: Any = None) -> bool:
        try:
            is_finished = update(train_set, fobj)
            if counts and caller(1).f_code is code:
                for count in counts:
                    count()
            return is_finished
        except BaseException as error:
            _tell(watcher, error)
            raise

    setattr(call, _MARK, watcher)
    return call


def _watched_evaluation(evaluate: Callable[..., Any], watcher: Watcher) -> Callable[..., Any]:
    def call(feval: Any = None) -> Any:
        try:
            return evaluate(feval)
        except BaseException as error:
            _tell(watcher, error)
            raise

    return call


def _tell(watcher: Watcher, error: BaseException) -> None:
    if sys._getframe(2).f_code is watcher.code:  # else a callback has called it, and may know how to go on
        watcher.cut_off(error)
