"""`Guards`: what is put around a model's functions while a run is under way, and taken off after it.

Keras closes nothing when `fit` raises, and tells callbacks nothing about the data. So its functions are wrapped on the
model itself, not on its class: they say which batch is at hand, report what is raised, and keep an evaluation that a
hook starts from leaving traces.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .keras_host import KerasHost

STEPS = {"train": "train_function", "test": "test_function", "predict": "predict_function"}
"""The model's attributes that run a batch of each stage."""

ENDS_OF_DATA = ("StopIteration", "OutOfRangeError")
"""By class name, what a step raises where the data end; Keras catches it."""


class Guards:
    """What stands around one model's functions.

    Args:
        host: told about data and errors, and asked where it stands.
    """

    def __init__(self, host: KerasHost) -> None:
        self._host = host
        self._attributes: dict[str, Any] = host.run.view.model.__dict__
        self._placed: dict[str, Callable[..., Any]] = {}
        self._hidden: dict[str, Any] = {}  # what stood on the model itself before
        self._draws: dict[str, _Draw] = {}  # by stage

    def place(self, caller: Any) -> None:
        """Put guards around what the whole run may call.

        Args:
            caller: the frame of Keras' `fit`, `evaluate` or `predict`, or None where a user's own loop calls.
        """
        model = self._host.run.view.model
        self._wrap("evaluate", model.evaluate, self._stage)
        self._wrap("predict", model.predict, self._stage)
        if caller is not None and caller.f_code.co_name == "fit" and hasattr(model, "jax_state_sync"):
            outside = sys.exc_info()[1]
            self._wrap("jax_state_sync", model.jax_state_sync, self._final_sync, caller.f_code, outside)

    def place_step(self, stage: str) -> None:
        """Put a guard around the function that runs a batch of a stage. It may be there already."""
        name = STEPS[stage]
        function = self._attributes.get(name)
        if function is not None and self._placed.get(name) is not function:
            self._wrap(name, function, self._step)

    def watch_outputs(self) -> None:
        """Have the model's outputs in training and evaluation kept, on a backend whose step is plain Python."""
        self._wrap("compute_metrics", self._host.run.view.model.compute_metrics, self._metrics)

    def watch_data(self, stage: str, caller: Any) -> None:
        """Have the batches of a stage reported as they are drawn, and what the data raise.

        Args:
            stage: whose data.
            caller: the frame of Keras' function; its local `epoch_iterator` draws the batches.
        """
        self._draws.pop(stage, None)
        iterator: Any = None if caller is None else caller.f_locals.get("epoch_iterator")
        # TensorFlow wants its own iterators.
        if self._host.run.view.backend not in ("torch", "jax") or not hasattr(iterator, "_get_iterator"):
            return
        draw = vars(iterator).get("_get_iterator")
        if not isinstance(draw, _Draw):  # the validation's iterator serves every epoch
            draw = iterator._get_iterator = _Draw(iterator, self._host)
        self._draws[stage] = draw

    def has_data(self, stage: str) -> bool:
        """Say whether a batch that Keras begins has data: on JAX it begins one before it finds that there are none."""
        draw = self._draws.get(stage)
        return draw is None or self._host.run.view.backend != "jax" or draw.has_more()

    def remove_step(self, stage: str) -> None:
        """Take the guard of a stage's function off."""
        self._unwrap(STEPS[stage])

    def remove(self) -> None:
        """Take all guards off."""
        for name in list(self._placed):
            self._unwrap(name)

    def _wrap(self, name: str, inner: Callable[..., Any], guard: Callable[..., Any], *given: Any) -> None:
        inner = getattr(inner, "_onlooker_inner", inner)  # left over from a run whose end nobody saw

        @wraps(inner)
        def guarded(*arguments: Any, **named: Any) -> Any:
            return guard(inner, given, arguments, named)

        guarded._onlooker_inner = inner  # type: ignore[attr-defined]
        self._placed[name] = guarded
        if name in self._attributes:
            self._hidden[name] = inner
        # Past `__setattr__`, which Keras and PyTorch use to track what a model holds.
        self._attributes[name] = guarded

    def _unwrap(self, name: str) -> None:
        guarded = self._placed.pop(name, None)
        if guarded is None or self._attributes.get(name) is not guarded:
            return  # somebody has put another there: `compile`, or `make_train_function(force=True)`
        if name in self._hidden:
            self._attributes[name] = self._hidden.pop(name)
        else:
            del self._attributes[name]

    # The guards themselves.

    def _step(self, inner: Any, given: Any, arguments: Any, named: Any) -> Any:
        """Run a batch: say which data it has, and report what it raises."""
        host = self._host
        data = arguments[-1]
        if isinstance(data, list | tuple):  # torch: the batches, drawn already
            host.draw(data[-1])
        elif host.run.view.backend == "jax" and not isinstance(data, _Drawn):
            data = _Drawn(data, host)
            arguments = (*arguments[:-1], data)
        drawn_before = data.count if isinstance(data, _Drawn) else 0
        try:
            result = inner(*arguments, **named)
        except BaseException as error:
            if type(error).__name__ not in ENDS_OF_DATA:
                host.cut_off(error)
            raise
        if isinstance(data, _Drawn):
            host.executed(data.count - drawn_before)
        return result

    def _stage(self, inner: Any, given: Any, arguments: Any, named: Any) -> Any:
        """Run an evaluation or a prediction: one that one of our hooks starts must leave no trace."""
        host = self._host
        context: AbstractContextManager[None] = nullcontext()
        if host.is_in_own_hook():
            context = host.run.observing()
        try:
            with context:
                return inner(*arguments, **named)
        except BaseException as error:
            if named.get("callbacks") is host.callback_list:  # the validation of this very training
                host.cut_off(error)
            raise

    def _final_sync(self, inner: Any, given: Any, arguments: Any, named: Any) -> Any:
        """Sync JAX' state. `fit` does so in its `finally`, and there it can be seen that it is being cut off."""
        code, outside = given
        error = sys.exc_info()[1]
        # The frames above: `guarded`, then who called it.
        if error is None or error is outside or sys._getframe(2).f_code is not code:
            return inner(*arguments, **named)
        try:
            return inner(*arguments, **named)
        finally:
            self._host.cut_off(error)

    def _metrics(self, inner: Any, given: Any, arguments: Any, named: Any) -> Any:
        """Update the metrics, and keep the outputs that they are given."""
        outputs = arguments[2] if len(arguments) > 2 else named.get("y_pred")
        self._host.keep_outputs(outputs)
        return inner(*arguments, **named)


class _Draw:
    """In place of an epoch iterator's `_get_iterator`: the same data, watched.

    Args:
        epoch_iterator: Keras' iterator over the batches of an epoch.
        host: told about each batch.
    """

    def __init__(self, epoch_iterator: Any, host: KerasHost) -> None:
        self._epoch_iterator = epoch_iterator
        self._inner = epoch_iterator._get_iterator
        self._host = host
        self._current: _Drawn | None = None

    def __call__(self) -> Iterator[Any]:
        # At once, as Keras does: starting a loader draws a random number.
        self._current = _Drawn(iter(self._inner()), self._host)
        return self._current

    def has_more(self) -> bool:
        """Say whether another batch follows, drawing it early where only that can tell."""
        is_known = self._epoch_iterator.num_batches is not None
        return is_known or self._current is None or self._current.draw_ahead()


class _Drawn(Iterator[Any]):
    """An iterator over batches that tells the host about each.

    Attributes:
        count: how many were drawn.
    """

    def __init__(self, inner: Iterator[Any], host: KerasHost) -> None:
        self._inner = inner
        self._host = host
        self._ahead: list[Any] = []
        self.count = 0

    def __next__(self) -> Any:
        if not self._ahead and not self.draw_ahead():
            raise StopIteration
        self.count += 1
        return self._ahead.pop()

    def draw_ahead(self) -> bool:
        """Draw the next batch, if there is one and it was not drawn yet. Say whether there is."""
        if self._ahead:
            return True
        try:
            data = next(self._inner)
        except StopIteration:
            return False
        except BaseException as error:
            self._host.cut_off(error)
            raise
        self._ahead.append(data)
        self._host.draw(data)
        return True
