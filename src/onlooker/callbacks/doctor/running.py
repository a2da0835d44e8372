"""The statistics that normalization layers gather while a model trains, where these are not among its weights.

Owns how a rule gets to see them. In Keras they count as weights, and are looked at as such.
"""

from __future__ import annotations

from onlooker.core.errors import AbsentError
from onlooker.core.view import looked_at

from .frozen import models_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from onlooker.core.run import Run
    from onlooker.core.summary import Summary

_ENDS = ("running_mean", "running_var")


def running_statistics(run: Run) -> dict[str, Summary]:
    """Return what the running means and variances look like, by name; empty where a model has none that can be seen."""
    buffers: dict[str, Any] = {}
    for prefix, model in models_of(run).items():
        named = getattr(model, "named_buffers", None)
        for name, buffer in named() if callable(named) else ():
            if name.endswith(_ENDS):
                buffers[".".join(filter(None, (prefix, name.replace("_orig_mod.", ""))))] = buffer
    if not buffers:
        return {}
    try:
        look = run.look()
    except AbsentError:
        return {}
    return looked_at(look, buffers)
