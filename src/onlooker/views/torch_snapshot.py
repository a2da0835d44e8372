"""Keeps the state of a PyTorch training in memory, so that one can go back to it.

Owns copies of parameters, buffers, optimizers' states and gradients, and what begins a batch as it was begun: random
states and learning rates. What the loop's body keeps itself, such as a schedule's count, is not in it.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from onlooker.core.errors import AbsentError
from onlooker.core.parts import attributes, named_parts

from .torch_bindings import Bindings, write


class TorchSnapshot:
    """A copy of a training's state. Its memory is used again each time that it is taken.

    Args:
        tensors: returns the parameters and buffers.
        parameters: returns the parameters.
        optimizers: of the training.
        modules: returns the modules, each once. A buffer that one of them binds anew is bound again to what it was, and
            those that appear or vanish since go and come back.

    Attributes:
        size_bytes: how much memory the copies take; 0 before the first.
        is_whole: whether nothing was missing in it, as the weights are that a module gets with its first batch.
    """

    def __init__(
        self,
        tensors: Callable[[], list[torch.Tensor]],
        parameters: Callable[[], list[torch.Tensor]],
        optimizers: Iterable[torch.optim.Optimizer],
        modules: Callable[[], list[torch.nn.Module]],
    ) -> None:
        self._tensors, self._parameters, self._optimizers = tensors, parameters, list(optimizers)
        self._modules = modules
        self._live: list[torch.Tensor] = []
        self._kept: list[torch.Tensor] = []
        self._bound: Bindings | None = None
        self.is_whole = True
        self._states: list[dict[Any, dict[str, Any]]] = []
        self._groups: list[list[dict[str, Any]]] = []
        self._gradients: list[torch.Tensor | None] | None = None

    @property
    def size_bytes(self) -> int:
        """How much memory the copies take."""
        gradients = [one for one in self._gradients or () if one is not None]
        states = [value for state in self._states for slot in state.values() for value in slot.values()]
        copies = [*self._kept, *gradients, *(one for one in states if isinstance(one, torch.Tensor))]
        return sum(one.numel() * one.element_size() for one in copies)

    def take(self, gradients: bool = False) -> None:
        """Keep the state as it stands.

        Args:
            gradients: whether gradients are part of it, as in the midst of an accumulation; else there are none
                afterwards.
        """
        with torch.no_grad():
            self._live, earlier_kept = self._tensors(), self._kept
            self._kept = [_copied(one, old) for one, old in zip_longest(self._live, earlier_kept[: len(self._live)])]
            self.is_whole = not any(map(_is_waiting, self._modules()))
            self._bound = Bindings(self._modules())
            earlier = self._states or [{} for _ in self._optimizers]
            self._states = [_kept_state(one, old) for one, old in zip(self._optimizers, earlier, strict=True)]
            self._groups = [
                [
                    {name: _copied(value) for name, value in group.items() if name != "params"}
                    for group in one.param_groups
                ]
                for one in self._optimizers
            ]
            self._gradients = None
            if gradients:
                self._gradients = [
                    None if one.grad is None else one.grad.detach().clone() for one in self._parameters()
                ]

    def restore(self) -> None:
        """Go back to what was kept. It stays kept.

        Raises:
            AbsentError: modules have got weights since, and there is nothing to go back to.
        """
        if not self.is_whole and not any(map(_is_waiting, self._modules())):
            raise AbsentError("modules got their weights with a batch since: before it there is nothing to go back to")
        with torch.no_grad():
            if self._bound is not None:
                self._bound.restore()
            for theirs, ours in zip(self._live, self._kept, strict=True):
                write(theirs.detach(), ours)  # so that it counts as a change for whoever keeps count
            for optimizer, state, groups in zip(self._optimizers, self._states, self._groups, strict=True):
                _restore_state(optimizer, state)
                for group, kept in zip(optimizer.param_groups, groups, strict=True):
                    for name, value in kept.items():
                        _put(group, name, value)
            parameters = self._parameters()
            gradients = self._gradients or [None] * len(parameters)
            for parameter, gradient in zip(
                parameters, gradients, strict=False
            ):  # a lazy module may have got some since
                parameter.grad = None if gradient is None else gradient.clone()


class Moment:
    """What a batch begins with, beside weights: random states and the learning rates.

    Args:
        optimizers: whose rates.
    """

    __slots__ = ("_cuda", "_numpy", "_python", "_rates", "_torch")

    def __init__(self, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        numpy = sys.modules.get("numpy")
        self._python = random.getstate()
        self._numpy = None if numpy is None else numpy.random.get_state(legacy=False)
        self._torch = torch.get_rng_state()
        has_cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
        self._cuda = torch.cuda.get_rng_state_all() if has_cuda else None
        self._rates = [(group, _copied(group.get("lr"))) for one in optimizers for group in one.param_groups]

    def restore_random(self) -> None:
        """Put the random states back."""
        random.setstate(self._python)
        if self._numpy is not None:
            sys.modules["numpy"].random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)

    def restore(self) -> None:
        """Put the random states and the learning rates back."""
        self.restore_random()
        for group, rate in self._rates:
            if rate is not None:
                _put(group, "lr", rate)


def copy_data(data: Any, copies: dict[int, Any] | None = None) -> tuple[Any, int]:
    """Return a copy of a batch, and how many bytes its tensors and arrays take. What is no array is not copied.

    Args:
        data: as a loader has yielded it.
        copies: by the identity of the object, those that have been made: one that is there twice is copied once.
    """
    copies = {} if copies is None else copies
    if isinstance(data, torch.Tensor):
        return data.detach().clone(), data.numel() * data.element_size()
    if isinstance(data, Mapping):
        parts = {name: copy_data(part, copies) for name, part in data.items()}
        size_bytes = sum(size for _, size in parts.values())
        plain = {name: part for name, (part, _) in parts.items()}
        try:
            made = plain if type(data) is dict else type(data)(plain)  # type: ignore[call-arg]  # most take a dict
            return made, size_bytes
        except TypeError:
            return plain, size_bytes
    if isinstance(data, tuple | list):
        pairs = [copy_data(part, copies) for part in data]
        parts_only = [part for part, _ in pairs]
        whole = type(data)(*parts_only) if hasattr(data, "_fields") else type(data)(parts_only)
        return whole, sum(size for _, size in pairs)
    if hasattr(data, "__array_interface__") and hasattr(data, "copy"):
        return data.copy(), int(getattr(data, "nbytes", 0))
    return (copies[id(data)], 0) if id(data) in copies else _copy_object(data, copies)


def _copy_object(thing: Any, copies: dict[int, Any]) -> tuple[Any, int]:
    """Return a copy of an object that holds arrays as attributes; of any other, and where it forbids that, itself."""
    copies[id(thing)] = thing
    own = attributes(thing)
    has_arrays = bool(own) and any(hasattr(part, "dtype") for _, part in named_parts(thing))
    if not has_arrays or hasattr(type(thing), "__del__"):  # a copy that goes may close what is still in use
        return thing, 0
    try:
        whole = copies[id(thing)] = copy.copy(thing)
        parts = {name: copy_data(part, copies) for name, part in own.items()}
        for name, (part, _) in parts.items():
            object.__setattr__(whole, name, part)  # also where it is frozen
    except Exception:  # of whatever the object's own class does there
        copies[id(thing)] = thing
        return thing, 0
    return whole, sum(size for _, size in parts.values())


def _is_waiting(module: torch.nn.Module) -> bool:
    """Say whether a module gets weights, or buffers, with its first batch."""
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return any(is_lazy(one) for one in own)


def _kept_state(optimizer: Any, earlier: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Return a copy of an optimizer's state, in the memory of the one before where it fits."""
    found = {}
    for parameter, slots in optimizer.state.items():
        old = earlier.get(parameter, {})
        found[parameter] = {name: _copied(value, old.get(name)) for name, value in slots.items()}
    return found


def _copied(value: Any, into: Any = None) -> Any:
    if not isinstance(value, torch.Tensor):
        return value if isinstance(value, int | float | str | bool | None) else copy.deepcopy(value)
    if (
        isinstance(into, torch.Tensor)
        and not value.is_nested
        and into.shape == value.shape
        and into.dtype == value.dtype
        and into.device == value.device
    ):
        into.copy_(value)
        return into
    return value.detach().clone()


def _restore_state(optimizer: Any, state: dict[Any, dict[str, Any]]) -> None:
    for parameter in [one for one in optimizer.state if one not in state]:
        del optimizer.state[parameter]
    for parameter, slots in state.items():
        own = optimizer.state[parameter]
        for name in [one for one in own if one not in slots]:
            del own[name]
        for name, value in slots.items():
            _put(own, name, value)


def _put(slots: Any, name: str, value: Any) -> None:
    """Put a kept value back, into the tensor that is there where there is one: others may hold on to it."""
    present = slots.get(name)
    if isinstance(value, torch.Tensor):
        if isinstance(present, torch.Tensor) and present.shape == value.shape and present.dtype == value.dtype:
            present.detach().copy_(value)
        else:
            slots[name] = value.clone()
    else:
        slots[name] = _copied(value)
