"""Knows which module is running, by hooks on all of them that are there only while somebody watches.

Owns the stack of modules, and which nodes of the graph were made in which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from onlooker.core.origin import Origin
from onlooker.core.summary import Summary
from onlooker.core.view import looked_at
from onlooker.inside import Look

from .torch_finite import is_float

_nodes_made: Callable[[], int] = torch._C._autograd._get_sequence_nr
"""How many nodes of a graph were made so far."""

Describe = Callable[[Origin], None]


class Whereabouts:
    """Follows the forward passes of modules.

    Args:
        named: the modules by their full names.
        leaves: called when one returns, with its outputs and what describes it to an origin.
    """

    def __init__(
        self, named: list[tuple[str, torch.nn.Module]], leaves: Callable[[list[torch.Tensor], Describe], None]
    ) -> None:
        self._named = named
        self._leaves = leaves
        self._stack: list[tuple[str, torch.nn.Module, list[torch.Tensor], int]] = []
        self._made: list[tuple[int, int, int, str]] = []  # first node, the one behind the last, depth, name

    @property
    def present(self) -> str:
        """The full name of the innermost module that is running; `""` where none is."""
        return self._stack[-1][0] if self._stack else ""

    def watch(self) -> Callable[[], None]:
        """Begin; return what undoes it."""
        undo: list[Callable[[], None]] = []
        for name, module in self._named:
            undo.append(module.register_forward_pre_hook(self._entering(name), with_kwargs=True).remove)
            undo.append(module.register_forward_hook(self._leaving(), with_kwargs=True, always_call=True).remove)

        def remove() -> None:
            while undo:
                undo.pop()()
            self._stack.clear()

        return remove

    def describe(self, origin: Origin) -> None:
        """Say in which module an origin is, with what was given to it and its own weights."""
        if not self._stack:
            return
        name, module, inputs, _ = self._stack[-1]
        origin.module = name
        origin.module_inputs = summaries({f"input {number}": one for number, one in enumerate(inputs)})
        origin.parameters = summaries({own: one.detach() for own, one in module.named_parameters(recurse=False)})

    def module_of(self, node: Any) -> str:
        """Return the innermost module in whose forward pass a node of the graph was made."""
        number = node._sequence_nr()
        within = [(depth, name) for first, end, depth, name in self._made if first <= number < end]
        return max(within)[1] if within else ""

    def _entering(self, name: str) -> Callable[..., None]:
        def hook(module: Any, given: Any, named: Any) -> None:
            inputs = [one.detach() for one in tree_leaves((given, named)) if is_float(one)]
            self._stack.append((name, module, inputs, _nodes_made()))

        return hook

    def _leaving(self) -> Callable[..., None]:
        def hook(module: Any, given: Any, named: Any, output: Any) -> None:
            while self._stack:  # those that an error has left come before it
                is_own = self._stack[-1][1] is module
                if is_own:
                    self._leaves([one.detach() for one in tree_leaves(output) if is_float(one)], self.describe)
                name, _, _, first = self._stack.pop()
                self._made.append((first, _nodes_made(), len(self._stack), name))
                if is_own:
                    return

        return hook


def summaries(tensors: dict[str, Any]) -> dict[str, Summary]:
    """Return what tensors look like; those that cannot be looked at are left out."""
    return looked_at(Look(), tensors)
