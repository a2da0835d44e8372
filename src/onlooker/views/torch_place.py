"""Says what is being done at this moment of a step of PyTorch: in which phase, of which module, in which line.

Owns the difference between a forward pass and the derivative of one. The modules are `torch_whereabouts`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from onlooker.core.origin import Origin

from .torch_blame import node_name
from .torch_lines import forward_line, present_line
from .torch_whereabouts import Whereabouts


class Place:
    """The operation at hand.

    Args:
        whereabouts: knows the modules.
        parameters: by name.
    """

    def __init__(self, whereabouts: Whereabouts, parameters: Mapping[str, torch.Tensor]) -> None:
        self._whereabouts = whereabouts
        self._names = {id(one): name for name, one in parameters.items()}

    @property
    def derivative_of(self) -> str:
        """The operation whose derivative is being computed; `""` in the forward pass, and in a gradient's own hooks."""
        node = _node()
        return "" if node is None or _is_gradients(node) else node_name(node)

    def origin(self, name: str, phase: str) -> Origin:
        """Return an origin in an operation.

        Args:
            name: of the operation.
            phase: `"forward"` or `"optimizer"`, as far as no derivative is being computed.
        """
        node, of = _node(), self.derivative_of
        if node is None:
            origin = Origin(phase, operation=name, line=present_line())
            if phase == "forward":
                self._whereabouts.describe(origin)
            return origin
        if _is_gradients(node):
            weight = self._names.get(id(node.variable), "a weight")
            return Origin("backward", operation=f"{name}, on the gradient of {weight!r}", line=present_line())
        operation = f"{name}, in the derivative of {of}" if of else name
        module, line = self._whereabouts.module_of(node), forward_line(node) or present_line()
        return Origin("backward", operation=operation, module=module, line=line)

    def said(self, name: str) -> str:
        """Say in words where an operation is done."""
        node, of = _node(), self.derivative_of
        if node is None:
            module, line = self._whereabouts.present, present_line()
        else:
            module, line = self._whereabouts.module_of(node), forward_line(node) or present_line()
        derivative = f", in the derivative of {of}" if of else ""
        return f"{name}{derivative}{f', in module {module!r}' if module else ''}{f' ({line})' if line else ''}"


def _is_gradients(node: Any) -> bool:
    """Say whether a node only puts a gradient where it belongs; what else is computed there, hooks do."""
    return str(node.name()).endswith("AccumulateGrad")


def _node() -> Any:
    """Return the node of the graph whose derivative is being computed; None in the forward pass."""
    return torch._C._current_autograd_node()
