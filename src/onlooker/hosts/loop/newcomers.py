"""`Newcomers`: callbacks that are added while a training is under way, until they join it.

Owns the waiting. What is wrong with a callback is found by the dispatcher, when it is added.
"""

from __future__ import annotations

from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AttachError
from onlooker.core.scopes import Scopes


class Newcomers:
    """Callbacks that wait for the next epoch.

    Args:
        dispatcher: whom they join.
        scopes: told that what a newcomer does in `on_train_begin` it does within a hook.
    """

    def __init__(self, dispatcher: Dispatcher, scopes: Scopes) -> None:
        self._dispatcher = dispatcher
        self._scopes = scopes
        self._waiting: list[Callback] = []

    def add(self, callback: Callback) -> None:
        """Have a callback wait; what is wrong with it is said now, not when it joins.

        Raises:
            AttachError: it is refused, or waits already.
        """
        self._dispatcher.check(callback)
        if any(waiting is callback for waiting in self._waiting):
            raise AttachError(f"the same instance of {type(callback).__name__} was passed twice; pass it once")
        self._waiting.append(callback)

    def join(self) -> None:
        """Have those who wait join the training; each first gets `on_train_begin`."""
        if not self._waiting:
            return
        joining, self._waiting = self._waiting, []
        self._scopes.is_in_hook = True
        try:
            for callback in joining:
                self._dispatcher.join(callback)
        finally:
            self._scopes.is_in_hook = False
