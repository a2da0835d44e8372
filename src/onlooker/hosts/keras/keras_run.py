"""`KerasRun`: a training as callbacks see it, where Keras owns the loop.

Owns how the wish to stop reaches Keras, and that the model shows its current state.
"""

from __future__ import annotations

from typing import Any

from onlooker.core.declaration import Declaration
from onlooker.core.run import Run
from onlooker.views.keras import KerasView

FLAGS = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}
"""The attribute of the model by which Keras is asked to end a stage that stands by itself."""


class KerasRun(Run):
    """A run whose loop is Keras'.

    Args:
        model: the user's Keras model.
        host: what Keras gives on this backend.

    Attributes:
        flag: the model's attribute that ends the stage under way; None before it begins.
    """

    view: KerasView

    def __init__(self, model: Any, host: Declaration) -> None:
        self.flag: str | None = None
        super().__init__(model, view=KerasView(model), host=host)

    @property
    def model(self) -> Any:
        """The user's model. On JAX, whose state is elsewhere within an epoch, the model is given it first."""
        self.view.sync()
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model

    def stop(self, reason: str = "") -> None:
        """Ask Keras to end at the next boundary: after the batch at hand; validation still runs."""
        super().stop(reason)
        if self.flag is not None and self.is_stop_requested:
            setattr(self._model, self.flag, True)

    def notice_flag(self, by: str | None = None) -> None:
        """Take note of a flag that somebody has set on the model: that is how Keras' own callbacks stop a training.

        Args:
            by: the class name of the callback that was called just before, if it may have been the one.
        """
        if self.is_stop_requested or self.flag is None or not vars(self._model).get(self.flag):
            return
        self.is_stop_requested = True
        self.stopped_by = by
        self.reason = f"stopped by {by}" if by else f"model.{self.flag} was set to True"
