"""`Update`: how an optimizer's step comes about: accumulation, mixed precision, clipping.

Owns the gradients between two batches, and nothing of the loop.
"""

from __future__ import annotations

import torch


class Update:
    """Turns losses into steps of an optimizer.

    Gradients are cleared when a group of batches begins, not after the step: until then callbacks can look at them.

    Args:
        model: whose gradients they are.
        optimizer: what steps.
        accumulate: over how many batches gradients are averaged before a step. A group that the end of the epoch cuts
            short is averaged over as many as it has.
        clip_norm: the largest norm of all gradients together; None for any.
        clip_value: the largest absolute value of each gradient; None for any.
        scaler: scales the loss, for float16; None where that is not needed.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        accumulate: int,
        clip_norm: float | None,
        clip_value: float | None,
        scaler: torch.amp.GradScaler | None,
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._accumulate = accumulate
        self._clip_norm = clip_norm
        self._clip_value = clip_value
        self._scaler = scaler
        self._count = 0  # the batches of the group at hand

    def begin_epoch(self) -> None:
        """Begin with an empty group: one that a stop has cut off is dropped."""
        self._count = 0

    def take(self, loss: torch.Tensor, is_last: bool) -> None:
        """Take the loss of a batch, of shape (), and step if its group is complete.

        Args:
            loss: the mean over the batch.
            is_last: whether the epoch ends with this batch.
        """
        if self._count == 0:
            self._optimizer.zero_grad()
        self._count += 1
        if self._accumulate > 1:
            loss = loss / self._accumulate
        if self._scaler is None:
            loss.backward()
        else:
            self._scaler.scale(loss).backward()
        if self._count == self._accumulate or is_last:
            self._step()
            self._count = 0

    def _step(self) -> None:
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        if self._count < self._accumulate:
            gradients = [p.grad for p in self._model.parameters() if p.grad is not None]
            torch._foreach_mul_(gradients, self._accumulate / self._count)
        if self._clip_value is not None:
            torch.nn.utils.clip_grad_value_(self._model.parameters(), self._clip_value)
        if self._clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._clip_norm)
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()
