"""A look at a module of Lightning's, whose trainer has the optimizers and writes the checkpoints.

Owns what is asked of the trainer and where Lightning keeps it. There are two packages with Lightning in them; which one
is meant is seen from what is loaded, and otherwise it is the trainer itself that is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import torch

from onlooker.core.errors import AbsentError

from .torch import TorchView
from .torch_plain import pack, unpack
from .torch_random import load_random_state, random_state

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
ENTRIES = ("fit", "validate", "test", "predict")
METRIC_PARTS = ("_update_count", "_computed", "_forward_cache")
"""What an object of torchmetrics has beside its states."""


class LightningView(TorchView):
    """A look at a module under a trainer.

    Args:
        trainer: Lightning's.
        module: which it trains.
    """

    reason = "configure_optimizers has returned no optimizer"

    def __init__(self, trainer: Any, module: Any) -> None:
        optimizers = [one for one in trainer.optimizers if isinstance(one, torch.optim.Optimizer)]
        super().__init__(module, optimizers[0] if len(optimizers) == 1 else optimizers)
        self._trainer = trainer

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write a checkpoint of Lightning's. What else belongs in it, the callbacks' adapter puts there itself."""
        trainer = self._trainer
        if trainer.world_size == 1:
            trainer.save_checkpoint(path)
            return
        # The same without waiting for the other processes, which may have no callback that saves.
        trainer.strategy.save_checkpoint(trainer._checkpoint_connector.dump_checkpoint(False), path)

    def load(self, path: str) -> dict[str, Any]:
        """Take back the weights and the optimizers' states from a checkpoint of Lightning's."""
        strategy = self._trainer.strategy
        checkpoint = strategy.load_checkpoint(path)
        if not isinstance(checkpoint, dict) or "optimizer_states" not in checkpoint:
            raise ValueError(
                f"{path} was not written by run.save; load it with torch.load and the module's own methods"
            )
        strategy.load_model_state_dict(checkpoint)
        strategy.load_optimizer_state_dict(checkpoint)
        return {}

    @contextmanager
    def observing(self, seed: int | None = None, gradients: bool = False) -> Iterator[None]:
        """Keep the states of the module's torchmetrics objects, too."""
        metrics = [part for part in self.model.modules() if isinstance(getattr(part, "_defaults", None), dict)]
        kept = [
            {name: _copy(vars(metric)[name]) for name in (*metric._defaults, *METRIC_PARTS) if name in vars(metric)}
            for metric in metrics
        ]
        try:
            with super().observing(seed, gradients):
                yield
        finally:
            for metric, before in zip(metrics, kept, strict=True):
                vars(metric).update(before)

    def process_count(self) -> int:
        """Return how many processes train together."""
        return int(self._trainer.world_size)

    def process_rank(self) -> int:
        """Return which of them this one is, from 0."""
        return int(self._trainer.global_rank)

    def params(self) -> dict[str, Any]:
        """Return Keras' dict; None stands for what is not known."""
        epochs, steps = self._trainer.max_epochs, self._trainer.num_training_batches
        return {"epochs": None if epochs == -1 else epochs, "steps": None if steps == float("inf") else int(steps)}

    def batch_count(self) -> int | None:
        """Return how many batches the stage at hand has in all loaders together; None where that is not known."""
        trainer = self._trainer
        evaluated = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
        count = sum(trainer.num_predict_batches if trainer.predicting else evaluated)
        return None if count == float("inf") else int(count)

    def refuse_nested(self) -> Callable[[], None]:
        """Have the trainer refuse to begin anything while it is at work: it has one state. Return what undoes it."""
        for name in ENTRIES:
            setattr(self._trainer, name, partial(_refuse, name))

        def undo() -> None:
            for name in ENTRIES:
                vars(self._trainer).pop(name, None)

        return undo

    def end_stage(self) -> None:
        """End a stage that stands alone, for which Lightning has no flag: its loader is at its end from here on."""
        trainer = self._trainer
        fetcher = (trainer.predict_loop if trainer.predicting else trainer._evaluation_loop)._data_fetcher
        fetcher.done, fetcher.batches = True, []

    @staticmethod
    def begin_epoch_again(checkpoint: dict[str, Any]) -> None:
        """Let an epoch that had only just begun when saved begin again: Lightning would end it without a batch."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]
        for part in (progress["total"], progress["current"]):
            part["ready"] = part["started"]

    def who_stopped(self) -> str:
        """Say who of Lightning's own has stopped the training, and why; nothing where nobody has."""
        if not self._trainer.should_stop:
            return ""
        for callback in self._trainer.callbacks:
            name = type(callback).__name__
            if message := getattr(callback, "stopping_reason_message", None):
                return f"{name}: {message}"
            if getattr(callback, "stopped_epoch", 0):  # of an older version, which keeps no message
                return f"stopped by {name}"
            time_left = getattr(callback, "time_remaining", None)
            if callable(time_left) and (time_left() or 1) <= 0:
                return f"{name}: the time is up"
        return "trainer.should_stop was set to True"


class StateKey:
    """The name of an adapter's state in a checkpoint: its `own_key`, by the place among its like in the trainer.

    That is found only later than Lightning first asks, to see whether two have the same. Lightning asks again with each
    hook that it calls: then an attribute of the instance answers quicker.
    """

    def __get__(self, adapter: Any, kind: type) -> Any:
        if adapter is None:
            return self
        caller = sys._getframe(1)
        if caller.f_code.co_name != "_validate_callbacks_list":
            return adapter.own_key
        adapter.check_alone(caller.f_locals["callbacks"])
        return f"onlooker {id(adapter)}"


def callback_classes() -> tuple[type, ...]:
    """Return Lightning's class of callbacks: of each package that is loaded, else of the first that can be.

    Raises:
        ModuleNotFoundError: neither is installed.
    """
    loaded = tuple(sys.modules[name].Callback for name in PACKAGES if hasattr(sys.modules.get(name), "Callback"))
    if loaded:
        return loaded
    for name in PACKAGES:
        try:
            return (import_module(name).Callback,)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in name:
                raise
    raise ModuleNotFoundError("No module named 'lightning'", name="lightning")


def packed_state(run_state: dict[str, Any], is_alone: bool) -> dict[str, Any]:
    """Return what a checkpoint of Lightning's holds for an adapter, as plain data and tensors.

    Args:
        run_state: the position and the callbacks' states.
        is_alone: whether one process trains; the random states of several are not one.
    """
    random = {"random": random_state()} if is_alone else {}
    packed: dict[str, Any] = pack({"run": run_state, **random}, "the checkpoint")
    return packed


def unpacked_state(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what `packed_state` was given; apart from it what an epoch had gathered, if it was under way."""
    run_state: dict[str, Any] = unpack(state["run"])
    return run_state, run_state.pop("within", None)


def draw_from(state: dict[str, Any], trainer: Any) -> None:
    """Put back the random states, where there is one process only and was then."""
    if "random" in state and trainer.world_size == 1:
        load_random_state(unpack(state["random"]))


def _refuse(name: str, *given: Any, **named: Any) -> None:
    raise AbsentError(
        f"trainer.{name}() was called while this trainer is at work: Lightning keeps one state for both, and what is "
        f"under way would break; use a second Trainer, on a copy of the module: copy.deepcopy(self.model)"
    )


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return list(value) if isinstance(value, list) else value
