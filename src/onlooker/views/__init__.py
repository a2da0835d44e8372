"""Framework-neutral looks at a model, one file for each family; found here by the model's classes.

A view's file is loaded only for a model of its family, when the framework is loaded already.
"""

from __future__ import annotations

from onlooker.core.view import ModelView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def find_view(model: Any, optimizer: Any = None) -> ModelView:
    """Return the view of a model, or of a dict of several.

    Args:
        model: the user's model, or a dict of them.
        optimizer: its optimizer, a dict or a list of several, or None.
    """
    models = list(model.values()) if isinstance(model, dict) else [model]
    if models and all(_is_of(one, "torch", "Module") for one in models):
        from .torch import TorchView

        return TorchView(model, optimizer)
    return ModelView(model)


def _is_of(thing: object, root: str, name: str) -> bool:
    """Say whether one of the classes of a thing has this name and comes from this framework, without importing it."""
    return any(kind.__name__ == name and kind.__module__.partition(".")[0] == root for kind in type(thing).__mro__)
