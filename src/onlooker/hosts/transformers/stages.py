"""`Stages`: the evaluations and predictions of a trainer, as the callbacks of one adapter see them.

Within a training they are stages of its epochs, outside one they stand alone. That a callback's own ones are silent is
seen to in `wraps`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .step_loss import inputs_and_targets, length_of, our_prefix

if TYPE_CHECKING:
    from .adapter import TransformersAdapter


class Stages:
    """Opens and closes stages and their batches, as the wrapped methods of the trainer tell.

    Args:
        adapter: whose run is moved.
    """

    def __init__(self, adapter: TransformersAdapter) -> None:
        self._adapter = adapter
        self._follower = adapter.follower
        self._is_alone = self._has_loss = False
        self._next_batch = 0
        self._around: tuple[Any, Any, bool, float | None] = (None, None, False, None)

    def begin(self, stage: str, dataloader: Any, prefix: str) -> bool:
        """Begin an evaluation or a prediction; return whether it is followed.

        Args:
            stage: `"test"` or `"predict"`.
            dataloader: what it is about to go through.
            prefix: the trainer's, in front of its metrics.
        """
        adapter, follower = self._adapter, self._follower
        if follower.is_live and follower.scopes.innermost == "train":
            adapter.make_room_for_stage()
        if follower.is_live and follower.run.stage != "train":
            return False  # within another evaluation
        self._is_alone = not follower.is_live
        if self._is_alone:
            adapter.start({"steps": length_of(dataloader)})
        self._has_loss, self._next_batch = False, 0
        run, ledger = follower.run, follower.ledger
        self._around = run.data, run.outputs, ledger.is_in_batch, ledger.weight
        ledger.is_in_batch = False
        run.batch_count = length_of(dataloader)
        try:
            follower.open(stage, prefix=our_prefix(prefix))
        except BaseException:
            self.leave()
            raise
        return True

    def begin_batch(self, inputs: Any) -> None:
        """Begin a batch. A stage that stands alone and was asked to stop goes on unseen: the trainer cannot stop it."""
        follower = self._follower
        if follower.is_live and not (self._is_alone and follower.run.is_stop_requested):
            data = inputs_and_targets(self._adapter.trainer, inputs)
            follower.begin_batch(f"{follower.run.stage}_batch", self._next_batch, data)
            self._next_batch += 1

    def end_batch(self, loss: Any, outputs: Any) -> None:
        """End a batch, with what `prediction_step` has returned."""
        follower = self._follower
        if not follower.is_live or not follower.ledger.is_in_batch:
            return
        run = follower.run
        run.outputs = self._adapter.view.last_outputs if outputs is None else outputs
        if loss is not None and run.stage == "test":
            self._has_loss = True
            follower.log({"loss": loss})
        follower.end_batch()

    def end(self, stage: str, prefix: str, metrics: dict[str, Any]) -> None:
        """End the stage.

        Args:
            stage: as when it began.
            prefix: likewise.
            metrics: those that the trainer has computed over all of it, under its names.
        """
        follower = self._follower
        if not follower.is_live:
            return
        follower.run.native_logs.update(metrics)
        if stage == "test":
            own = {name.removeprefix(f"{prefix}_"): value for name, value in metrics.items()}
            own.pop("model_preparation_time", None)
            if self._has_loss and not self._is_gathered():
                own.pop("loss", None)
            follower.log_means(self._adapter.numbers_in(own))
        follower.close(stage)
        if self._is_alone:
            follower.finish()

    def _is_gathered(self) -> bool:
        """Say whether to take the trainer's own loss: it is that of all processes, but no NaN is in it."""
        follower = self._follower
        return follower.run.world_size > 1 and math.isfinite(follower.ledger._means[-1].mean()["loss"])

    def leave(self) -> None:
        """Put back what was at hand around the stage, however it has ended."""
        follower = self._follower
        if self._is_alone or not follower.is_live:
            self._adapter.view.unwatch()
        else:
            run, ledger = follower.run, follower.ledger
            run.data, run.outputs, ledger.is_in_batch, ledger.weight = self._around
        self._is_alone = False

    def fail(self, error: BaseException) -> None:
        """Close a stage that stands alone. Within a training the error ends that too, unless somebody swallows it."""
        if self._is_alone:
            self._follower.cut_off(error)
