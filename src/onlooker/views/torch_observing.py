"""What observing a PyTorch model puts back: buffers, gradients, who wants gradients, and modes.

Owns the copies that this takes. Which buffers are bound is `torch_bindings`' business, random states `torch_random`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from onlooker.core.errors import warn

from .torch_bindings import Bindings, write


class Kept:
    """A model as it was before it was observed.

    Args:
        models: whose modules may be used.
        parameters: theirs, each once, by name.
        gradients: whether gradients may be computed, so that copies of those that are there are needed.
    """

    def __init__(
        self, models: Iterable[torch.nn.Module], parameters: Iterable[tuple[str, torch.nn.Parameter]], gradients: bool
    ) -> None:
        modules = list({id(module): module for model in models for module in model.modules()}.values())
        named = list(parameters)
        self._bindings = Bindings(modules)
        self._values = [(one, one.data, one.detach().clone()) for one in _changed_by_use(modules)]
        buffers = (one for module in modules for one in module._buffers.values() if one is not None)
        self._gradients = [_Gradient(name, one, gradients) for name, one in named]
        self._gradients += [_Gradient("a buffer", one, gradients) for one in buffers if one.is_leaf]

    def restore(self) -> None:
        """Put everything back, into the very tensors that were there."""
        self._bindings.restore()
        with torch.no_grad():
            # Through `data`, which PyTorch does not count as a change: a forward pass under way may need the very
            # buffers for its backward pass, and they are again what they were.
            for tensor, memory, before in self._values:
                if memory.layout is not torch.strided:
                    tensor.data = before  # what is copied into one that is sparse goes to other memory
                    continue
                if not _is_on(tensor, memory):
                    tensor.data = memory
                write(memory, before)
            changed = [one.name for one in self._gradients if not one.restore()]
        if changed:
            warn(
                f"gradients were changed in place within observing(), that of {changed[0]!r} first, and are not put "
                f"back; observing(gradients=True) keeps copies of them"
            )


class _Gradient:
    """The gradient of a tensor, and whether it wants one.

    Args:
        name: of the tensor.
        tensor: a leaf.
        is_copied: whether a copy is kept of the gradient, not only the tensor that it is in.
    """

    __slots__ = ("_copy", "_gradient", "_is_wanted", "_tensor", "_version", "name")

    def __init__(self, name: str, tensor: torch.Tensor, is_copied: bool) -> None:
        self.name, self._tensor, self._is_wanted = name, tensor, tensor.requires_grad
        self._gradient = gradient = tensor.grad
        self._copy = gradient.detach().clone() if is_copied and gradient is not None else None
        self._version = _version(gradient)

    def restore(self) -> bool:
        """Put both back; return False where the gradient has been changed, and there is no copy of it."""
        tensor, gradient = self._tensor, self._gradient
        if not tensor.is_leaf and not tensor._is_view():
            tensor.detach_()  # a buffer that what wants gradients was written into
        if tensor.is_leaf and tensor.requires_grad is not self._is_wanted:
            tensor.requires_grad_(self._is_wanted)
        tensor.grad = gradient
        if gradient is None:
            return True
        if self._copy is None:
            return _version(gradient) == self._version
        write(gradient.data, self._copy)
        return True


class Evaluating:
    """Evaluation mode and no gradients, until `__exit__`; leaving it a second time does nothing."""

    def __init__(self, modules: Any, gradients: bool = False) -> None:
        self._modules = list(modules)
        self._gradients = gradients
        self._modes: list[tuple[torch.nn.Module, bool]] | None = None

    def __enter__(self) -> None:
        self._modes = [(part, part.training) for module in self._modules for part in module.modules()]
        self._had_gradients = torch.is_grad_enabled()
        try:
            for module in self._modules:
                module.eval()
        except BaseException:  # and no `__exit__` would come
            self.__exit__()
            raise
        torch.set_grad_enabled(self._gradients)

    def __exit__(self, *_: object) -> None:
        if self._modes is None:
            return
        for part, mode in self._modes:
            part.training = mode
        self._modes = None
        torch.set_grad_enabled(self._had_gradients)


def _changed_by_use(modules: Iterable[torch.nn.Module]) -> Iterator[torch.Tensor]:
    """Yield what a forward pass may write to, each once: buffers, and the weights that an embedding renormalises."""
    seen = set()
    for module in modules:
        found = list(module._buffers.values())
        if isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag) and module.max_norm is not None:
            found.append(module.weight)
        for one in found:
            if one is not None and id(one) not in seen and not is_lazy(one):
                seen.add(id(one))
                yield one


def _is_on(tensor: torch.Tensor, memory: torch.Tensor) -> bool:
    """Say whether a tensor lies where it lay, and in the same shape: its `data` may have been set."""
    if tensor.layout is not memory.layout or tensor.is_nested:
        return tensor.layout is memory.layout
    return (
        tensor.shape == memory.shape
        and tensor.dtype is memory.dtype
        and tensor.stride() == memory.stride()
        and tensor.storage_offset() == memory.storage_offset()
        and tensor.untyped_storage()._cdata == memory.untyped_storage()._cdata
    )


def _version(tensor: torch.Tensor | None) -> int:
    """Return how often a tensor has been changed in place; -1 where PyTorch does not count."""
    return -1 if tensor is None or tensor.is_inference() else tensor._version
