"""The names of modules and parameters as the user knows them, whatever wrappers are around or between.

Owns which wrappers are no one's: `torch.compile`, the data-parallel ones, sharding, checkpointing of activations. And
the way to all parameters, which is gone twice in each look, for a model may change at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

WRAPPED = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""Under which name a wrapper holds the module that it is around."""

_USUAL: Any = torch.nn.Module


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """Return the user's module from within `torch.compile` and the data-parallel wrappers, whose names are no one's."""
    while True:
        if isinstance(getattr(module, "_orig_mod", None), torch.nn.Module):
            module = module._orig_mod  # type: ignore[assignment]
        elif isinstance(module, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
            module = module.module
        else:
            return module


def clean_name(name: str) -> str:
    """Return a name without what wrappers in the midst of the module have added to it.

    Example:
        >>> clean_name("encoder._orig_mod.0.weight")
        'encoder.0.weight'
    """
    if "._" not in name and not name.startswith("_"):  # nearly always
        return name
    return ".".join(part for part in name.split(".") if part not in WRAPPED)


def joined(prefix: str, name: str) -> str:
    """Return a name with that of its model in front, where there are several models."""
    return f"{prefix}.{name}" if prefix and name else prefix or name


def parameters_of(module: torch.nn.Module, prefix: str, passed: set[int]) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Yield the parameters of a module, by clean names: those of its `named_parameters`, in half of the time.

    Args:
        module: the user's own.
        prefix: what stands in front of all names, with a dot; `""` for nothing.
        passed: the identities of those that are left out; those that are yielded are added.
    """
    found: dict[str, torch.nn.Parameter] = {}
    is_usual = getattr(module.named_parameters, "__func__", None) is _USUAL.named_parameters
    if is_usual and type(module)._named_members is _USUAL._named_members and _walk(module, prefix, set(passed), found):
        passed.update(map(id, found.values()))
        yield from found.items()
        return
    for name, parameter in module.named_parameters():
        if id(parameter) not in passed:
            passed.add(id(parameter))
            yield prefix + clean_name(name), parameter


def _walk(module: torch.nn.Module, prefix: str, passed: set[int], found: dict[str, torch.nn.Parameter]) -> bool:
    """Find the parameters in a module and in all that it holds; return False where one has a way of its own."""
    if type(module).named_modules is not _USUAL.named_modules or "named_modules" in module.__dict__:
        return False
    passed.add(id(module))
    for name, parameter in module._parameters.items():
        if parameter is not None and id(parameter) not in passed:
            passed.add(id(parameter))
            found[prefix[:-1] if name in WRAPPED else prefix + name] = parameter
    for name, child in module._modules.items():
        if child is None or id(child) in passed:
            continue
        if not _walk(child, prefix if name in WRAPPED else f"{prefix}{name}.", passed, found):
            return False
    return True
