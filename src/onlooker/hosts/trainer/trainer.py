"""`Trainer`: `fit`, `evaluate` and `predict` for a PyTorch module.

A convenience, not another framework: who needs more writes the loop, under `Loop`. Owns the arguments and the order of
forward pass, loss and update; data are `batches`' business, the update `update`'s, and everything else `Loop`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from onlooker.arrays import batch_size as batch_size_of
from onlooker.callbacks.history import History
from onlooker.core.attach import listed
from onlooker.core.errors import LoopError
from onlooker.core.logs import Logs
from onlooker.hosts.declared.trainer import TRAINER
from onlooker.hosts.loop import Loop
from onlooker.views.torch_random import seed_all

from .arguments import check_epochs, check_functions, check_model, check_settings, check_split
from .batches import (
    Batches,
    apply,
    as_loader,
    concatenate,
    is_array,
    split_off_inputs,
    split_pair,
    splits_to_pairs,
)
from .moving import to_device
from .update import ScalerState, Update, checked_loss

Loss = Callable[[Any, Any], torch.Tensor]
Split = Callable[[Any], tuple[Any, Any]]


class Trainer:
    """Trains a PyTorch module, with callbacks.

    Args:
        model: the module.
        loss: of the outputs and the targets, a tensor of shape (): the mean over the batch. Only `predict` needs none.
        optimizer: of the module's parameters. Needed for `fit`.
        metrics: by name, functions of the outputs and the targets that return a number: the mean over the batch.
        device: to which the module and the batches are moved; None leaves the module where it is, and batches follow.
        accumulate: over how many batches gradients are averaged before each step.
        clip_norm: the largest norm of all gradients together, or None.
        clip_value: the largest absolute value of each gradient, or None.
        autocast: the type of mixed precision, `torch.bfloat16` or `torch.float16`, or None. For float16 the loss is
            scaled, so that small gradients do not vanish.
        seed: seeds every random generator when `fit` begins; None leaves them.
        split: returns a batch's inputs and targets, as a tuple or list of two. Default: the two parts of a pair. Inputs
            that are a tuple, list or dict are the module's arguments.

    Attributes:
        model: the module.
        history: the curves of the latest `fit`, also of one that was cut off; None before.

    Raises:
        TypeError: the model is no module, or another argument is of the wrong kind.
        ValueError: a number is out of its range.

    Example:
        >>> import torch, onlooker as ol
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        >>> trainer = ol.Trainer(model, loss=torch.nn.MSELoss(), optimizer=optimizer)
        >>> x = torch.linspace(-1, 1, 64).unsqueeze(1)
        >>> history = trainer.fit((x, 3 * x), epochs=20, validation=(x, 3 * x))
        >>> history.history["val_loss"][-1] < 0.01
        True
        >>> trainer.predict(torch.ones(2, 1)).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        loss: Loss | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        metrics: Mapping[str, Callable[[Any, Any], Any]] | None = None,
        device: torch.device | str | None = None,
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        autocast: torch.dtype | None = None,
        seed: int | None = None,
        split: Split | None = None,
    ) -> None:
        check_model(model, optimizer)
        check_functions(loss, metrics)
        check_settings(accumulate, {"clip_norm": clip_norm, "clip_value": clip_value}, autocast, seed)
        check_split(split)
        self.model = model if device is None else model.to(device)
        self.loss = loss
        self.optimizer = optimizer
        self.metrics = dict(metrics or {})
        self._accumulate = accumulate
        self._clips = (clip_norm, clip_value)
        self._autocast = autocast
        self._seed = seed
        self._split: Split = split_pair if split is None else splits_to_pairs(split)
        self.history: History | None = None
        self._loop: Loop | None = None  # the one under way, in which a callback may ask for an evaluation

    def fit(
        self,
        data: Any,
        epochs: int = 1,
        *,
        validation: Any = None,
        callbacks: Iterable[Any] = (),
        batch_size: int = 32,
        shuffle: bool = True,
        resume: Any = None,
    ) -> History:
        """Train for some epochs.

        Args:
            data: a loader or any iterable of batches; a `Dataset`; or a tuple of arrays `(inputs, targets)`.
            epochs: how many.
            validation: data to evaluate on in each epoch; its values stand in the logs under `val_`.
            callbacks: onlooker's, or Keras' own, in the order in which they are called.
            batch_size: for a `Dataset` or arrays.
            shuffle: likewise: draw the training's samples in another order in each epoch.
            resume: a file that `run.save` wrote, from which the training goes on.

        Returns:
            The curves. It is the first callback of the run; one that is among `callbacks` is taken instead.

        Raises:
            ValueError: no loss or no optimizer was given to the trainer, or `epochs` is negative.
            DataError: there are no data, or a batch cannot be split.
            AttachError: `callbacks` is no list of callbacks, or one is refused.
        """
        loss, optimizer = self._needed("fit")
        check_epochs(epochs)
        train_batches = self._batches(
            as_loader(data, batch_size, shuffle), self._split, reads_ahead=self._accumulate > 1
        )
        test_batches = None
        if validation is not None:
            test_batches = self._batches(as_loader(validation, batch_size, shuffle=False), self._split, "validation")
        callbacks = listed(callbacks)
        history = next((one for one in callbacks if isinstance(one, History)), None)
        if history is None:
            history = History()
            callbacks.insert(0, history)
        if self._seed is not None:
            seed_all(self._seed)
        scaler, device = None, self._device()
        if self._autocast is torch.float16 and device is not None:
            scaler = torch.amp.GradScaler(device.type)
            callbacks.append(ScalerState(scaler))
        update = Update(optimizer, self._accumulate, *self._clips, scaler)
        with self._new_loop(callbacks, resume) as loop:
            self.history = history
            loop.run.step_states.append(update)
            if not self.model.training:
                self.model.train()  # what of the model is in evaluation mode on purpose stays there
            for _ in loop.epochs(epochs):
                self._train(loop, train_batches, loss, update)
                if test_batches is not None:
                    self._test(loop, test_batches, loss)
        return history

    def evaluate(self, data: Any, *, callbacks: Iterable[Any] = (), batch_size: int = 32) -> Logs:
        """Return the loss and the metrics, as means over the data.

        A callback may call it from a hook: then no hooks are called, and the training goes on as if nothing had been.

        Args:
            data: as in `fit`.
            callbacks: as in `fit`; left out where a hook calls.
            batch_size: for a `Dataset` or arrays.

        Raises:
            ValueError: no loss was given to the trainer.
            DataError: there are no data, or a batch cannot be split.
        """
        loss = self._needed("evaluate", needs_optimizer=False)[0]
        batches = self._batches(as_loader(data, batch_size, shuffle=False), self._split)
        if self._loop is not None:
            with self._loop.run.observing():  # to begin to load draws a random number
                return self._test(self._loop, batches, loss)
        with self._new_loop(callbacks) as loop:
            return self._test(loop, batches, loss)

    def predict(self, data: Any, *, callbacks: Iterable[Any] = (), batch_size: int = 32) -> Any:
        """Return the model's outputs for all data, joined along the first axis, on the CPU.

        Args:
            data: as in `fit`, or an array of inputs. Targets are left aside.
            callbacks: as in `evaluate`.
            batch_size: for a `Dataset` or arrays.

        Raises:
            DataError: there are no data.
        """
        has_own_split = self._split is not split_pair and not is_array(data)
        batches = self._batches(
            as_loader(data, batch_size, shuffle=False), self._split if has_own_split else split_off_inputs
        )
        if self._loop is not None:
            with self._loop.run.observing():
                return self._predict(self._loop, batches)
        with self._new_loop(callbacks) as loop:
            return self._predict(loop, batches)

    def _train(self, loop: Loop, batches: Batches, loss: Loss, update: Update) -> None:
        forward, accumulates = self._in_precision(self._forward), self._accumulate > 1
        for pair in loop.train(batches):
            outputs, value = forward(pair, loss)
            replayed = loop.run.replayed
            is_last = batches.is_last if replayed is None else replayed.has_stepped
            update.take(value, batch_size_of(pair) if accumulates else 1, is_last)
            self._log(loop, value, outputs, pair)

    def _test(self, loop: Loop, batches: Batches, loss: Loss) -> Logs:
        forward, stage = self._in_precision(self._forward), loop.test(batches)
        for pair in stage:
            outputs, value = forward(pair, loss)
            self._log(loop, value, outputs, pair)
        return stage.logs

    def _predict(self, loop: Loop, batches: Batches) -> Any:
        forward, found = self._in_precision(apply), []
        for inputs, _ in loop.predict(batches):
            loop.outputs = outputs = forward(self.model, inputs)
            found.append(to_device(outputs, torch.device("cpu")))
        return concatenate(found)

    def _forward(self, pair: tuple[Any, Any], loss: Loss) -> tuple[Any, torch.Tensor]:
        """Return the outputs and the loss of a batch."""
        outputs = apply(self.model, pair[0])
        return outputs, checked_loss(loss(outputs, pair[1]))

    def _in_precision(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that computes in mixed precision, where that is wanted."""
        if self._autocast is None:
            return function
        device = self._device()
        in_precision: Callable[..., Any] = torch.autocast("cpu" if device is None else device.type, self._autocast)(
            function
        )
        return in_precision

    def _log(self, loop: Loop, value: torch.Tensor, outputs: Any, pair: tuple[Any, Any]) -> None:
        loop.outputs = outputs
        if not self.metrics:
            loop.log(loss=value)
            return
        with torch.no_grad():
            values = {name: metric(outputs, pair[1]) for name, metric in self.metrics.items()}
        values["loss"] = value
        loop.log(dict(sorted(values.items())))  # by name, as in Keras

    def _batches(self, loader: Iterable[Any], split: Split, what: str = "data", reads_ahead: bool = False) -> Batches:
        return Batches(loader, split, self._device(), what, reads_ahead)

    def _device(self) -> torch.device | None:
        """Return where the model is; None for one without parameters."""
        parameter = next(self.model.parameters(), None)
        return None if parameter is None else parameter.device

    def _needed(self, method: str, needs_optimizer: bool = True) -> tuple[Loss, Any]:
        if self.loss is None:
            raise ValueError(f"{method} needs a loss: Trainer(model, loss=torch.nn.CrossEntropyLoss(), ...)")
        if needs_optimizer and self.optimizer is None:
            raise ValueError(
                f"{method} needs an optimizer: Trainer(..., optimizer=torch.optim.Adam(model.parameters()))"
            )
        return self.loss, self.optimizer

    @contextmanager
    def _new_loop(self, callbacks: Iterable[Any], resume: Any = None) -> Iterator[Loop]:
        """Enter a loop, in which callbacks can call `evaluate` and `predict`."""
        if self._loop is not None:
            raise LoopError("a callback cannot call fit from within a hook; it can call evaluate and predict")
        with Loop(self.model, self.optimizer, callbacks, resume=resume, host=TRAINER) as loop:
            self._loop = loop
            try:
                yield loop
            finally:
                self._loop = None
