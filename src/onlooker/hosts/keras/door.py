"""`Door`: what stands in Keras' list in place of its callbacks, so that all of them are called together.

Keras calls the hooks on it as on any callback, after it has dealt with its threads and turned the logs into floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from onlooker.core.hooks import ALIASES, HOOKS, Scope

if TYPE_CHECKING:
    from .keras_host import KerasHost


class Door:
    """The one member of a list of Keras'. Its fourteen hooks lead to the host.

    Args:
        host: who owns the list's callbacks.
    """

    async_safe = True

    def __init__(self, host: KerasHost) -> None:
        self._host = host
        for hook, scope in HOOKS.items():
            setattr(self, hook, _way(host, hook, scope))
        for alias, hook in ALIASES.items():  # only a user's own loop calls these
            setattr(self, alias, _way(host, hook, HOOKS[hook], calls_all=True))

    def set_model(self, model: Any) -> None:
        """Hand a model to every callback: somebody uses the list once more."""
        for member in self._host.roster.members:
            member.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Hand Keras' dict to every callback."""
        self._host.run.params = params
        for member in self._host.roster.members:
            member.set_params(params)


def _way(host: KerasHost, hook: str, scope: Scope, calls_all: bool = False) -> Callable[..., None]:
    """Return what Keras calls for a hook."""
    name = scope.name
    if scope.index is None:
        is_begin = hook == scope.begin

        def stage_hook(logs: Any = None) -> None:
            if is_begin:
                host.begin(name)
            else:
                host.end(name, logs)

        return stage_hook
    if hook == scope.begin:

        def begin_hook(index: int, logs: Any = None) -> None:
            host.begin(name, int(index))

        return begin_hook
    if scope.index == "epoch":

        def end_hook(index: int, logs: Any = None) -> None:
            host.end(name, logs)

        return end_hook

    def batch_end_hook(index: int, logs: Any = None) -> None:
        # Ours have been called already, from the list itself: not in Keras' thread pool, and with the raw logs.
        if calls_all:
            logs = host.end_batch(name, int(index), logs)
        host.roster.call_waiting(hook, int(index), logs, host.run)

    return batch_end_hook
