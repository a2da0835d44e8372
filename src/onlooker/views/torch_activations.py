"""Watches what PyTorch's modules put out, by hooks that are there only while somebody watches.

Owns which modules are watched, under which name, and the tensors in whatever a module returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch

from onlooker.core.errors import AbsentError, warn
from onlooker.inside.torch_kinds import is_in_transform, is_of_transform, is_recorded

from .torch_names import clean_name, joined, unwrapped

Seen = Callable[[str, str, Any], None]
Choice = str | Callable[[str], bool] | None

_NAMED = 3  # modules that a warning names


def watch(named: list[tuple[str, torch.nn.Module]], seen: Seen, with_gradients: bool) -> Callable[[], None]:
    """Have a function called with each output of some modules; return what undoes it.

    A forward pass without gradients is left out: it is no part of the training step. So is one within a function that
    the user compiles, or captures in a graph: what is done here would become a part of it. So are all within a
    transform of `torch.func`, but that the function gets the first output there: it will find that it cannot be looked
    at.
    """
    undo: list[Callable[[], None]] = []
    has_refused = False  # something within a transform

    def hook_for(name: str) -> Callable[..., None]:
        def hook(module: Any, given: Any, output: Any) -> None:
            nonlocal has_refused
            if is_recorded():
                return
            if torch.is_grad_enabled() and is_in_transform():
                for place, tensor in () if has_refused else list(tensors_in(name, output))[:1]:
                    has_refused = True
                    for what in ("activations", "activation_gradients")[: 1 + with_gradients]:
                        seen(place, what, tensor)
            elif torch.is_grad_enabled():
                for place, tensor in tensors_in(name, output):
                    seen(place, "activations", tensor.detach())
                    if with_gradients and tensor.requires_grad:
                        undo.append(tensor.register_hook(_gradient_hook(place, seen)).remove)

        return hook

    for name, module in named:
        undo.append(module.register_forward_hook(hook_for(name)).remove)

    def remove() -> None:
        while undo:
            undo.pop()()

    return remove


def _gradient_hook(name: str, seen: Seen) -> Callable[[torch.Tensor], None]:
    def hook(gradient: torch.Tensor) -> None:
        if not is_recorded():
            seen(name, "activation_gradients", gradient if is_of_transform(gradient) else gradient.detach())

    return hook


def tensors_in(name: str, output: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of floats in what a module returned: of several, numbered or named behind the module's name."""
    if isinstance(output, torch.Tensor):
        if output.is_floating_point() or output.is_complex():
            yield name, output
    elif isinstance(output, Mapping):
        for key, part in output.items():
            yield from tensors_in(f"{name}[{key}]", part)
    elif isinstance(output, tuple | list):
        for number, part in enumerate(output):
            yield from tensors_in(f"{name}[{number}]", part)


def chosen(models: Mapping[str, torch.nn.Module], choice: Choice) -> list[tuple[str, torch.nn.Module]]:
    """Return the modules to be watched, by name, each once.

    Args:
        models: by their name; `""` for a single one.
        choice: a shell pattern on the names of all modules; None, or a function of the name, for those that hold no
            others. A compiled module counts as holding none: within it, modules are not called one by one.

    Raises:
        AbsentError: all is compiled in place, and nothing can be watched.
    """
    found: dict[int, tuple[str, torch.nn.Module]] = {}
    for prefix, model in models.items():
        for name, module, is_leaf in _walk(model, prefix):
            is_chosen = fnmatchcase(name, choice) if isinstance(choice, str) else is_leaf
            if is_chosen and (not callable(choice) or choice(name)):
                found.setdefault(id(module), (name, module))
    if not found and any(_is_compiled_in_place(model) for model in models.values()):
        raise AbsentError(
            "activations cannot be had: model.compile() has compiled the whole call, and modules are not called one by "
            "one; write compiled = torch.compile(model) to see at least its output"
        )
    return list(found.values())


def without_scripted(
    named: list[tuple[str, torch.nn.Module]], is_quiet: bool
) -> tuple[list[tuple[str, torch.nn.Module]], bool]:
    """Leave out modules of `torch.jit`, which take no hooks, and warn of it.

    Args:
        named: modules by name.
        is_quiet: whether not to warn.

    Returns:
        The other modules, and whether some were left out.

    Raises:
        AbsentError: there are no others.
    """
    scripted = [name for name, module in named if isinstance(module, torch.jit.ScriptModule)]
    if not scripted:
        return named, False
    more = f" and {len(scripted) - _NAMED} more" if len(scripted) > _NAMED else ""
    shown = f"{', '.join(map(repr, scripted[:_NAMED]))}{more}"
    if len(scripted) == len(named):
        raise AbsentError(f"activations cannot be had: torch.jit has made {shown}, and its modules take no hooks")
    if not is_quiet:
        warn(f"the activations of {shown} are left out: torch.jit has made it, and its modules take no hooks")
    return [(name, module) for name, module in named if name not in scripted], True


def every_module(models: Mapping[str, torch.nn.Module]) -> list[tuple[str, torch.nn.Module]]:
    """Return all modules, also within compiled ones, by their clean names; shared ones once."""
    found: dict[int, tuple[str, torch.nn.Module]] = {}
    for prefix, model in models.items():
        for name, module in unwrapped(model).named_modules():
            found.setdefault(id(module), (joined(prefix, clean_name(name)), module))
    return list(found.values())


def _walk(model: torch.nn.Module, name: str) -> Iterator[tuple[str, torch.nn.Module, bool]]:
    """Yield modules with their name and whether they hold no others."""
    if _is_compiled_in_place(model):
        return
    if isinstance(getattr(model, "_orig_mod", None), torch.nn.Module):
        yield clean_name(name) or "model", model, True
        return
    inner = unwrapped(model)
    if inner is not model:
        yield from _walk(inner, name)
        return
    children = list(model.named_children())
    yield clean_name(name) or "model", model, not children
    for own, child in children:
        yield from _walk(child, joined(name, own))


def _is_compiled_in_place(module: torch.nn.Module) -> bool:
    return getattr(module, "_compiled_call_impl", None) is not None
