"""`StepCount`: how often the optimizer has stepped, as far as it can be known without waiting for a device.

Keras' own training step steps the optimizer once a batch, and its gradient accumulation is arithmetic, so batches are
enough. Where a user has written the step, or a loss scale may skip one, the optimizer's counter has to be read.
"""

from __future__ import annotations

from typing import Any

import keras

from onlooker.views.keras import KerasView


class StepCount:
    """Counts the steps of one training.

    Args:
        view: the look at the model.

    Attributes:
        is_exact: whether batches tell everything, so that nothing has to be read.
    """

    def __init__(self, view: KerasView) -> None:
        self._view = view
        self._optimizers = [getattr(one, "inner_optimizer", one) for one in view.optimizers().values()]
        self.is_exact = self._is_exact(view.model)
        self._every = 1
        self._count_before = 0
        self._batches = 0
        if self.is_exact and self._optimizers:
            self._every = self._optimizers[0].gradient_accumulation_steps or 1
            self._count_before = _number(getattr(self._optimizers[0], "_iterations", 0))
        self._seen = [] if self.is_exact else self._read()
        self._unseen_batches = 0

    def add(self, batches: int, may_read: bool) -> int:
        """Return how many steps the batches just trained have brought.

        Args:
            batches: how many there were.
            may_read: whether the optimizer's counter may be read now, where it must be; else it is done the next time.
        """
        if not self._optimizers:
            return 0
        if self.is_exact:
            before = (self._count_before + self._batches) // self._every
            self._batches += batches
            return (self._count_before + self._batches) // self._every - before
        self._unseen_batches += batches
        return self.catch_up() if may_read else 0

    def catch_up(self) -> int:
        """Return how many steps the batches have brought that were not looked at yet."""
        if self.is_exact or not self._unseen_batches:
            return 0
        now = self._read()
        # An optimizer may step several times a batch; a batch in which any has stepped counts as one.
        steps = max((after - before for before, after in zip(self._seen, now, strict=True)), default=0)
        made = max(0, min(self._unseen_batches, steps))
        self._seen, self._unseen_batches = now, 0
        return made

    def _read(self) -> list[int]:
        self._view.sync()
        return [_number(optimizer.iterations) for optimizer in self._optimizers]

    def _is_exact(self, model: Any) -> bool:
        is_keras_own = type(model).train_step.__module__.partition(".")[0] == "keras" and "train_step" not in vars(
            model
        )
        scales = any(isinstance(one, keras.optimizers.LossScaleOptimizer) for one in self._view.optimizers().values())
        return is_keras_own and not scales and bool(model.trainable_weights) and len(self._optimizers) <= 1


def _number(variable: Any) -> int:
    return int(keras.ops.convert_to_numpy(variable))
