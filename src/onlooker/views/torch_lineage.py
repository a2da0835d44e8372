"""Remembers where what is not finite came from, tensor by tensor, while a step of PyTorch is watched.

What is made of a tensor that is not finite inherits its origin. Constants are origins that somebody wants: infinities
of a mask blame nobody as long as they become no NaN, and where they do, that operation is the origin.

Owns the inheritance. Who watches the operations is `torch_trace`.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from onlooker.core.origin import Origin

from .torch_finite import is_float


class Lineage:
    """The origins of tensors. They are known by their memory, which is held on to so that it stays the same."""

    def __init__(self) -> None:
        self._origins: dict[int, tuple[Origin, Any]] = {}
        self._wanted: set[int] = set()  # identities of origins

    def tag(self, tensor: torch.Tensor, origin: Origin) -> None:
        """Take note that a tensor, and its views, have an origin."""
        key, holder = memory(tensor)
        self._origins[key] = (origin, holder)

    def known(self, tensor: torch.Tensor) -> Origin | None:
        """Return the origin of a tensor; None where nobody took note of one."""
        found = self._origins.get(memory(tensor)[0])
        return None if found is None else found[0]

    def want(self, origin: Origin) -> None:
        """Take note that somebody wants what an origin puts out."""
        self._wanted.add(id(origin))

    def is_wanted(self, origin: Origin) -> bool:
        """Say whether somebody wants what an origin puts out."""
        return id(origin) in self._wanted

    def heir(
        self, sick: list[torch.Tensor], made: list[torch.Tensor], origin_of: Callable[[torch.Tensor], Origin]
    ) -> Origin:
        """Return whose origin is inherited by what is made of tensors that are not finite.

        NaN goes before infinities, which a mask may have put beside it; where none comes out it was NaN that was put
        beside them. What nobody wants goes before what somebody does.

        Args:
            sick: the tensors, at least one.
            made: what is made of them and is not finite.
            origin_of: returns the origin of one.
        """
        is_nan = any(map(has_nan, made))
        found = [origin_of(one) for one in ([one for one in sick if has_nan(one) is is_nan] or sick)]
        return next((one for one in found if not self.is_wanted(one)), found[0])

    def clear(self) -> None:
        """Let go of all of it."""
        self._origins = {}


def memory(tensor: torch.Tensor) -> tuple[int, Any]:
    """Return what a tensor shares with its views, and what keeps that from being used for another."""
    storage = tensor.untyped_storage()
    return storage._cdata, storage


def has_nan(tensor: torch.Tensor) -> bool:
    """Say whether a tensor holds NaN. Waits for the device."""
    return bool(torch.isnan(tensor).any())


def is_mask(tensor: torch.Tensor) -> bool:
    """Say whether all that is not finite in a tensor is minus infinity, as in the masks of attention."""
    return not tensor.is_complex() and bool((torch.isfinite(tensor) | (tensor == -torch.inf)).all())


def constant(given: Any) -> str:
    """Return the first number of Python's among arguments that is not finite, such as `"nan"`; `""` for none."""
    numbers = [one for one in tree_leaves(given) if isinstance(one, float | complex)]
    return next((f"{one:g}" for one in numbers if not cmath.isfinite(one)), "")


def name_constant(origin: Origin, user: str) -> None:
    """Name a constant's origin after the operation that uses it first, where it was none of its own."""
    if origin.operation != "tensor":
        origin.operation = user
    elif user in ("copy", "index_put", "fill"):
        origin.operation = "assignment"


def owner(tensor: torch.Tensor, named: Mapping[str, torch.Tensor]) -> str:
    """Return the name of the tensor in whose memory another one lies; `""` for none."""
    place = memory(tensor)[0]
    return next((name for name, one in named.items() if is_float(one) and memory(one)[0] == place), "")


def maker(origin: Origin) -> str:
    """Say who made the infinities that an origin stands for."""
    if origin.phase == "data":
        return f"the infinities came with the data, in {next(iter(origin.inputs), 'the batch')}"
    if origin.phase == "weights":
        return f"the infinities are those of {origin.parameter!r}"
    what = f" by {origin.operation}" if origin.operation else ""
    return f"the infinities were made{what}{f' ({origin.line})' if origin.line else ''}"
