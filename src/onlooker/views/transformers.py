"""A look at the model that a `transformers.Trainer` trains, with the trainer's own optimizer and checkpoints.

Owns rates that hold although a schedule overwrites them, gradients that outlast the trainer's `zero_grad`, outputs
where they are asked for, and folders of `run.save` from which the trainer can resume. Transformers is not imported: all
of it is asked of the trainer.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import torch

from .torch import TorchView

STATE_FILE = "trainer_state.json"


class TransformersView(TorchView):
    """A look at what a trainer trains.

    Args:
        trainer: the `transformers.Trainer`.
        save_states: writes what Onlooker remembers into the folder of a checkpoint.

    Attributes:
        held: rates that were set and stay, by the name of their parameter group.
        kept_gradients: those of the update at hand, once the trainer has thrown them away; else None.
        last_outputs: what the model has returned last, while it is watched.
    """

    reason = "the trainer makes its optimizer when a training begins; there is none before"

    def __init__(self, trainer: Any, save_states: Callable[[str], None]) -> None:
        optimizer = trainer.optimizer
        super().__init__(trainer.model, optimizer if hasattr(optimizer, "register_step_post_hook") else None)
        self._trainer = trainer
        self._save_states = save_states
        self.held: dict[str, float] = {}
        self.kept_gradients: dict[str, Any] | None = None
        self.last_outputs: Any = None
        self._watching: Any = None

    # Gradients and outputs.

    def keep_gradients(self) -> None:
        """Remember the gradients of this update: the trainer lets go of them before the step ends."""
        self.kept_gradients = None
        self.kept_gradients = self.gradients()

    def gradients(self, pattern: str | None = None) -> dict[str, Any]:
        """Return those of the update at hand; between the micro-batches of one, what has gathered so far."""
        if self.kept_gradients is None:
            return super().gradients(pattern)
        return {name: self.kept_gradients[name] for name in self.weights(pattern) if name in self.kept_gradients}

    def watch_outputs(self) -> None:
        """Begin to take note of what the model returns."""

        def note(module: Any, given: Any, returned: Any) -> None:
            self.last_outputs = _without_loss(returned)

        if self._watching is None:
            self._watching = self.model.register_forward_hook(note)

    def unwatch(self) -> None:
        """Let go of the model and of what it has returned."""
        if self._watching is not None:
            self._watching.remove()
        self._watching = self.last_outputs = self.kept_gradients = None

    # Learning rates.

    def rates(self) -> dict[str, float]:
        """Return the rate of each parameter group by name."""
        return {name: float(group["lr"]) for name, group in self._groups()}

    def set_learning_rate(self, value: float | dict[str, float]) -> None:
        """Set the rate, or several by name. From then on it holds, whatever a schedule says."""
        super().set_learning_rate(value)
        if not self._reads_rates():
            rates = self.rates()
            self.held.update({name: rates[name] for name in (value if isinstance(value, dict) else rates)})
        self._tell_scheduler()

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply every rate: a schedule goes on from there, and rates that were set hold at the new number."""
        super().scale_learning_rate(factor)
        self.held = {name: rate * factor for name, rate in self.held.items()}
        scheduler = self._trainer.lr_scheduler
        if hasattr(scheduler, "lr_lambdas"):  # the others go on from the rate as it is
            scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
        self._tell_scheduler()

    def put_rates(self, rates: Mapping[str, float]) -> None:
        """Put the optimizer's rates back to what `rates` has returned, and those that are held over them."""
        for name, group in self._groups():
            if name in self.held or name in rates:
                rate = self.held.get(name, rates.get(name, 0.0))
                if float(group["lr"]) != rate:
                    super().set_learning_rate({name: rate})
        self._tell_scheduler()

    def hold_rates(self) -> None:
        """Put back what was set: a schedule has overwritten it."""
        if self.held:
            self.put_rates(self.held)

    def _reads_rates(self) -> bool:
        """Say whether the scheduler starts from the optimizer's rate each time, so that one that is set stays."""
        return not hasattr(self._trainer.lr_scheduler, "base_lrs")

    def _tell_scheduler(self) -> None:
        """Have the scheduler say the rates as they are: the trainer logs what it says."""
        if hasattr(self._trainer.lr_scheduler, "_last_lr"):
            self._trainer.lr_scheduler._last_lr = list(self.rates().values())

    # Saving.

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write a folder as the trainer's own checkpoints are: `train(resume_from_checkpoint=path)` goes on from it."""
        folder = os.fspath(path)
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise ValueError(f"{folder} is a file; run.save writes a folder here, as the trainer's own checkpoints are")
        if self.process_count() > 1:  # several write into it, each its own part
            self._write(folder)
            return
        beside = f"{folder}.partial"
        shutil.rmtree(beside, ignore_errors=True)
        try:
            self._write(beside)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _write(self, folder: str) -> None:
        trainer = self._trainer
        os.makedirs(folder, exist_ok=True)
        trainer.save_model(folder, _internal_call=True)
        trainer._save_optimizer_and_scheduler(folder)
        if hasattr(trainer, "_save_scaler"):
            trainer._save_scaler(folder)
        trainer._save_rng_state(folder)
        self._save_states(folder)
        if trainer.args.should_save:  # last: without it, it is no checkpoint
            exportable = [one for one in trainer.callback_handler.callbacks if _is_exportable(one)]
            state = dataclasses.replace(trainer.state, stateful_callbacks=[*exportable, trainer.control])
            state.save_to_json(os.path.join(folder, STATE_FILE))

    def load(self, path: str) -> dict[str, Any]:
        """Take back model, optimizer and random states; the schedule stays where it is, as does the position."""
        trainer, scheduler = self._trainer, self._trainer.lr_scheduler
        folder = os.fspath(path)
        if not os.path.isfile(os.path.join(folder, STATE_FILE)):
            raise ValueError(f"{folder} is no folder of run.save, and no checkpoint of the trainer's")
        trainer._load_from_checkpoint(folder, self.model)
        if trainer.optimizer is not None and scheduler is not None:
            at = scheduler.state_dict()
            trainer._load_optimizer_and_scheduler(folder)
            scheduler.load_state_dict(at)
            self.hold_rates()
        if hasattr(trainer, "_load_scaler"):
            trainer._load_scaler(folder)
        trainer._load_rng_state(folder)
        return {}


def _is_exportable(callback: Any) -> bool:
    return any(kind.__name__ == "ExportableState" for kind in type(callback).__mro__)


def _without_loss(returned: Any) -> Any:
    """Return what a model has returned, detached, as the trainer hands it on: without the loss, one alone as it is."""
    if isinstance(returned, Mapping):
        parts = [value for name, value in returned.items() if name not in ("loss", "past_key_values", "mems")]
    elif isinstance(returned, tuple | list):
        parts = [*returned[1:]]
    else:
        parts = [returned]
    parts = [part.detach() if isinstance(part, torch.Tensor) else part for part in parts]
    return parts[0] if len(parts) == 1 else tuple(parts)
