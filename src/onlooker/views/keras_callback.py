"""Keras' own callbacks in a loop that is not Keras' own: each becomes an Onlooker callback that calls it Keras' way.

Owns how a hook is passed on, and what has to be known for that of single classes; what they see of the model is
`keras_facade`, and whether they work at all stands in `keras_table`. Needs no Keras: who has one of its callbacks has
imported it, with `KERAS_BACKEND` set before.
"""

from __future__ import annotations

import copy
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from onlooker.core.callback import Callback
from onlooker.core.errors import AbsentError, AttachError
from onlooker.core.hooks import ALIASES, HOOKS
from onlooker.core.names import check_spellings
from onlooker.core.trigger import Trigger

from .keras_direction import settle_direction
from .keras_facade import facade_of
from .keras_logs import carry_over, plain_logs
from .keras_table import find_row, is_of_old_keras
from .weights_average import SwapCompanion

if TYPE_CHECKING:
    from collections.abc import Callable

    from onlooker.core.run import Run

CUT_OFF = ("failed", "interrupted")
"""The outcomes after which Keras calls no end hooks."""

_adapters: weakref.WeakValueDictionary[int, KerasCallback] = weakref.WeakValueDictionary()
_kinds: weakref.WeakKeyDictionary[type, type[KerasCallback]] = weakref.WeakKeyDictionary()


def adapt(keras_callback: Any) -> KerasCallback:
    """Return the Onlooker callback that calls a Keras callback: the same one each time, while it is in use.

    Args:
        keras_callback: an instance of a class derived from `keras.callbacks.Callback`.

    Raises:
        AttachError: it is a class, or one that cannot work on a model that is not Keras'; the message says why and what
            to use instead.

    Example:
        ```python
        loop = ol.Loop(module, optimizer, callbacks=[keras.callbacks.EarlyStopping(restore_best_weights=True)])
        ```
    """
    if isinstance(keras_callback, type):
        name = keras_callback.__name__
        raise AttachError(f"{name} is a class; pass an instance: callbacks=[{name}()]")
    adapter = _adapters.get(id(keras_callback))
    if adapter is None:
        for member in _members(keras_callback):
            _check(member)
        kind = type(keras_callback)
        if kind not in _kinds:
            # A class of its own, under the name of Keras': what messages and checkpoints call a callback.
            _kinds[kind] = type(kind.__name__, (KerasCallback,), {})
        adapter = _adapters[id(keras_callback)] = _kinds[kind](keras_callback)
    else:
        adapter.take_settings()
    return adapter


class KerasCallback(Callback):
    """Calls a Keras callback: each hook that it overrides, with arguments as Keras gives them, and plain logs.

    What it assigns to the logs shows to the later callbacks. `on_error` and `when` are those of the Keras callback, if
    it has such attributes.

    Args:
        keras_callback: the callback.
    """

    def __init__(self, keras_callback: Any) -> None:
        self.keras_callback = keras_callback
        self._members = _members(keras_callback)
        self._rows = [find_row(type(member)) for member in self._members]
        self._withheld = frozenset(hook for row in self._rows for hook in row.withheld)
        self._companions = [SwapCompanion(member) for member in self._of_row("SwapEMAWeights")]
        self._given_params: dict[str, Any] = {}
        self._stage: str | None = None  # the one that stands by itself
        self._methods: dict[str, Callable[..., None]] = {}
        for hook, scope in HOOKS.items():
            if scope.index is None:
                self.__dict__[hook] = self._stage_relay(hook)
        self.take_settings()

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "run":
            self._check_run(value)

    def __reduce__(self) -> tuple[Any, ...]:
        alone = copy.copy(self.keras_callback)
        alone.set_model(None)
        return adapt, (alone,)

    def state_dict(self) -> dict[str, Any]:
        """Return what has to outlive a checkpoint: of Keras' own callbacks, what they count and remember."""
        own = getattr(self.keras_callback, "state_dict", None)
        if callable(own):
            state: dict[str, Any] = own()
            return state
        return {
            f"{number}.{name}": _portable(getattr(member, name))
            for number, (member, row) in enumerate(zip(self._members, self._rows, strict=True))
            for name in row.state
            if hasattr(member, name)
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        own = getattr(self.keras_callback, "load_state_dict", None)
        if callable(own):
            own(state)
            return
        for key, value in state.items():
            number, _, name = key.partition(".")
            setattr(self._members[int(number)], name, _from_portable(value))

    def take_settings(self) -> None:
        """Take over what decides what is called: the Keras callback may have set it on itself since."""
        given = self.keras_callback
        self.on_error = getattr(given, "on_error", "raise")
        when = getattr(given, "when", None)
        self.when = when if isinstance(when, Trigger) else None
        for hook, scope in HOOKS.items():
            method = None if scope.index is None else _overridden(given, hook)
            if method == self._methods.get(hook):
                continue
            if method is None:
                del self.__dict__[hook], self._methods[hook]
            else:
                self.__dict__[hook], self._methods[hook] = self._indexed_relay(hook, method), method

    def _stage_relay(self, hook: str) -> Callable[..., None]:
        stage, is_begin = HOOKS[hook].stage, hook == HOOKS[hook].begin

        def relay(logs: Any = None) -> None:
            if is_begin:
                self._enter(stage)
            for companion in self._companions:
                companion.before(hook, self.run)
            method = _overridden(self.keras_callback, hook)
            try:
                if method is not None and not self._withholds(hook):
                    plain = plain_logs(logs)
                    given = dict(plain)
                    method(plain)
                    carry_over(given, plain, logs)
            finally:
                if hook == "on_train_begin":
                    self.take_settings()
            for companion in self._companions:
                companion.after(hook)
            if hook == "on_train_end":
                self._stage = None

        return relay

    def _indexed_relay(self, hook: str, method: Callable[..., None]) -> Callable[..., None]:
        is_epoch = HOOKS[hook].name == "epoch"

        def relay(index: int, logs: Any = None) -> None:
            if self._withholds(hook):
                return
            if is_epoch or index == 0:
                self._give_params()
            plain = plain_logs(logs)
            given = dict(plain)
            if is_epoch:
                method(index, plain)
            else:
                method(index, logs=plain)
            carry_over(given, plain, logs)

        trigger = getattr(method, "_onlooker_when", None)
        if trigger is not None:
            relay._onlooker_when = trigger  # type: ignore[attr-defined]
        return relay

    def _withholds(self, hook: str) -> bool:
        return hook in self._withheld and self.run.outcome in CUT_OFF

    def _enter(self, stage: str) -> None:
        """Begin a stage. One that stands by itself begins as in Keras: with `set_model` and `set_params`."""
        if stage == "train" or self._stage != "train":
            self._stage = stage
            self.keras_callback.set_model(facade_of(self.run))
            self._given_params = {}
            self._give_params()

    def _give_params(self) -> None:
        """Hand over Keras' dict of parameters if it has changed: a loop learns late how many batches there are."""
        known = {name: value for name, value in self.run.params.items() if value is not None}
        # 0 epochs means unknown: Keras' callbacks compare with the number, and then no epoch is the last.
        params = {"verbose": 1, "epochs": 0 if self._stage == "train" else 1, "steps": None, **known}
        if params == self._given_params:
            return
        self._given_params = params
        self.keras_callback.set_params(dict(params))
        for logger in self._of_row("ProgbarLogger"):
            if logger.progbar is not None:
                logger.progbar.target = params["steps"]

    def _of_row(self, name: str) -> list[Any]:
        return [member for member, row in zip(self._members, self._rows, strict=True) if row.name == name]

    def _check_run(self, run: Run) -> None:
        """Refuse a run that lacks what the callback needs."""
        facade, name = facade_of(run), type(self).__name__
        if run.view.family == "jax":
            raise AttachError(
                f"{name} is Keras' own, and can run on PyTorch modules here, but not in a loop of JAX; "
                f"derive a callback from onlooker.Callback, which runs in every loop"
            )
        for member, row in zip(self._members, self._rows, strict=True):
            if row.needs_optimizer and facade.optimizer is None:
                raise AttachError(f"{name} needs an optimizer; pass it: Loop(model, optimizer, callbacks=[...])")
            if row.needs_weights(member):
                try:
                    _ = facade.variables
                except AbsentError as error:
                    raise AttachError(f"{name} needs the weights: {error}") from None
        for companion in self._companions:
            companion.attach(run, facade)


def _members(keras_callback: Any) -> list[Any]:
    """Return the callback itself, or, of a `CallbackList`, all that is in it."""
    if find_row(type(keras_callback)).name != "CallbackList":
        return [keras_callback]
    found = [keras_callback]
    for inner in keras_callback.callbacks:
        if isinstance(inner, Callback):
            raise AttachError(
                f"{type(inner).__name__} is an onlooker.Callback within a Keras CallbackList; pass it beside the list"
            )
        found += _members(inner)
    return found


def _check(keras_callback: Any) -> None:
    """Refuse what cannot work on a model that is not Keras', and prepare what needs it."""
    kind, row = type(keras_callback), find_row(type(keras_callback))
    reason = row.refuse(keras_callback)
    if reason is None and row.name != "Callback" and is_of_old_keras(kind):
        reason = "it is a callback of Keras 2 (tf_keras), which asks its model for TensorFlow's variables"
    if reason is not None:
        instead = row.instead or f"keras.callbacks.{row.name} of Keras 3"
        raise AttachError(f"{kind.__name__} cannot run on a model that is not Keras': {reason}. Instead: {instead}")
    check_spellings(keras_callback)
    settle_direction(keras_callback)
    if row.name == "CallbackList":  # in our loops a batch's end is never put off to Keras' pool of threads
        keras_callback._async_train = keras_callback._async_test = keras_callback._async_predict = False


def _overridden(keras_callback: Any, hook: str) -> Callable[..., None] | None:
    """Return the method for a hook, or for Keras' older name of it; None if it is not overridden."""
    for name in (hook, *(alias for alias, newer in ALIASES.items() if newer == hook)):
        method: Any = getattr(keras_callback, name, None)
        if method is not None and not getattr(method, "_is_default", False):
            return method  # type: ignore[no-any-return]
    return None


def _portable(value: Any) -> Any:
    """Return a value for a checkpoint, which holds plain data only: an array becomes its bytes."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "shape": value.shape, "bytes": value.tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {name: _portable(part) for name, part in value.items()}
    return [_portable(part) for part in value] if isinstance(value, list) else value


def _from_portable(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"dtype", "shape", "bytes"}:
        return np.frombuffer(value["bytes"], value["dtype"]).reshape(value["shape"]).copy()
    if isinstance(value, dict):
        return {name: _from_portable(part) for name, part in value.items()}
    return [_from_portable(part) for part in value] if isinstance(value, list) else value
