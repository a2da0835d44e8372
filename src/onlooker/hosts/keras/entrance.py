"""`enter`: what `Callback.set_model` ends in when Keras calls it.

Owns the search for the list that the callback stands in, and whether it may take part: a callback in a run that is
under way is refused, and a stage that a callback starts from within a hook is silent.
"""

from __future__ import annotations

import sys
from typing import Any

import keras

from onlooker.core.callback import Callback
from onlooker.core.errors import AttachError

from .keras_host import KerasHost, live_hosts

_MARK = "_onlooker"
"""The attribute of a list that says who has taken it over."""

_SILENT = "silent"
"""In place of a host: none of ours is called."""


def enter(callback: Callback, model: Any) -> None:
    """Have a host take over the list in which Keras has found a callback.

    Args:
        callback: on which `set_model` was called.
        model: the Keras model that it was called with.

    Raises:
        AttachError: there is no such list, or the callback, or another of ours in it, is refused.
    """
    callback_list = _list_of(callback)
    if callback_list is None:
        name = type(callback).__name__
        raise AttachError(
            f"{name}.set_model was called, but {name} is in no list of Keras' callbacks; pass it to fit, evaluate or "
            f"predict as callbacks=[...], or to keras.callbacks.CallbackList([...], model=model) in a loop of your own"
        )
    host = vars(callback_list).get(_MARK)
    if host is not None:
        if host == _SILENT or host.run.view.model is model:
            return  # an earlier one in the list has brought the host
        callback_list.callbacks = host.roster.members  # a user's own list, used for another model
    stage = _stage_of(model)
    silent = {id(one) for one in callback_list.callbacks if isinstance(one, Callback) and _is_silent(one, model, stage)}
    members = [one for one in callback_list.callbacks if id(one) not in silent]
    if any(isinstance(one, Callback) for one in members):
        vars(callback_list)[_MARK] = KerasHost(callback_list, model, members)
    else:  # only Keras' own are left, who need nobody; the silent ones keep the run that they are in
        vars(callback_list)[_MARK] = _SILENT
        callback_list.callbacks = members


def _is_silent(callback: Callback, model: Any, stage: str | None) -> bool:
    """Say whether a callback is to hear nothing of a stage, because a hook has started it.

    Raises:
        AttachError: the callback is in a run that is under way, and this is not a stage within it.
    """
    run = vars(callback).get("run")
    starting = [host for host in live_hosts if host.is_in_own_hook()]
    if run is None or not run.is_live:
        return stage != "fit" and any(host.run.view.model is model for host in starting)
    if starting and stage != "fit":
        return True
    owner = next((host for host in live_hosts if host.run is run), None)
    if owner is not None and owner.close_if_dead():
        return False
    raise AttachError(
        f"this instance of {type(callback).__name__} is already in a run that is under way ({run!r}); "
        f"make another instance"
    )


def _list_of(callback: Callback) -> Any:
    """Return the list of Keras' that is calling `set_model` on a callback: users override it, so at whatever depth."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_argcount and code.co_varnames[0] == "self":
            owner = frame.f_locals.get("self")
            if isinstance(owner, keras.callbacks.CallbackList) and (
                _MARK in vars(owner) or any(member is callback for member in owner.callbacks)
            ):
                return owner
        frame = frame.f_back
    return None


def _stage_of(model: Any) -> str | None:
    """Return which of Keras' functions is making the list; None where a user's own loop does."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_name
        if name in ("fit", "evaluate", "predict") and frame.f_locals.get("self") is model:
            return str(name)
        frame = frame.f_back
    return None
