"""Takes other frameworks' callbacks into our hosts: found by their modules, adapted by the file that knows them."""

from __future__ import annotations

from onlooker.core.attach import is_list
from onlooker.core.callback import Callback
from onlooker.core.errors import AttachError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OWNERS = {
    "lightning": "Lightning",
    "pytorch_lightning": "Lightning",
    "transformers": "Transformers",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "keras": "Keras",
    "fastai": "fastai",
    "skorch": "skorch",
}
"""By package, whose callbacks are in it."""


def adapt(callbacks: Any) -> Any:
    """Return the callbacks with Keras' own wrapped so that they run on a foreign model.

    What is no callback at all is passed on: the dispatcher refuses it with a message of its own.
    """
    if not is_list(callbacks):
        return callbacks
    return [_adapted(callback) for callback in callbacks]


def _adapted(callback: Any) -> Any:
    if isinstance(callback, type | Callback):
        return callback
    where_it_belongs = getattr(callback, "where_it_belongs", None)
    if where_it_belongs is not None:  # what for_lightning and its like return
        raise AttachError(where_it_belongs())
    for kind in type(callback).__mro__:
        root = kind.__module__.partition(".")[0]
        if kind.__name__ == "Callback" and root in ("keras", "tf_keras"):
            from .keras_callback import adapt as adapt_keras

            return adapt_keras(callback)
        if kind.__name__ in ("Callback", "TrainerCallback", "TrainingCallback") and root in OWNERS:
            raise AttachError(
                f"{type(callback).__name__} is a callback of {OWNERS[root]} and can run there only; "
                f"derive it from onlooker.Callback to run it everywhere"
            )
    return callback
