"""`Run`: one training from begin to end, as callbacks see it: where it stands, and what may be asked of it.

Owns the position, the wish to stop and the outcome. It is moved by `Scopes`; what is asked of the model goes to the
view.
"""

from __future__ import annotations

import time

from .caller import find_caller
from .declaration import Declaration
from .position import Position
from .run_arguments import check_factor, check_learning_rate, check_pattern, check_record
from .view import ModelView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any

    from .origin import Kept
    from .record import Record
    from .view import Look

ALONE = Declaration("Dispatcher", use="Dispatcher(callbacks)")
"""The host of a dispatcher that nobody gave a run."""


class Run(Position):
    """Where a training stands, and what may be asked of it. Callbacks find it as `self.run`.

    Attributes:
        model: the user's own model object, or a dict of several.
        params: Keras' dict: `epochs`, `steps` (None where unknown), `verbose`.
        host: the `Declaration` of whoever owns the loop.
        view: the look at the model.
        epoch: index of the epoch at hand, from 0; after it, of the last one; None before the first.
        batch: index of the batch at hand, from 0 in each epoch; None between batches.
        batch_count: how many batches the test or predict stage begun last will have; None where that is unknown. Of the
            train batches, `params["steps"]` says it.
        step: in how many train batches of this run an optimizer has stepped.
        is_epoch_complete: whether the epoch came to its end. False while it is under way, and in an `on_epoch_end` that
            comes because the epoch was cut off in its middle, by an error, Ctrl-C, or leaving the loop from a batch.
        stage: `"train"`, `"test"`, `"predict"`, or None outside.
        outcome: None while it runs, then `"completed"`, `"stopped"`, `"interrupted"` or `"failed"`.
        reason: why it ended so; `""` where it completed.
        stopped_by: the class name of the callback whose hook, or other method, asked to stop, or None.
        first_epoch: with which the training begins; a callback may still change it in `on_train_begin`.
        is_resumed: whether it goes on from a saved one.
        is_live: whether it is under way.
        is_training: whether it is between the begin and the end of a training.
        data: what the loader yielded for the batch at hand.
        outputs: the model's outputs for the batch at hand, where the host has them.
        native_logs: what a foreign trainer has logged last, under its own names; empty where it has none.
        sinks: whoever keeps records.
        replay: what the host shall run once more when the batch at hand is over, where it can; a callback asks for it.
        replayed: the batch that is run once more at the moment, or None.
        step_states: what else a step depends on, the host's or yours, such as a gradient scaler; each with `state_dict`
            and `load_state_dict`. It is put back where batches are run once more.
    """

    def __init__(
        self,
        model: Any = None,
        *,
        view: ModelView | None = None,
        host: Declaration = ALONE,
        params: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.view = ModelView(model) if view is None else view
        self.host = host
        self.params: dict[str, Any] = {} if params is None else params
        self.epoch: int | None = None
        self.batch = None
        self.batch_count: int | None = None
        self.step = 0
        self.stage = None
        self.outcome: str | None = None
        self.reason = ""
        self.stopped_by: str | None = None
        self.is_stop_requested = False
        self.is_epoch_complete = True
        self.first_epoch = 0
        self.is_resumed = False
        self.is_live = self.is_training = False
        self.data = None
        self.outputs = None
        self.native_logs: dict[str, Any] = {}
        self.sinks: list[Callable[[Record], None]] = []
        self.callbacks: tuple[Any, ...] = ()
        self.replay = None
        self.replayed: Kept | None = None
        self.step_states: list[Any] = []
        self.clock: Callable[[], float] = time.monotonic
        self.begun_at_s = self.clock()
        self.step_at_epoch_begin = 0
        self.step_at_batch_begin = 0
        self.save_extra: Callable[[], dict[str, Any]] = dict

    def __repr__(self) -> str:
        return f"Run({self.host.name}, {self.where()}, step {self.step}, outcome={self.outcome})"

    def where(self) -> str:
        """Say where the run stands, for messages: `"epoch 3, batch 12"`."""
        parts = [] if self.epoch is None else [f"epoch {self.epoch}"]
        if self.stage in ("test", "predict"):
            parts.append(self.stage)
        if self.batch is not None:
            parts.append(f"batch {self.batch}")
        return ", ".join(parts) or "before the first epoch"

    @property
    def inputs(self) -> Any:
        """The inputs of the batch at hand: the first of what the loader yielded, or all of it where it is no pair."""
        data = self.data
        return data[0] if isinstance(data, tuple | list) and data else data

    @property
    def targets(self) -> Any:
        """The targets of the batch at hand: the second of what the loader yielded; None where there is no second."""
        data = self.data
        return data[1] if isinstance(data, tuple | list) and len(data) > 1 else None

    @property
    def rank(self) -> int:
        """Which of the processes that train together this one is, from 0."""
        return self.view.process_rank()

    @property
    def world_size(self) -> int:
        """How many processes train together; 1 where it is this one alone."""
        return self.view.process_count()

    def stop(self, reason: str = "") -> None:
        """Ask for the training to end at the next boundary: a flag, not an exception. The first reason stays.

        In the hooks that close a training it is too late, and nothing changes.

        Args:
            reason: why, for `run.reason` and the summary.
        """
        is_too_late = self.is_training and self.outcome is not None
        if self.is_stop_requested or is_too_late:
            return
        self.is_stop_requested = True
        caller = find_caller(self)
        self.stopped_by = None if caller is None else type(caller).__name__
        self.reason = reason or (f"stopped by {self.stopped_by}" if self.stopped_by else "stopped")

    @property
    def learning_rate(self) -> float | dict[str, float]:
        """The optimizer's learning rate; where several differ, all by name. Set it to a number, or to a dict by name.

        Raises:
            AbsentError: the host or the optimizer has none that can be read or set.
            TypeError: what was given is no number.
            ValueError: it is not finite or below 0; or one number was given, but the rates differ: give a dict, or use
                `scale_learning_rate`.
        """
        return self.view.get_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: float | dict[str, float]) -> None:
        check_learning_rate(value)
        self.view.set_learning_rate(value)

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply every learning rate by a factor: a finite number of at least 0."""
        check_factor(factor)
        self.view.scale_learning_rate(factor)

    def weights(self, pattern: str | None = None, *, numpy: bool = False, copy: bool = False) -> dict[str, Any]:
        """Return the weights by name, as they are on their device: to keep one, copy it.

        Args:
            pattern: a shell pattern on names, for example `"encoder.*"`; None for all.
            numpy: whether to return NumPy arrays. Of what lies in the CPU's memory they share it, where NumPy knows the
                type; bfloat16 and float8 become float32. What is on a device is fetched. Those of JAX are read-only;
                sparse and quantised weights become dense; of PyTorch's sharded ones it is the part in this process.
            copy: whether to return copies, which stay as they are when the training goes on. NumPy's may be written to.

        Raises:
            AbsentError: the host cannot give them.
            LookError: NumPy cannot have one, such as a weight without memory (device `meta`); the message names it.
            TypeError: the pattern is none.

        Example:
            >>> import onlooker as ol, torch
            >>> run = ol.Loop(torch.nn.Linear(3, 2)).run
            >>> {name: one.shape for name, one in run.weights("b*", numpy=True, copy=True).items()}
            {'bias': (2,)}
        """
        check_pattern("weights", pattern)
        found = self.view.weights(pattern)
        return self.view.handed_out(found, numpy, copy) if numpy or copy else found

    def gradients(self, pattern: str | None = None, *, numpy: bool = False, copy: bool = False) -> dict[str, Any]:
        """Return the gradients by the name of their weight, as they stand; weights without one are left out.

        The arguments, and what is raised, are those of `weights`.
        """
        check_pattern("gradients", pattern)
        found = self.view.gradients(pattern)
        return self.view.handed_out(found, numpy, copy) if numpy or copy else found

    def look(self) -> Look:
        """Return what tensors of this run's kind are given to, to be told together what they look like.

        Raises:
            AbsentError: there are no tensors that could be looked into.

        Example:
            ```python
            look = self.run.look()
            for name, gradient in self.run.gradients("encoder.*").items():
                look.add(name, gradient)  # waits for no device
            summaries = look.fetch()  # one transfer
            ```
        """
        return self.view.look()

    def save(self, path: Any) -> None:
        """Write the model, the optimizer, the random states, the position and the callbacks' states to a file.

        The file appears whole or not at all. What can be done with it is the host's: `Loop(resume=path)` goes on. The
        callbacks' states are those of the moment, so a callback that saves belongs at the end of the list: those after
        it have not had the hook yet.
        """
        self.view.save(str(path), self.save_extra())

    def load(self, path: Any) -> None:
        """Put the model and the optimizer back to what `save` wrote; position and callbacks stay as they are."""
        self.view.load(str(path))

    def record(self, record: Record) -> None:
        """Hand a record to every sink. Where and when it was made is filled in if it does not say.

        Raises:
            TypeError: it is none: `Scalars`, `Picture`, `Summaries` and `Alert` are.
        """
        check_record(record)
        if record.step is None:
            record.step = self.step
        if record.epoch is None:
            record.epoch = self.epoch
        for keep in self.sinks:
            keep(record)

    def observing(self, seed: int | None = None, gradients: bool = False) -> AbstractContextManager[None]:
        """Return a context in which the model may be used freely, and after which all is as it was.

        Within, modules are in evaluation mode and gradients are off. Afterwards random states, modes, buffers and
        gradients are what they were before.

        Args:
            seed: seeds every random state within, so that the same is drawn each time; None leaves them.
            gradients: whether gradients may be computed within; they are thrown away.

        Example:
            ```python
            with self.run.observing(seed=0):
                images = self.model(noise)
            ```
        """
        return self.view.observing(seed, gradients)

    def step_at_begin(self, scope: str) -> int:
        """Return the step at which the batch or epoch at hand began."""
        if scope == "epoch":
            return self.step_at_epoch_begin
        return self.step_at_batch_begin if scope == "train_batch" else self.step

    def conclude(self, error: BaseException | None, is_complete: bool) -> None:
        """Say how the training ends, before its last hooks are called.

        Args:
            error: what ended it, or None.
            is_complete: whether it came to its end, had nobody asked it to stop.
        """
        if error is not None and not isinstance(error, GeneratorExit):
            self.outcome = "failed" if isinstance(error, Exception) else "interrupted"
            self.reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        elif self.is_stop_requested:
            self.outcome = "stopped"
        elif is_complete:
            self.outcome = "completed"
        else:
            self.outcome, self.reason = "stopped", "the loop was left before its end"

    def reset(self) -> None:
        """Forget how the last training ended and begin a new one."""
        self.epoch = self.batch = self.stage = self.outcome = self.stopped_by = None
        self.reason = ""
        self.is_stop_requested = self.is_resumed = False
        self.first_epoch = self.step = 0
        self.native_logs = {}
