"""The buffers of PyTorch's modules: which there are, which of them are not finite, and what batch norm does to its own.

Owns which buffers have to be finite: those that once were, but for masks, and running statistics always. Why they stop
being so is put in words here, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from .torch_finite import floats, not_finite
from .torch_lineage import is_mask
from .torch_names import joined

Named = Iterable[tuple[str, torch.nn.Module]]

_WITH_STATISTICS = ("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm")
"""The operations that write to two of their arguments, of which their schema does not tell."""
_RUNNING, _VARIANCE = slice(3, 5), slice(4, 5)
_TRAINING, _MOMENTUM = 5, 6
"""Where among their arguments is what."""


def buffers(
    named: Named, owner: type[torch.nn.Module] = torch.nn.Module, is_lazy_too: bool = False
) -> dict[str, torch.Tensor]:
    """Return the buffers of modules by their full names.

    Args:
        named: the modules by their full names.
        owner: only those of modules of this class.
        is_lazy_too: whether those are among them that have no values yet.
    """
    return {
        joined(name, own): buffer
        for name, module in named
        if isinstance(module, owner)
        for own, buffer in module.named_buffers(recurse=False)
        if is_lazy_too or not is_lazy(buffer)
    }


def finite_buffers(named: Named) -> frozenset[str]:
    """Return the names of those that have to stay finite: those that are so now, and running statistics anyway."""
    listed = list(named)
    found, statistics = buffers(listed), buffers(listed, _NormBase, is_lazy_too=True)
    own = {name for name, one in found.items() if any(part.numel() for part in floats(one))}
    return frozenset(own.difference(not_finite(found)).union(statistics))


def lost_buffers(named: Named, watched: Collection[str]) -> dict[str, torch.Tensor]:
    """Return those of some that hold NaN or infinities, but for masks; a transfer for each device where none do.

    Args:
        named: the modules by their full names.
        watched: the names of the buffers.
    """
    found = {name: buffer for name, buffer in buffers(named).items() if name in watched}
    return {name: found[name] for name in not_finite(found) if not _is_mask(found[name])}


def _is_mask(tensor: torch.Tensor) -> bool:
    """Say whether there are only 0 and minus infinity, and both of them."""
    return is_mask(tensor) and bool((tensor == 0).any()) and bool(((tensor == 0) | (tensor == -torch.inf)).all())


def statistics_written(name: str, given: tuple[Any, ...]) -> list[torch.Tensor]:
    """Return the running statistics that an operation writes to.

    Args:
        name: of the operation.
        given: its arguments.
    """
    is_written = name in _WITH_STATISTICS and len(given) > _MOMENTUM and given[_TRAINING]
    return floats(given[_RUNNING]) if is_written else []


def why_of_statistics(name: str, given: tuple[Any, ...], lost: list[torch.Tensor]) -> str:
    """Return why running statistics stopped being finite, or make NaN, in words; `""` where it is not about them.

    Args:
        name: of the operation.
        given: its arguments.
        lost: what has come out and is not finite.
    """
    if name not in _WITH_STATISTICS or len(given) <= _MOMENTUM:
        return ""
    momentum = float(given[_MOMENTUM])
    is_possible = 0 <= momentum <= 1
    if not given[_TRAINING]:
        is_negative = any(bool((one < 0).any()) for one in floats(given[_VARIANCE]))
        cause = "look where it is loaded or written to" if is_possible else f"the momentum is {momentum:g}, not 0 to 1"
        return f"its running variance is negative: {cause}" if is_negative else ""
    running = statistics_written(name, given)
    if not running or not all(any(one is other for other in running) for one in lost):
        return ""
    if not is_possible:
        return f"the momentum is {momentum:g}: beyond 0 to 1 the running statistics grow from batch to batch"
    dtype = lost[0].dtype
    return (
        f"the running statistics are beyond what {str(dtype).removeprefix('torch.')} can hold "
        f"({torch.finfo(dtype).max:.3g}): what was normalised is too large"
    )
