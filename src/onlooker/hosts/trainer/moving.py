"""How a batch comes to a device: its tensors, wherever in it they are.

Owns how what is no tensor is copied with other parts. What its parts are is `core.parts`' business.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from onlooker.core.parts import attributes, named_parts

_WHOLE = frozenset((str, bytes, bool, int, float, complex, type(None)))
_NOT_UNDERSTOOD = (TypeError, ValueError, AttributeError, LookupError)
"""What a method raises that is called `to`, but takes no device."""


def to_device(thing: Any, device: torch.device | None) -> Any:
    """Return tensors on a device, also those within tuples, lists, dicts and objects; the rest as it is.

    Of an object that has a method `to` of its own, a copy is moved by that; of any other one that holds tensors as
    attributes, be it a dataclass, frozen or with slots, a copy has the moved tensors. One whose tensors are all there
    is returned itself, as is one that cannot be copied.

    Args:
        thing: a batch, or a part of one.
        device: where tensors go; None leaves all as it is.
    """
    if isinstance(thing, torch.Tensor):
        if device is None or thing.device == device:
            return thing
        # What comes from a device must be there when it is read; what goes to one need not be waited for.
        return thing.to(device, non_blocking=device.type != "cpu")
    return thing if device is None or type(thing) in _WHOLE else _Move(device).moved(thing)


class _Move:
    """One move of a batch. An object that is in it several times, or holds itself, is copied once.

    Args:
        device: where tensors go.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._copies: dict[int, Any] = {}

    def moved(self, thing: Any) -> Any:
        """Return what is asked for, or itself."""
        kind = type(thing)
        if isinstance(thing, torch.Tensor):
            return to_device(thing, self._device)
        if kind in _WHOLE:
            return thing
        if kind is dict:
            return {name: self.moved(part) for name, part in thing.items()}
        if kind is tuple or kind is list:
            return kind(map(self.moved, thing))
        if callable(getattr(kind, "to", None)) and not isinstance(thing, torch.nn.Module):
            return self._by_itself(thing)
        return self._taken_apart(thing)

    def _by_itself(self, thing: Any) -> Any:
        whole: Any = thing if isinstance(thing, tuple) else _copied(thing)
        for settings in ({"non_blocking": self._device.type != "cpu"}, {}):
            try:
                found = whole.to(self._device, **settings)
            except _NOT_UNDERSTOOD:
                continue
            return whole if found is None else found  # one that moves itself may return nothing
        return self._taken_apart(thing)

    def _taken_apart(self, thing: Any) -> Any:
        if isinstance(thing, Mapping):
            return self._as_mapping(thing)
        if isinstance(thing, tuple) and hasattr(thing, "_fields"):  # a named tuple takes its parts one by one
            return type(thing)(*map(self.moved, thing))
        if isinstance(thing, tuple | list):
            return type(thing)(map(self.moved, thing))
        if id(thing) not in self._copies:
            self._copies[id(thing)] = thing
            parts = attributes(thing)
            if parts and self._is_elsewhere(thing):
                self._fill(thing, parts)
        return self._copies[id(thing)]

    def _as_mapping(self, thing: Mapping[Any, Any]) -> Any:
        parts = {name: self.moved(part) for name, part in thing.items()}
        whole: Any = _copied(thing)
        if whole is thing:
            return parts
        try:
            for name, part in parts.items():
                whole[name] = part
        except Exception:  # of whatever its own class does there
            return parts
        return whole

    def _fill(self, thing: Any, parts: dict[str, Any]) -> None:
        """Make a copy of an object, with its parts moved."""
        whole = _copied(thing)
        if whole is thing:
            return
        self._copies[id(thing)] = whole
        moved = {name: self.moved(part) for name, part in parts.items()}
        try:
            for name, part in moved.items():
                object.__setattr__(whole, name, part)  # also where it is frozen
        except (AttributeError, TypeError):  # of an attribute that cannot be set
            self._copies[id(thing)] = thing

    def _is_elsewhere(self, thing: Any) -> bool:
        """Say whether there is something in an object to be moved."""
        for _, part in named_parts(thing):
            if isinstance(part, torch.Tensor):
                if part.device != self._device:
                    return True
            elif callable(getattr(type(part), "to", None)):
                return True
        return False


def _copied(thing: Any) -> Any:
    """Return a shallow copy; itself where that cannot be, or where one that goes may close what is still in use."""
    if hasattr(type(thing), "__del__"):
        return thing
    try:
        return copy.copy(thing)
    except Exception:  # of whatever its own class does there
        return thing
