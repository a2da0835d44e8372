"""Tells of the clipping of gradients by PyTorch's own functions, while somebody wants to know.

PyTorch has no hook there, so its functions are replaced while somebody listens, and put back afterwards. Owns that, and
that functions which others have put there stay where they are. What it means is `torch_steps`' business.

`clip_grad_norm_` is seen however it was imported, as it calls a function that is replaced too; `clip_grad_value_` is
seen where it is called as `torch.nn.utils.clip_grad_value_`, not where it was imported by name. A user's own arithmetic
on gradients is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import Lock, local
from typing import Any

import torch

Listener = Callable[[list[torch.Tensor]], Callable[[], None] | None]
"""Gets the parameters whose gradients are about to be clipped; may return what to call when they have been."""

_PLACES = tuple(
    (module, name)
    for module in (torch.nn.utils.clip_grad, torch.nn.utils)
    for name in ("clip_grad_norm_", "clip_grad_value_", "_clip_grads_with_norm_", "clip_grads_with_norm_")
    if hasattr(module, name)
)

_listeners: list[Listener] = []
_put: list[tuple[Any, str, _Wrapper]] = []
_made: dict[tuple[Any, str], tuple[_Wrapper, Callable[..., Any]]] = {}  # to be put there again: that is quicker
_lock = Lock()  # of both lists: several trainings may be under way, each in a thread of its own


class _Thread(local):
    """Whether this thread is clipping: one of these functions calls another, which is then the same clipping."""

    is_clipping = False


_thread = _Thread()


class _Wrapper:
    """A function of PyTorch's, with the listeners told before it is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def make(self) -> Callable[..., Any]:
        @wraps(self.function)
        def clip(parameters: Any, *given: Any, **named: Any) -> Any:
            if _thread.is_clipping or not _listeners:  # somebody may have taken hold of it while it was in place
                return self.function(parameters, *given, **named)
            listed = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
            if listed and not isinstance(parameters, torch.Tensor):  # a generator is used up now
                parameters = listed
            _thread.is_clipping = True
            try:
                afterwards = [listener(listed) for listener in tuple(_listeners)]
                found = self.function(parameters, *given, **named)
                for call in afterwards:
                    if call is not None:
                        call()
                return found
            finally:
                _thread.is_clipping = False

        clip._onlooker_wrapper = self  # type: ignore[attr-defined]
        return clip


def listen(listener: Listener) -> Callable[[], None]:
    """Have a listener told of clippings; return what undoes it."""
    with _lock:
        if not _listeners:
            _put_wrappers()
        _listeners.append(listener)

    def undo() -> None:
        with _lock:
            if listener in _listeners:
                _listeners.remove(listener)
                if not _listeners:
                    _take_wrappers_away()

    return undo


def _put_wrappers() -> None:
    for place in _PLACES:
        module, name = place
        function = getattr(module, name)
        if place not in _made or _made[place][0].function is not function:
            wrapper = _Wrapper(function)
            _made[place] = wrapper, wrapper.make()
        wrapper, clip = _made[place]
        setattr(module, name, clip)
        _put.append((module, name, wrapper))


def _take_wrappers_away() -> None:
    for module, name, wrapper in _put:
        # What somebody has put around it in between stays, and within that this one, which then does nothing.
        if getattr(getattr(module, name), "_onlooker_wrapper", None) is wrapper:
            setattr(module, name, wrapper.function)
    _put.clear()
