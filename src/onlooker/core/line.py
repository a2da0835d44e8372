"""`Line`: the listeners of one hook, and the call of them all.

Owns the hot path, and nothing else: who listens is the `Dispatcher`'s to say, what becomes of one that raises too.
"""

from __future__ import annotations

from .logs import Logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .callback import Callback


class Line:
    """The listeners of one hook, in the order in which they were attached.

    There is no wrapper around each call: one `try` around the loop costs nothing until something is raised, and then it
    is known which call it was and which are still to come.
    """

    __slots__ = ("calls", "hook", "owners", "recover")

    def __init__(self, hook: str, recover: Callable[[Line, BaseException, Any, Any, tuple[Any, ...]], None]) -> None:
        self.hook = hook
        self.recover = recover
        self.calls: tuple[Callable[..., None], ...] = ()
        self.owners: dict[int, Callback] = {}  # by the identity of the call

    def call(self, logs: Any = None) -> None:
        """Call all who listen to a hook of a stage."""
        calls = self.calls
        if logs is None:
            if not calls:
                return
            logs = Logs()
        call = None
        try:
            for call in calls:
                call(logs)
        except BaseException as error:
            self.recover(self, error, calls, call, (logs,))

    def call_indexed(self, index: int, logs: Any = None) -> None:
        """Call all who listen to a hook of an epoch or a batch."""
        calls = self.calls
        if logs is None:
            if not calls:
                return
            logs = Logs()
        call = None
        try:
            for call in calls:
                call(index, logs)
        except BaseException as error:
            self.recover(self, error, calls, call, (index, logs))

    def own(self, call: Callable[..., None], owner: Callback) -> Callable[..., None]:
        """Take note of whose call it is; return the call by which it is known here."""
        if self.owners.get(id(call), owner) is not owner:
            # One function assigned as a hook on two callbacks: each gets a call of its own, by which it is known.
            shared = call

            def call(*given: Any) -> None:
                shared(*given)

        self.owners[id(call)] = owner
        return call

    def remove(self, owner: Callback) -> None:
        """Take out the calls of one callback."""
        # The owners stay known: a dispatch under way may still have to name one.
        self.calls = tuple(call for call in self.calls if self.owners[id(call)] is not owner)

    def place(self, owner: Callback, call: Callable[..., None] | None, earlier: set[int]) -> None:
        """Put a call, or none, in the place of those that a callback has had.

        Args:
            owner: the callback.
            call: what to call from now on, or None.
            earlier: the identities of the callbacks that come before it.
        """
        self.remove(owner)
        if call is None:
            return
        place = sum(id(self.owners[id(other)]) in earlier for other in self.calls)
        self.calls = (*self.calls[:place], self.own(call, owner), *self.calls[place:])
