"""A booster in which we see what a round raises, as long as it is trained.

Owns how that is seen, and that nothing of it shows in copies; who is told is the adapter.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

from xgboost import Booster

from onlooker.core.run import Run

_OWN = ("update", "__getstate__")
"""The methods that a watched booster has of its own."""


class Watcher(Protocol):
    """Who is told.

    Attributes:
        is_round_open: set to True when a round is done.
    """

    is_round_open: bool

    def failed(self, error: BaseException) -> None:
        """Take note of an error in a round, which is then raised further."""


def watch_updates(model: Any, watcher: Watcher, run: Run) -> None:
    """Have a watcher told of rounds that are done, and of errors in them, and a run moved into each round.

    By functions on the instance, not by a class of its own nor through `__dict__`: in CPython 3.11 either makes all of
    the booster's attributes slower from then on. Copies and pickles are plain boosters: whoever makes them asks for
    the state, and in that the functions are left out.
    """
    update_as_usual, state_as_usual = model.update, model.__getstate__

    def update(*given: Any, **named: Any) -> None:
        run.epoch, run.is_epoch_complete = run.step, False
        try:
            update_as_usual(*given, **named)
        except BaseException as error:
            watcher.failed(error)
            raise
        watcher.is_round_open = True

    def update_booster(dtrain: Any, iteration: int, fobj: Any = None) -> None:  # the same, in half the time
        run.epoch, run.is_epoch_complete = run.step, False
        try:
            update_as_usual(dtrain, iteration, fobj)
        except BaseException as error:
            watcher.failed(error)
            raise
        watcher.is_round_open = True

    def state() -> Any:
        return {name: value for name, value in state_as_usual().items() if name not in _OWN}

    is_booster = isinstance(model, Booster)  # in `cv` it is a pack of them, called in another way
    model.update, model.__getstate__ = update_booster if is_booster else update, state


def unwatch_updates(model: Any) -> None:
    """Give a model its own methods back, whoever has watched it, and take away the flag that may have stopped it."""
    for name in (*_OWN, "stop_training"):
        with suppress(AttributeError):  # it has none of its own
            delattr(model, name)
