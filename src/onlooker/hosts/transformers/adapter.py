"""`for_transformers`: callbacks of Onlooker's in a `transformers.Trainer`.

Owns what the trainer's events mean for the run of a training. Which of its methods are wrapped is in `wraps`,
evaluations and predictions are in `stages`, what a loss is over in `step_loss`, resuming in `checkpoint`.
"""

from __future__ import annotations

import sys
from typing import Any

import transformers

from onlooker.core.errors import AttachError
from onlooker.core.run import Run
from onlooker.core.state import load_states
from onlooker.hosts.adapter import Adapter, why_asked
from onlooker.hosts.declared.transformers import TRANSFORMERS
from onlooker.hosts.follower import Follower, warn_of_number
from onlooker.views.transformers import TransformersView

from . import checkpoint
from .stages import Stages
from .step_loss import inputs_and_targets, length_of, loss_of_batch, numbers_in
from .wraps import Wraps

_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_epoch_end", "on_train_end")
"""Who listens to one of these wants to hear of batches, or of the means over them."""

_NO_VALUES = ("epoch", "num_input_tokens_seen")
"""What the trainer adds to whatever is logged."""


def for_transformers(*callbacks: Any) -> TransformersAdapter:
    """Return what runs callbacks of Onlooker's in a `transformers.Trainer`, for its `callbacks=[...]`.

    It may stand beside the trainer's own callbacks, and several may be in one trainer.

    Args:
        *callbacks: each derived from `onlooker.Callback`.

    Raises:
        AttachError: one is no callback, or needs what Transformers cannot give.

    Example:
        ```python
        trainer = transformers.Trainer(model, args, train_dataset=data, callbacks=[ol.for_transformers(Watch())])
        trainer.train()
        ```
    """
    # A class of its own for each: of two of one class in a trainer, Transformers warns that there is already one.
    kind: type[TransformersAdapter] = type("TransformersAdapter", (TransformersAdapter,), {})
    return kind(callbacks)


class TransformersAdapter(Adapter, transformers.TrainerCallback):  # type: ignore[misc]  # its types are not read
    """A callback of the trainer's that moves the run of ours.

    It takes part in `train`, `evaluate` and `predict`, and writes the callbacks' states into the trainer's checkpoints.

    Args:
        callbacks: those of ours, in their order.

    Attributes:
        follower: what follows the trainer.
        stages: the evaluations and predictions.
        trainer: the trainer in which it was last used.
        view: the look at its model.
    """

    view: TransformersView

    def __init__(self, callbacks: Any) -> None:
        self.follower = Follower(callbacks, TRANSFORMERS)
        self.stages = Stages(self)
        self.trainer: Any = None
        self._wants_outputs = any("outputs" in callback.needs for callback in self.follower.callbacks)
        self._warned: set[str] = set()
        self._is_epoch_over = False
        self._resumption = checkpoint.Resumption()
        self._next_epoch = self._next_batch = 0

    # The trainer's events.

    def on_init_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Find the trainer, and have it tell what its events do not."""
        self._find_trainer()

    def on_train_begin(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Begin a run."""
        if self.follower.is_in_hook:
            raise AttachError("for_transformers(...) is in a training that is under way; make another for a second one")
        wraps = self._find_trainer()
        steps = length_of(named.get("train_dataloader"))
        epochs = None if state.num_train_epochs == sys.maxsize else state.num_train_epochs
        resumption = self._resumption = checkpoint.Resumption.of(self, wraps, steps)
        if resumption.state is not None:
            self.follower.load_state_dict(resumption.state)
        run = self.start({"epochs": epochs, "steps": steps})
        run.step, run.first_epoch = state.global_step, resumption.first_epoch
        self._next_epoch, self._next_batch, self._is_epoch_over = resumption.first_epoch, 0, False
        rates = self.view.rates()
        self.follower.open("train")
        wraps.follow_training(any(map(self.follower.listens, _BATCH_HOOKS)))
        if resumption.state is not None:
            self.view.held = dict(resumption.state.get("held", {}))
            self.view.put_rates(rates)  # what on_train_begin has set, it had set the first time too
        if resumption.has_lost_end:
            self._open_epoch()
            self._is_epoch_over = True
            self.end_epoch()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Begin an epoch, unless an evaluation before its first batch has begun it."""
        self.end_epoch()
        self._open_epoch()

    def on_substep_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """End a batch after which the optimizer does not step. Several processes agree only where it does."""
        self._end_batch(state, control)
        if self._is_training() and self.follower.run.world_size == 1 and self.follower.is_stopping():
            control.should_training_stop = True

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Remember the gradients for those who listen: the trainer lets go of them before the step ends."""
        if self._is_training() and self.follower.listens("on_train_batch_end"):
            self.view.keep_gradients()

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """End a batch after which the optimizer has stepped."""
        if self._is_training():
            self.view.hold_rates()
        self._end_batch(state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Hold the end of the epoch back until its evaluation is over."""
        self._is_epoch_over = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **named: Any) -> None:
        """Keep what was logged under the trainer's names; in a step it is the user who logs: a value of the batch."""
        if not self.follower.is_live or not logs:
            return
        self.follower.run.native_logs.update(logs)
        if self.trainer is not None and Wraps.of(self.trainer).is_in_step:
            own = {name: value for name, value in logs.items() if name not in _NO_VALUES}
            self.follower.log(self.numbers_in(own))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **named: Any) -> None:
        """Keep the metrics of an evaluation under the trainer's names."""
        if self.follower.is_live:
            self.follower.run.native_logs.update(metrics or {})

    def on_train_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """End the run."""
        self._end_training()

    # What the wrapped methods tell.

    def begin_batch(self, inputs: Any) -> None:
        """Begin a train batch: the trainer is about to compute its loss."""
        follower = self.follower
        if not self._is_training():
            return
        if follower.scopes.innermost != "epoch":  # an evaluation was broken off, and somebody has swallowed its error
            follower.scopes.close_to("epoch")
        follower.begin_batch("train_batch", self._next_batch, inputs_and_targets(self.trainer, inputs))
        self._next_batch += 1

    def log_loss(self, loss: Any, inputs: Any, items: Any) -> None:
        """Take the loss of the train batch at hand."""
        if self._is_training():
            self.follower.run.outputs = self.view.last_outputs
            self.follower.log({"loss": loss_of_batch(self.trainer, loss, inputs, items)})

    def end_boundary(self) -> None:
        """End an epoch whose evaluation is over, and tell the trainer to stop where one of ours wants it to."""
        if self._is_training():
            self.view.hold_rates()
            self.end_epoch()
            if self.follower.is_stopping():
                self.trainer.control.should_training_stop = True

    def end_epoch(self) -> None:
        """End the epoch if the trainer is done with it."""
        if self._is_epoch_over and self._is_training():
            self._is_epoch_over = False
            self.follower.run.step = self.trainer.state.global_step
            self.follower.close("epoch")

    def make_room_for_stage(self) -> None:
        """Begin the next epoch for an evaluation before its first batch; or end a training that is over."""
        has_trained = self._next_epoch > self.follower.run.first_epoch
        if has_trained and self.trainer.control.should_training_stop:
            self._end_training()
        else:
            self._open_epoch()

    def takes_part_in(self, trainer: Any) -> bool:
        """Say whether a stage of a trainer is for this adapter: not while it is in a run of another one."""
        if not self.follower.is_live:
            self.trainer = trainer
        return self.trainer is trainer

    def leave_training(self) -> None:
        """Let go of what belongs to a training, however it has ended."""
        if "view" in self.__dict__:
            self.view.unwatch()

    def state_dict(self) -> dict[str, Any]:
        """Return what has to be known to go on from here."""
        follower = self.follower
        state = follower.state_dict() | {"held": dict(self.view.held)}
        if "epoch" in follower.scopes.names:
            state["within"] = follower.ledger.gathered()
        return state

    # What follows from it.

    def start(self, params: dict[str, Any]) -> Run:
        """Begin a run on the trainer's model.

        Args:
            params: what is known of Keras' dict.
        """
        self._warned = set()
        self.view = TransformersView(self.trainer, Wraps.of(self.trainer).save_states)
        run = self.follower.start(self.view, params)
        run.save_extra = dict  # the states of all adapters go into files of their own
        if self._wants_outputs:
            self.view.watch_outputs()
        return run

    def numbers_in(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return those values that are numbers; of each other name there is one warning in a run."""

        def refuse(name: str, value: Any) -> None:
            if name not in self._warned:
                self._warned.add(name)
                warn_of_number(name, value)

        return numbers_in(values, refuse)

    def _is_training(self) -> bool:
        """Say whether a training of ours is under way, and it is not one of our hooks that does something now."""
        follower = self.follower
        return follower.is_live and not follower.scopes.is_in_hook and follower.run.is_training

    def _open_epoch(self) -> None:
        follower, resumption = self.follower, self._resumption
        if not self._is_training() or "epoch" in follower.scopes.names:
            return
        epoch = self._next_epoch
        self._next_epoch, self._next_batch = epoch + 1, resumption.batch_in(epoch)
        follower.open("epoch", epoch)
        within = resumption.gathered_in(epoch)
        if within is not None and resumption.state is not None:
            # The epoch was begun once before: whoever resets himself as it begins gets back what he had by then.
            follower.ledger.go_on_from(within)
            follower.run.step_at_epoch_begin = resumption.state["step"]
            load_states(follower.callbacks, resumption.state["callbacks"])

    def _end_batch(self, state: Any, control: Any) -> None:
        if not self._is_training():
            return
        wanted = control.should_log, control.should_evaluate, control.should_save
        self.follower.end_batch(state.global_step)
        self.view.kept_gradients = None
        # An evaluation that one of our hooks has started takes back what the trainer has planned after this step.
        control.should_log, control.should_evaluate, control.should_save = wanted

    def _end_training(self) -> None:
        if self._is_training():
            self.end_epoch()
            self.follower.finish(stopped=_why_stopped(self.trainer))

    def _find_trainer(self) -> Wraps:
        wraps = Wraps.of_caller(self)
        self.trainer = wraps.trainer
        self.check_alone(self.trainer.callback_handler.callbacks)
        return wraps


def _why_stopped(trainer: Any) -> str:
    """Return why the trainer itself, or another adapter, has stopped it; `""` where neither has."""
    state, callbacks = trainer.state, trainer.callback_handler.callbacks
    asked = why_asked(callback for callback in callbacks if isinstance(callback, Adapter))
    if asked:
        return asked
    if not trainer.control.should_training_stop or state.global_step >= state.max_steps:
        return ""
    for callback in callbacks:
        if isinstance(callback, transformers.EarlyStoppingCallback) and (
            callback.early_stopping_patience_counter >= callback.early_stopping_patience
        ):
            return f"EarlyStoppingCallback of the trainer's, at step {state.global_step}"
    return f"control.should_training_stop was set by the trainer or a callback of its own, at step {state.global_step}"
