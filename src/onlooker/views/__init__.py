"""Framework-neutral looks at a model, one file for each family; found here by the model's classes.

A view's file is loaded only for a model of its family, when the framework is loaded already.
"""

from __future__ import annotations

import sys

from onlooker.core.view import ModelView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def find_view(model: Any, optimizer: Any = None) -> ModelView:
    """Return the view of a model, or of a dict of several.

    Args:
        model: the user's model, or a dict of them.
        optimizer: its optimizer, a dict or a list of several, or None.

    Raises:
        TypeError: it is a class, several models are not given as a dict, or an optimizer has no model to belong to.
    """
    if isinstance(model, type):
        raise TypeError(f"{model.__qualname__} is a class; pass the model itself: {model.__qualname__}(...)")
    models = list(model.values()) if isinstance(model, dict) else [model]
    are_modules = [_is_of(one, "torch", "Module") for one in models]
    if are_modules and all(are_modules):
        from .torch import TorchView

        return TorchView(model, optimizer)
    _check_several(model, are_modules)
    if "jax" in sys.modules:
        view = _find_jax_view(model, models, optimizer)
        if view is not None:
            return view
    if optimizer is not None:
        raise TypeError(
            f"an optimizer was passed with a model of type {type(model).__qualname__}, in which Onlooker can see "
            f"nothing; pass a torch.nn.Module or a dict of them, or leave the optimizer out"
        )
    return ModelView(model)


def _find_jax_view(model: Any, models: list[Any], optimizer: Any) -> ModelView | None:
    """Return the view of a state of JAX, or of modules of Flax NNX; None where it is neither."""
    kinds = [_flax_kind(one) for one in models]
    if "linen" in kinds:
        raise TypeError("a flax.linen.Module holds no weights; pass the state that the loop carries: Loop(train_state)")
    if kinds and all(kinds):
        from .nnx import NnxView

        return NnxView(model, optimizer)
    if any(kinds):
        others = [name for name, kind in zip(model, kinds, strict=True) if not kind]
        raise TypeError(
            f"the dict holds modules of Flax NNX, but something else under {', '.join(map(repr, others))}; leave it "
            f"out, or split the modules by nnx.split and pass a state"
        )
    from .jax import JaxView, check_value, has_arrays

    if not has_arrays(model):
        return None
    check_value(model)
    return JaxView(model, optimizer)


def _flax_kind(one: object) -> str:
    """Return `"nnx"` or `"linen"` for a module of Flax, and `""` for anything else."""
    for kind in type(one).__mro__:
        if kind.__name__ == "Module" and kind.__module__.startswith(("flax.nnx", "flax.linen")):
            return kind.__module__.split(".")[1]
    return ""


def _check_several(model: Any, are_modules: list[bool]) -> None:
    """Refuse several modules in anything but a dict of modules: they would go unseen."""
    if any(are_modules):
        others = [name for name, is_module in zip(model, are_modules, strict=True) if not is_module]
        raise TypeError(f"the dict of models holds something else under {', '.join(map(repr, others))}; leave it out")
    if isinstance(model, list | tuple | set) and any(_is_of(one, "torch", "Module") for one in model):
        raise TypeError(
            f"several models must be a dict, not a {type(model).__qualname__}, so that each has a name: "
            f"Loop({{'generator': generator, 'discriminator': discriminator}}, ...)"
        )


def _is_of(thing: object, root: str, name: str) -> bool:
    """Say whether one of the classes of a thing has this name and comes from this framework, without importing it."""
    return any(kind.__name__ == name and kind.__module__.partition(".")[0] == root for kind in type(thing).__mro__)
