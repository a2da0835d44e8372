"""Watches the steps of PyTorch's optimizers, each with the weights that it is for.

Owns when a gradient is as it should be looked at: all of it there, unscaled, and not clipped yet. That is right before
the step, or before the clipping where that is seen (`torch_clipping`), or, where `step` is given a closure, when that
has been called for the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from .torch_clipping import listen

Tensors = dict[str, Any]


class StepWatch:
    """Calls functions before and after each step of some optimizers, until `undo`.

    Args:
        names: the weights' names by the identity of their parameter.
        optimizers: which are watched.
        before: gets the weights that are about to be changed, and their gradients.
        clipped: gets those of the gradients that have been clipped since, right before the step; or None.
        after: gets the weights that were changed.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        optimizers: Iterable[torch.optim.Optimizer],
        before: Callable[[Tensors, Tensors], None],
        after: Callable[[Tensors], None],
        clipped: Callable[[Tensors], None] | None,
    ) -> None:
        self._names = names
        self._before, self._after, self._clipped = before, after, clipped
        self._seen: set[int] = set()  # parameters whose gradients were told of before they were clipped
        self._undo: list[Callable[[], None]] = [listen(self._is_clipping)]
        for optimizer in optimizers:
            optimizer = _innermost(optimizer)
            self._undo.append(optimizer.register_step_pre_hook(self._is_stepping).remove)
            self._undo.append(optimizer.register_step_post_hook(self._has_stepped).remove)

    def undo(self) -> None:
        """Leave the optimizers, and PyTorch, as they were."""
        while self._undo:
            self._undo.pop()()

    def _is_clipping(self, parameters: list[torch.Tensor]) -> None:
        ours = [one for one in parameters if id(one) in self._names and id(one) not in self._seen]
        if ours:
            self._seen.update(map(id, ours))
            self._before(*self._named(ours, None))

    def _is_stepping(self, optimizer: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        closure = named.get("closure", given[1] if len(given) > 1 else None)
        if not callable(closure):
            self._tell(optimizer)
            return None
        has_told = False

        def watched() -> Any:
            nonlocal has_told
            loss = closure()
            if not has_told:  # those that come later are for weights that have moved already
                has_told = True
                self._tell(optimizer)
            return loss

        if "closure" in named:
            return given, {**named, "closure": watched}
        return (given[0], watched, *given[2:]), named

    def _tell(self, optimizer: Any) -> None:
        own = self._of(optimizer)
        if new := [one for one in own if id(one) not in self._seen]:
            self._before(*self._named(new, getattr(optimizer, "grad_scale", None)))
        if self._clipped is not None and (seen := [one for one in own if id(one) in self._seen]):
            self._clipped(self._named(seen, None)[1])

    def _has_stepped(self, optimizer: Any, *_: Any) -> None:
        own = self._of(optimizer)
        self._seen.difference_update(map(id, own))
        self._after({self._names[id(one)]: one.detach() for one in own})

    def _of(self, optimizer: Any) -> list[torch.Tensor]:
        return [one for group in optimizer.param_groups for one in group["params"] if id(one) in self._names]

    def _named(self, parameters: list[torch.Tensor], scale: Any) -> tuple[Tensors, Tensors]:
        """Return weights and gradients by name; a scale that a fused optimizer takes away itself is taken away."""
        weights = {self._names[id(one)]: one.detach() for one in parameters}
        gradients = {self._names[id(one)]: one.grad.detach() for one in parameters if one.grad is not None}
        if scale is not None:
            gradients = {name: gradient / scale for name, gradient in gradients.items()}
        return weights, gradients


def _innermost(optimizer: Any) -> Any:
    """Return the optimizer that steps from within those that only pass the call on."""
    while isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = optimizer.optimizer
    return optimizer
