"""The ready-made callbacks, one file for each, loaded when first asked for.

They name no framework: they ask the run. Also reachable by Keras' names, so that a callback written for Keras runs with
`import onlooker as keras`.
"""

from __future__ import annotations

from onlooker.core.callback import Callback as Callback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .doctor import Doctor as Doctor
    from .doctor import doctor_rules as doctor_rules
    from .find_nan import FindNaN as FindNaN
    from .history import History as History
    from .image_grid import ImageGrid as ImageGrid
    from .inside import Inside as Inside
    from .lambda_callback import Lambda as Lambda
    from .progress import Progress as Progress

    LambdaCallback = Lambda

_FILES = {
    "Doctor": "doctor",
    "FindNaN": "find_nan",
    "History": "history",
    "ImageGrid": "image_grid",
    "Inside": "inside",
    "Lambda": "lambda_callback",
    "Progress": "progress",
    "doctor_rules": "doctor",
}
_KERAS_NAMES = {"LambdaCallback": "Lambda"}

__all__ = [
    "Callback",
    "Doctor",
    "FindNaN",
    "History",
    "ImageGrid",
    "Inside",
    "Lambda",
    "LambdaCallback",
    "Progress",
    "doctor_rules",
]


def __getattr__(name: str) -> object:
    own_name = _KERAS_NAMES.get(name, name)
    if own_name not in _FILES:
        raise AttributeError(f"onlooker.callbacks has no {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_FILES[own_name]}"), own_name)
