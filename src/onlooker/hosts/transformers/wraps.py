"""`Wraps`: the methods of one trainer that are wrapped on the instance, where its events do not tell enough.

Owns which methods are wrapped and for how long; what follows from it for the callbacks is the adapters' business. Two
of them stay wrapped as long as the trainer is there, since nothing tells when a training or an evaluation is about to
begin: `_inner_training_loop` and `evaluation_loop`. The others are put back as a training or a stage ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import transformers

from onlooker.core.errors import AttachError

from . import checkpoint

if TYPE_CHECKING:
    from .adapter import TransformersAdapter

_ATTRIBUTE = "_onlooker_wraps"


class Wraps:
    """The wrapped methods of a trainer. All adapters in it share them, and are told in their order.

    Args:
        trainer: the `transformers.Trainer`.

    Attributes:
        trainer: the same.
        adapters: who is told.
        resumed_from: the checkpoint from which the training under way goes on, or None.
        is_in_step: whether the trainer is in a training step: what is logged there is the user's.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.adapters: list[TransformersAdapter] = []
        self.resumed_from: str | None = None
        self.is_in_step = False
        self._originals: dict[str, Callable[..., Any]] = {}
        self._told: list[list[TransformersAdapter]] = []  # of each evaluation under way, who follows it
        self._wrap("_inner_training_loop", self._train)
        self._wrap("evaluation_loop", self._evaluate)

    @staticmethod
    def of(trainer: Any) -> Wraps:
        """Return those of a trainer; they are made when they are first asked for."""
        wraps: Wraps | None = trainer.__dict__.get(_ATTRIBUTE)
        if wraps is None:
            wraps = trainer.__dict__[_ATTRIBUTE] = Wraps(trainer)
        return wraps

    @staticmethod
    def of_caller(adapter: TransformersAdapter) -> Wraps:
        """Return those of the trainer that calls an adapter now, which is told from here on.

        The trainer is not among what callbacks are given, but it is among the callers.

        Raises:
            AttachError: there is none.
        """
        frame = sys._getframe(1)
        while frame.f_back is not None:
            frame = frame.f_back
            trainer = frame.f_locals.get("self")
            if isinstance(trainer, transformers.Trainer) and _is_in(adapter, trainer.callback_handler.callbacks):
                wraps = Wraps.of(trainer)
                if not _is_in(adapter, wraps.adapters):
                    wraps.adapters.append(adapter)
                return wraps
        raise AttachError("for_transformers(...) needs a transformers.Trainer, and this one calls it from no trainer")

    def follow_training(self, has_batches: bool) -> None:
        """Wrap what is needed while the trainer trains.

        Args:
            has_batches: whether anybody wants to hear of batches or their values.
        """
        if has_batches:
            self._wrap("training_step", self._step)
        self._wrap("_maybe_log_save_evaluate", self._log_save_evaluate)
        self._wrap("_save_checkpoint", self._save)

    def unfollow_training(self) -> None:
        """Put back what was wrapped for a training."""
        for name in ("training_step", "_maybe_log_save_evaluate", "_save_checkpoint"):
            self._unwrap(name)

    # What stands in the place of the trainer's methods.

    def _train(self, *given: Any, **named: Any) -> Any:
        self.resumed_from = named.get("resume_from_checkpoint")
        try:
            return self._originals["_inner_training_loop"](*given, **named)
        except BaseException as error:
            self._cut_off(error, self.adapters)
            raise
        finally:
            self.resumed_from = None
            for adapter in self._still_there():
                adapter.leave_training()
            self.unfollow_training()

    def _step(self, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        adapters = self._still_there()
        try:
            for adapter in adapters:
                adapter.begin_batch(inputs)
            self.is_in_step = True
            try:
                loss = self._originals["training_step"](model, inputs, *given, **named)
            finally:
                self.is_in_step = False
            items = named.get("num_items_in_batch", given[0] if given else None)
            for adapter in adapters:
                adapter.log_loss(loss, inputs, items)
        except BaseException as error:
            self._cut_off(error, adapters)
            raise
        return loss

    def _log_save_evaluate(self, *given: Any, **named: Any) -> Any:
        try:
            returned = self._originals["_maybe_log_save_evaluate"](*given, **named)
            for adapter in self._still_there():
                adapter.end_boundary()
        except BaseException as error:
            self._cut_off(error, self.adapters)
            raise
        return returned

    def _save(self, *given: Any, **named: Any) -> Any:
        """An epoch that is over ends before its checkpoint is written, so that the checkpoint knows it."""
        adapters = self._still_there()
        for adapter in adapters:
            adapter.end_epoch()
        returned = self._originals["_save_checkpoint"](*given, **named)
        if not self.trainer.args.save_only_model:
            trial = named.get("trial", given[1] if len(given) > 1 else None)
            folder = f"{self.trainer._get_output_dir(trial=trial)}/checkpoint-{self.trainer.state.global_step}"
            self.save_states(folder)
        return returned

    def _evaluate(self, dataloader: Any, description: str, *given: Any, **named: Any) -> Any:
        stage = "predict" if description == "Prediction" else "test"
        prefix = str(named.get("metric_key_prefix", given[2] if len(given) > 2 else "eval"))
        is_silent = any(adapter.follower.is_in_hook for adapter in self._still_there())
        told: list[TransformersAdapter] = []
        self._told.append(told)
        with ExitStack() as kept:
            try:
                for adapter in self._still_there():
                    if adapter.follower.is_in_hook:  # a callback of ours evaluates: nothing must show of it
                        kept.enter_context(adapter.follower.run.observing())
                    elif (
                        not is_silent
                        and adapter.takes_part_in(self.trainer)
                        and adapter.stages.begin(stage, dataloader, prefix)
                    ):
                        told.append(adapter)
                if told:
                    self._wrap("prediction_step", self._predict)
                output = self._originals["evaluation_loop"](dataloader, description, *given, **named)
                for adapter in told:
                    adapter.stages.end(stage, prefix, output.metrics)
                return output
            except BaseException as error:
                for adapter in told:
                    adapter.stages.fail(error)
                raise
            finally:
                self._told.pop()
                for adapter in told:
                    adapter.stages.leave()
                if not any(self._told):
                    self._unwrap("prediction_step")

    def _predict(self, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        told = self._told[-1] if self._told else []
        for adapter in told:
            adapter.stages.begin_batch(inputs)
        returned = self._originals["prediction_step"](model, inputs, *given, **named)
        for adapter in told:
            adapter.stages.end_batch(returned[0], returned[1])
        return returned

    def save_states(self, folder: str) -> None:
        """Write what each adapter remembers into the folder of a checkpoint."""
        for number, adapter in enumerate(self._still_there()):
            if adapter.follower.is_live:
                name = checkpoint.file_name(number, self.trainer.args.process_index)
                checkpoint.write(folder, name, adapter.state_dict())

    def number_of(self, adapter: TransformersAdapter) -> int:
        """Return which of the adapters in the trainer one is, from 0."""
        return next(number for number, one in enumerate(self._still_there()) if one is adapter)

    # Wrapping.

    def _still_there(self) -> list[TransformersAdapter]:
        """Return the adapters that nobody has taken out of the trainer, in the trainer's order."""
        present = self.trainer.callback_handler.callbacks
        self.adapters = [one for one in present if _is_in(one, self.adapters)]
        return self.adapters

    def _cut_off(self, error: BaseException, adapters: list[TransformersAdapter]) -> None:
        for adapter in adapters:
            adapter.follower.cut_off(error)

    def _wrap(self, name: str, replacement: Callable[..., Any]) -> None:
        if name not in self._originals and hasattr(self.trainer, name):
            self._originals[name] = getattr(self.trainer, name)
            self.trainer.__dict__[name] = replacement

    def _unwrap(self, name: str) -> None:
        original = self._originals.get(name)
        found = self.trainer.__dict__.get(name)
        if original is None or getattr(found, "__self__", None) is not self:
            return  # somebody has wrapped ours in turn: then it stays, and passes on
        del self._originals[name]
        if getattr(original, "__func__", None) is getattr(type(self.trainer), name, None):
            del self.trainer.__dict__[name]
        else:
            self.trainer.__dict__[name] = original


def _is_in(thing: object, things: Iterable[object]) -> bool:
    return any(thing is one for one in things)
