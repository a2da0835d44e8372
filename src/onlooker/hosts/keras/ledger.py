"""`Ledger`: the logs of each hook, from what Keras gives and what callbacks have added.

Keras gives a copy to each hook, so that what a callback adds is lost to the hooks after it. Here it is carried: from
the end of a validation to that of the epoch, and from there to the end of the training.
"""

from __future__ import annotations

from typing import Any

import keras

from onlooker.core.dispatch import Dispatcher
from onlooker.core.hooks import SCOPES
from onlooker.core.logs import DeviceValue, Logs

from .running_logs import RunningLogs


class Ledger:
    """The logs of one run.

    Args:
        model: the Keras model.
        dispatcher: asked whether anybody wants the logs of a batch.

    Attributes:
        given: what Keras has given to the hook to come; None where Keras does not call it.
        is_in_epoch: whether a test that ends now is the validation of an epoch.
    """

    def __init__(self, model: Any, dispatcher: Dispatcher) -> None:
        self.given: dict[str, Any] | None = None
        self.is_in_epoch = False
        self._model = model
        self._dispatcher = dispatcher
        self._running: dict[str, RunningLogs] = {}  # by stage
        self._test: dict[str, Any] = {}
        self._carried: dict[str, Any] = {}
        self._epoch: dict[str, Any] | None = None

    def begin(self, scope: str) -> None:
        """Make ready for the batches of an epoch or a stage."""
        self._running[SCOPES[scope].stage] = RunningLogs(self._model)
        if scope == "epoch":
            self._carried = {}

    def logs_for(self, scope: str) -> Logs | None:
        """Return the logs of an end hook; None where nobody would read them."""
        given, self.given = self.given, None
        stage = SCOPES[scope].stage
        running = self._running[stage]
        if SCOPES[scope].index == "batch":
            if given is None:
                return Logs(running.so_far())
            running.raw = given
            if not self._dispatcher.listens(SCOPES[scope].end):
                return None
            return _as_arrays(given) if stage == "predict" else running.take(given)
        if scope == "train":
            return Logs((given or {}) if self._epoch is None else self._epoch)
        values = running.so_far() if given is None else given
        if scope == "test":
            self._test = dict(values)
        return Logs({**values, **self._carried} if scope == "epoch" else values)

    def closed(self, scope: str, logs: Logs | None) -> None:
        """Take over what callbacks may have added to the logs of a scope, now that its end hook is done."""
        if scope == "epoch" and logs is not None:
            self._epoch = dict(logs)
        elif scope == "test" and logs is not None and self.is_in_epoch:
            for name, value in logs.items():
                if name not in self._test or self._test[name] is not value:
                    self._carried[f"val_{name}"] = value


def for_keras(raw: dict[str, Any], logs: Logs | None) -> dict[str, Any]:
    """Return a batch's logs for those of Keras' own that come after ours: what nobody has read stays on its device."""
    if logs is None:
        return raw
    return {name: raw.get(name, value) if type(value) is DeviceValue else value for name, value in dict.items(logs)}


def _as_arrays(given: dict[str, Any]) -> Logs:
    """Return a batch's outputs as Keras gives them to callbacks: as NumPy's arrays."""
    return Logs({name: keras.tree.map_structure(keras.ops.convert_to_numpy, value) for name, value in given.items()})
