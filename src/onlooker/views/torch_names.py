"""The names of modules and parameters as the user knows them, whatever wrappers are around or between.

Owns which wrappers are no one's: `torch.compile`, the data-parallel ones, sharding, checkpointing of activations.
"""

from __future__ import annotations

import torch

WRAPPED = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""Under which name a wrapper holds the module that it is around."""


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
