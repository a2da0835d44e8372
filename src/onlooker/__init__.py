"""Onlooker: write a callback once, with the names that everyone knows, and run it in every training loop.

Importing it loads the core, which needs the standard library only. A host, a ready-made callback and the framework
under it are loaded when they are first asked for.
"""

from __future__ import annotations

from .core import callback as _callback
from .core.callback import Callback as Callback
from .core.errors import OnlookerError as OnlookerError
from .core.errors import OnlookerWarning as OnlookerWarning
from .core.errors import missing_extra as _missing_extra
from .core.trigger import after as after
from .core.trigger import at as at
from .core.trigger import before as before
from .core.trigger import every as every
from .core.trigger import when as when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import callbacks as callbacks
    from .core.logs import Logs as Logs
    from .core.record import Alert as Alert
    from .core.record import Picture as Picture
    from .core.record import Scalars as Scalars
    from .core.record import Summaries as Summaries
    from .core.run import Run as Run
    from .core.summary import Summary as Summary
    from .hosts.catboost import for_catboost as for_catboost
    from .hosts.lightgbm import for_lightgbm as for_lightgbm
    from .hosts.lightning import for_lightning as for_lightning
    from .hosts.loop import Loop as Loop
    from .hosts.sklearn import fit_sklearn as fit_sklearn
    from .hosts.trainer import Trainer as Trainer
    from .hosts.transformers import for_transformers as for_transformers
    from .hosts.xgboost import for_xgboost as for_xgboost
    from .inside import summarise as summary

__version__ = "0.1.0"

_MODULES = {
    "Alert": "core.record",
    "Logs": "core.logs",
    "Picture": "core.record",
    "Scalars": "core.record",
    "Run": "core.run",
    "Summaries": "core.record",
    "Summary": "core.summary",
    "Loop": "hosts.loop",
    "Trainer": "hosts.trainer",
    "fit_sklearn": "hosts.sklearn",
    "for_catboost": "hosts.catboost",
    "for_lightgbm": "hosts.lightgbm",
    "for_lightning": "hosts.lightning",
    "for_transformers": "hosts.transformers",
    "for_xgboost": "hosts.xgboost",
    "summary": "inside:summarise",
}
"""Where a name is found; behind a colon what it is called there, where that is something else."""

_PACKAGES = {
    "catboost": "catboost",
    "jax": "jax",
    "keras": "keras",
    "lightgbm": "lightgbm",
    "lightning": "lightning",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "transformers": "transformers",
    "xgboost": "xgboost",
}
"""By the name of a module that may be missing, which is that of the extra, the distribution that has it."""

__all__ = [
    "Alert",
    "Callback",
    "Logs",
    "Loop",
    "OnlookerError",
    "OnlookerWarning",
    "Picture",
    "Run",
    "Scalars",
    "Summaries",
    "Summary",
    "Trainer",
    "after",
    "at",
    "before",
    "callbacks",
    "every",
    "fit_sklearn",
    "for_catboost",
    "for_lightgbm",
    "for_lightning",
    "for_transformers",
    "for_xgboost",
    "summary",
    "when",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "callbacks":
        return import_module(f"{__name__}.callbacks")
    if name not in _MODULES:
        raise AttributeError(f"module 'onlooker' has no attribute {name!r}")
    try:
        module, _, attribute = _MODULES[name].partition(":")
        return getattr(import_module(f"{__name__}.{module}"), attribute or name)
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise _missing_extra(error.name, _PACKAGES[error.name]) from None


def __dir__() -> list[str]:
    return __all__


def _enter_keras(callback: Callback, model: object) -> None:
    """Let Keras' host take over a callback on which Keras has called `set_model`."""
    from .hosts.keras import enter

    enter(callback, model)


_callback.host_entrances["keras"] = _enter_keras
