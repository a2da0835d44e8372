"""Keras' own callbacks among ours: called in the order of the list, as Keras would have called them.

Owns nothing but the call. What they may do is Keras' business; here they never hear of closing hooks that Keras would
not have called.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

from onlooker.core.callback import Callback
from onlooker.core.hooks import ALIASES, HOOKS

if TYPE_CHECKING:
    from .keras_host import KerasHost


class Guest(Callback):
    """Stands for a callback that is not ours, in a dispatcher."""


def make_guest(member: Any, waiting: Container[str], host: KerasHost) -> Guest:
    """Return what a dispatcher calls for a callback that is not ours.

    Keras looks each hook up when it comes. So here too, but for those of batches, which would cost time in each batch:
    whether they do anything is found out before the training and after `on_train_begin`.

    Args:
        member: Keras' callback, or whatever stands in the list.
        waiting: the hooks that do not go through the dispatcher.
        host: asked whether guests are to hear.
    """
    guest: Guest = type(type(member).__name__, (Guest,), {})()  # so that messages say whose hook it was

    def listen() -> None:
        for hook, scope in HOOKS.items():
            if hook in vars(guest) or hook in waiting:
                continue
            if hears(member, hook) or (scope.index != "batch" and hasattr(member, hook)):
                make = _stage_hook if scope.index is None else _indexed_hook
                vars(guest)[hook] = make(member, hook, host)

    def begin_training(logs: Any = None) -> None:
        try:
            begin(logs)
        finally:
            listen()

    listen()
    if "on_train_begin" in vars(guest):
        begin, vars(guest)["on_train_begin"] = vars(guest)["on_train_begin"], begin_training
    return guest


def hears(member: Any, hook: str) -> bool:
    """Say whether a callback that is not ours does anything in a hook, by Keras' own mark on what does nothing."""
    names = [hook, *(alias for alias, name in ALIASES.items() if name == hook)]
    return any(hasattr(member, name) and not getattr(getattr(member, name), "_is_default", False) for name in names)


def call_with_index(member: Any, hook: str, index: int, logs: Any) -> None:
    """Call a hook that has an index, the way Keras does: an epoch's by position, a batch's with `logs=`."""
    if HOOKS[hook].index == "epoch":
        getattr(member, hook)(index, logs)
    else:
        getattr(member, hook)(index, logs=logs)


def _indexed_hook(member: Any, hook: str, host: KerasHost) -> Callable[..., None]:
    def call(index: int, logs: Any = None) -> None:
        with_guest(host, member, lambda: call_with_index(member, hook, index, logs))

    return call


def _stage_hook(member: Any, hook: str, host: KerasHost) -> Callable[..., None]:
    def call(logs: Any = None) -> None:
        with_guest(host, member, lambda: getattr(member, hook)(logs))

    return call


def with_guest(host: KerasHost, member: Any, call: Callable[[], None]) -> None:
    """Make a call of a guest's, unless Keras would not have made it."""
    if host.is_closing:
        return
    host.run.notice_flag()  # set by one of ours, if it is set already
    host.is_guest_called = True
    try:
        call()
    finally:
        host.is_guest_called = False
    host.run.notice_flag(type(member).__name__)
