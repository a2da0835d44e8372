"""`Update`: how an optimizer's step comes about: accumulation, mixed precision, clipping.

Owns what a loss must be and the gradients between two batches, and nothing of the loop.
"""

from __future__ import annotations

from typing import Any

import torch

from onlooker.core.callback import Callback
from onlooker.core.errors import DataError


class Update:
    """Turns losses into steps of an optimizer.

    Gradients are cleared when a group of batches begins, not after the step: until then callbacks can look at them.

    Args:
        optimizer: what steps.
        accumulate: over how many batches gradients are averaged before a step. The average is over the samples, so that
            it is that of one large batch, also where the last batch is smaller, or the end of the epoch cuts a group
            short. A group that a stop cuts off is dropped.
        clip_norm: the largest norm of all gradients together; None for any.
        clip_value: the largest absolute value of each gradient; None for any.
        scaler: scales the loss, for float16; None where that is not needed.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        accumulate: int,
        clip_norm: float | None,
        clip_value: float | None,
        scaler: torch.amp.GradScaler | None,
    ) -> None:
        self._optimizer = optimizer
        self._accumulate = accumulate
        self._clip_norm = clip_norm
        self._clip_value = clip_value
        self._scaler = scaler
        self._count = 0  # the batches of the group at hand
        self._samples = 0  # and their samples
        self._expected_samples = 0  # as many as if all batches were like the first

    def take(self, loss: torch.Tensor, samples: int = 1, is_last: bool = False) -> None:
        """Take the loss of a batch, and step if its group is complete.

        Args:
            loss: the mean over the batch, a tensor with one element.
            samples: how many there are in the batch; of no account without accumulation.
            is_last: whether the epoch ends with this batch.
        """
        if not loss.requires_grad:
            raise DataError(
                "the loss does not depend on any parameter that can learn, so there is no gradient; "
                "check requires_grad of the model's parameters, and detach() and no_grad() in the model and the loss"
            )
        if self._count == 0:
            self._optimizer.zero_grad()
            self._samples, self._expected_samples = 0, samples * self._accumulate
        self._count += 1
        self._samples += samples
        if self._accumulate > 1:
            loss = loss * (samples / self._expected_samples)
        if self._scaler is None:
            loss.backward()
        else:
            self._scaler.scale(loss).backward()
        if self._count == self._accumulate or is_last:
            self._step()
            self._count = 0

    def state_dict(self) -> dict[str, Any]:
        """Return where it stands within a group of batches, and the scaler's state; for going back in memory."""
        scaler = None if self._scaler is None else self._scaler.state_dict()
        return {"place": (self._count, self._samples, self._expected_samples), "scaler": scaler}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._count, self._samples, self._expected_samples = state["place"]
        if self._scaler is not None and state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])

    def _step(self) -> None:
        optimizer, scaler = self._optimizer, self._scaler
        if scaler is not None:
            scaler.unscale_(optimizer)
        if self._samples != self._expected_samples:
            factor = self._expected_samples / self._samples
            torch._foreach_mul_([p.grad for p in self._parameters() if p.grad is not None], factor)
        if self._clip_value is not None:
            torch.nn.utils.clip_grad_value_(self._parameters(), self._clip_value)
        if self._clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters(), self._clip_norm)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()

    def _parameters(self) -> list[torch.nn.Parameter]:
        """Return what is stepped: only of that have the gradients been unscaled."""
        return [parameter for group in self._optimizer.param_groups for parameter in group["params"]]


class ScalerState(Callback):
    """Keeps the state of a gradient scaler with the run's, so that a resumed training scales as before.

    Acts in no hook.

    Args:
        scaler: whose state it is.
    """

    def __init__(self, scaler: torch.amp.GradScaler) -> None:
        self._scaler = scaler

    def state_dict(self) -> dict[str, Any]:
        """Return the scale and how long it has been good."""
        return dict(self._scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._scaler.load_state_dict(state)


def checked_loss(value: Any) -> torch.Tensor:
    """Return what the loss function returned.

    Raises:
        DataError: it is no tensor with one element.
    """
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return value
    what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"{value!r:.60}"
    raise DataError(
        f"the loss function returned {what}; expected a tensor with one element, the mean over the batch: "
        f"for example torch.nn.MSELoss(reduction='mean')"
    )
