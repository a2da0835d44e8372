"""Watches the steps of PyTorch's optimizers, each with the weights that it is for.

Owns when a gradient is as it should be looked at: all of it there, unscaled, and not clipped yet. That is right before
the step, or, where `step` is given a closure, when that has been called for the first time; or before the clipping,
where that is seen (`torch_clipping`) and nothing has changed the gradient since: what comes in between, as another
backward pass does, makes it another gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import ref

import torch

from onlooker.inside.torch_kinds import is_recorded

from .torch_clipping import listen

Tensors = dict[str, Any]


class StepWatch:
    """Calls functions before and after each step of some optimizers, until `undo`.

    They get tensors as they are, which may want gradients: to detach each would cost as much as all else here.

    Args:
        names: the weights' names by the identity of their parameter.
        optimizers: which are watched.
        before: gets the weights that are about to be changed, and gradients; with a closure the weights come first.
        clipping: gets gradients before they are clipped; or None.
        clipped: gets them right before the step, where nothing else has changed them since; or None.
        after: gets the weights that were changed.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        optimizers: Iterable[torch.optim.Optimizer],
        before: Callable[[Tensors, Tensors], None],
        after: Callable[[Tensors], None],
        clipping: Callable[[Tensors], None] | None,
        clipped: Callable[[Tensors], None] | None,
    ) -> None:
        self._names = names
        self._before, self._after, self._clipping, self._clipped = before, after, clipping, clipped
        self._told: dict[int, tuple[Any, int]] = {}  # of clipped ones: gradient and version
        self._undo: list[Callable[[], None]] = [] if clipping is None else [listen(self._is_clipping)]
        for optimizer in optimizers:
            optimizer = _innermost(optimizer)
            self._undo.append(optimizer.register_step_pre_hook(self._is_stepping).remove)
            self._undo.append(optimizer.register_step_post_hook(self._has_stepped).remove)

    def undo(self) -> None:
        """Leave the optimizers, and PyTorch, as they were."""
        while self._undo:
            self._undo.pop()()

    def _is_clipping(self, parameters: list[torch.Tensor]) -> Callable[[], None]:
        ours = [one for one in parameters if id(one) in self._names and one.grad is not None]
        if self._clipping is not None and (new := [one for one in ours if not self._is_told(one)]):
            self._clipping(self._gradients({self._names[id(one)]: one for one in new}))

        def are_clipped() -> None:
            for one in ours:
                if one.grad is not None:
                    self._told[id(one)] = ref(one.grad), one.grad._version

        return are_clipped

    def _is_told(self, parameter: torch.Tensor) -> bool:
        """Say whether a gradient was told of before it was clipped, and has not been changed since."""
        told, version = self._told.get(id(parameter), (None, 0))
        gradient = parameter.grad
        return told is not None and gradient is not None and told() is gradient and gradient._version == version

    def _is_stepping(self, optimizer: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if is_recorded():  # of a step that is compiled nothing may be left to be looked at
            return None
        own = self._of(optimizer)
        closure = named.get("closure", given[1] if len(given) > 1 else None)
        if not callable(closure):
            self._tell(optimizer, own, own)
            return None
        self._before(own, {})
        has_told = False

        def watched() -> Any:
            nonlocal has_told
            loss = closure()
            if not has_told:  # those that come later are for weights that have moved already
                has_told = True
                self._tell(optimizer, own, {})
            return loss

        if "closure" in named:
            return given, {**named, "closure": watched}
        return (given[0], watched, *given[2:]), named

    def _tell(self, optimizer: Any, own: Tensors, weights: Tensors) -> None:
        told = {name: one for name, one in own.items() if self._is_told(one)} if self._told else {}
        new = {name: one for name, one in own.items() if name not in told} if told else own
        gradients = self._gradients(new, getattr(optimizer, "grad_scale", None))
        if weights or gradients:
            self._before(weights, gradients)
        if self._clipped is not None and told:
            self._clipped(self._gradients(told))

    def _has_stepped(self, optimizer: Any, *_: Any) -> None:
        if is_recorded():
            return
        own = self._of(optimizer)
        if self._told:
            for one in own.values():
                self._told.pop(id(one), None)
        self._after(own)

    def _of(self, optimizer: Any) -> Tensors:
        names = self._names
        return {names[id(one)]: one for group in optimizer.param_groups for one in group["params"] if id(one) in names}

    def _gradients(self, parameters: Tensors, scale: Any = None) -> Tensors:
        """Return gradients by name; a scale that a fused optimizer takes away itself is taken away."""
        gradients = {name: one.grad for name, one in parameters.items()}
        gradients = {name: gradient for name, gradient in gradients.items() if gradient is not None}
        if scale is not None:
            gradients = {name: gradient / scale for name, gradient in gradients.items()}
        return gradients


def _innermost(optimizer: Any) -> Any:
    """Return the optimizer that steps from within those that only pass the call on."""
    while isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = optimizer.optimizer
    return optimizer
