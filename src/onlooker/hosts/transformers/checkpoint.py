"""Where a resumed training stands, and what a checkpoint of the trainer's holds of ours.

Transformers goes on in the middle of an epoch, at the update after the last one; so what the epoch has gathered by then
is kept too. One file for each adapter and each process lies in the folder of the checkpoint, beside the trainer's own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from onlooker.core.atomic_file import AtomicFile
from onlooker.core.errors import warn
from onlooker.views.torch_plain import pack, unpack

if TYPE_CHECKING:
    from .adapter import TransformersAdapter
    from .wraps import Wraps


class Resumption:
    """From where a training goes on.

    Attributes:
        state: what was saved of ours; None where the training does not go on from a checkpoint.
        first_epoch: the first epoch of which callbacks hear.
        has_lost_end: whether the checkpoint was written between the last batch of an epoch and its end. The trainer
            takes it for done, so its end comes at once, without an evaluation.
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None
        self.first_epoch = 0
        self.has_lost_end = False
        self._batch = 0

    @classmethod
    def of(cls, adapter: TransformersAdapter, wraps: Wraps, steps: int | None) -> Resumption:
        """Return from where a trainer goes on as its training begins, counted as it counts.

        Args:
            adapter: whose state it is.
            wraps: those of the trainer.
            steps: how many batches an epoch has; None where that is unknown.
        """
        resumption, trainer, folder = cls(), wraps.trainer, wraps.resumed_from
        if folder is None:
            return resumption
        accumulation = trainer.args.gradient_accumulation_steps
        updates = trainer.state.max_steps if steps is None else max(-(-steps // accumulation), 1)
        epoch, update = divmod(trainer.state.global_step, updates or 1)
        resumption.first_epoch = epoch
        resumption._batch = 0 if trainer.args.ignore_data_skip else update * accumulation
        name = file_name(wraps.number_of(adapter), trainer.args.process_index)
        state = resumption.state = read(folder, name) or {"next_epoch": epoch, "step": 0, "callbacks": {}}
        if "within" in state and state["next_epoch"] < epoch:
            resumption.first_epoch, resumption.has_lost_end = state["next_epoch"], True
        return resumption

    def batch_in(self, epoch: int) -> int:
        """Return the first batch of an epoch: not 0 where the trainer goes on in its middle."""
        return self._batch if epoch == self.first_epoch and not self.has_lost_end else 0

    def gathered_in(self, epoch: int) -> dict[str, Any] | None:
        """Return what an epoch had gathered before; None where it begins from its first batch."""
        is_under_way = epoch == self.first_epoch and (self._batch > 0 or self.has_lost_end)
        return self.state.get("within") if is_under_way and self.state is not None else None


def file_name(number: int, rank: int) -> str:
    """Return the name of an adapter's file, by its number among the adapters of the trainer and that of the process."""
    return f"onlooker_{number}_{rank}.pt"


def write(folder: str, name: str, state: dict[str, Any]) -> None:
    """Write a state into the folder of a checkpoint."""
    with AtomicFile(os.path.join(folder, name)) as beside:  # it makes the folder: the model may be written later
        torch.save(pack(state, "the checkpoint"), beside)


def read(folder: str, name: str) -> dict[str, Any] | None:
    """Return the state in the folder of a checkpoint, or None where there is none, with a warning where it is broken.

    Only plain data and tensors are read: such a file can run no code.
    """
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return None
    try:
        state: dict[str, Any] = unpack(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # whatever unpickling makes of bytes that are none of ours
        warn(f"{path} cannot be read ({error!r:.200}); the callbacks begin anew")
        return None
    return state
