"""Which buffers PyTorch's modules have, and in which tensors: a forward pass may bind, register and delete them.

Owns the way back to that, and how values are written into a tensor that is expanded. Copies of values are others'.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


class Bindings:
    """The buffers of modules as they were bound when this was made; without copies of their values.

    Args:
        modules: each once.
    """

    def __init__(self, modules: Iterable[torch.nn.Module]) -> None:
        self._kept = [
            (module, dict(module._buffers), frozenset(module._non_persistent_buffers_set)) for module in modules
        ]

    def restore(self) -> None:
        """Bind them again: those that have appeared since go, those that vanished come back, in their order."""
        for module, before, passing in self._kept:
            present: dict[str, Any] = module._buffers
            if not before and not present:
                continue
            if list(present.keys()) == list(before):
                for name, one in before.items():
                    if present[name] is not one:
                        present[name] = one
                continue
            for name in before.keys() - present.keys():
                for others in (vars(module), module._parameters, module._modules):
                    others.pop(name, None)  # what took its place
            present.clear()
            present.update(before)
            module._non_persistent_buffers_set.clear()
            module._non_persistent_buffers_set.update(passing)


def write(tensor: torch.Tensor, values: torch.Tensor) -> None:
    """Copy values into a tensor. Into one that is expanded, whose numbers share their memory, they go once."""
    if tensor.layout is torch.strided and not tensor.is_nested:
        for axis, (length, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
            if length > 1 and stride == 0:
                tensor, values = tensor.narrow(axis, 0, 1), values.narrow(axis, 0, 1)
    tensor.copy_(values)
