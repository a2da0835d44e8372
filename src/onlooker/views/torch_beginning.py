"""What was not finite when a step of PyTorch began: in the data, the weights, the buffers or the optimizers' states.

Owns the origins that no operation is one of.
"""

from __future__ import annotations

import cmath
import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils._pytree import keystr, tree_leaves_with_path

from onlooker.core.origin import Origin
from onlooker.core.parts import named_parts

from .torch_finite import floats, is_finite, is_float
from .torch_lineage import Lineage, has_nan, is_mask
from .torch_whereabouts import summaries

LARGE = 1e8
"""Weights do not become so large by learning."""
_HAS_NAMES = re.compile(r"[^][0-9]")
"""In the way to a part of a batch: anything but numbers in brackets."""


def tag_data(data: Any, lineage: Lineage) -> list[Origin]:
    """Take note of what is not finite in a batch; return the origins, in order."""
    found = []
    leaves = list(_leaves(data))
    for number, (path, one) in enumerate(leaves):
        tensor = _as_tensor(one)
        if not is_float(tensor) or is_finite(tensor):
            continue
        place = _place(path, number) if len(leaves) > 1 or path.startswith(".") else "the batch"
        origin = Origin("data")
        origin.inputs = summaries({place: tensor})
        if tensor.ndim:
            rows = (~torch.isfinite(tensor)).reshape(len(tensor), -1).any(1)
            origin.numbers["samples"] = float(rows.sum())
            origin.numbers["first_sample"] = float(rows.nonzero()[0])
        if is_mask(tensor):
            lineage.want(origin)
        lineage.tag(tensor, origin)
        found.append(origin)
    return found


def _leaves(data: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is in a batch, also in what PyTorch has been taught to take apart, with the way to it."""
    for path, part in named_parts(data):
        for keys, one in tree_leaves_with_path(part):
            yield f"{path}{keystr(keys)}", one


def _place(path: str, number: int) -> str:
    """Say where in a batch something is: by the names in it, where it has some."""
    return f"batch{path}" if _HAS_NAMES.search(path) else f"part {number} of the batch"


def from_data(tensor: torch.Tensor, origins: Iterable[Origin]) -> Origin | None:
    """Return from which part of a batch a tensor's NaN, or its infinities, may have come; None for none.

    Args:
        tensor: that is not finite, and that no operation was seen to make.
        origins: as `tag_data` returns them.
    """
    is_nan = has_nan(tensor)
    for origin in origins:
        (summary,) = origin.inputs.values()
        is_alike = tensor.numel() > 1 or summary.count == 1  # a single number is a constant rather
        if is_alike and (summary.nan if is_nan else summary.inf):
            return origin
    return None


def perhaps_of_data(is_nan: bool, origins: Iterable[Origin]) -> str:
    """Say where in a batch a single number may have come from all the same; `""` for nowhere."""
    for origin in origins:
        ((place, summary),) = origin.inputs.items()
        if summary.nan if is_nan else summary.inf:
            return f"; or it was read from {place}, where there are some, too"
    return ""


def _as_tensor(one: Any) -> Any:
    if isinstance(one, torch.Tensor):
        return one
    is_number = isinstance(one, float | complex) and not cmath.isfinite(one)
    return torch.as_tensor(one) if is_number or hasattr(one, "__array_interface__") else None


def tag_state(
    named: Iterable[tuple[str, torch.nn.Module]],
    parameters: dict[str, torch.nn.Parameter],
    optimizers: Iterable[torch.optim.Optimizer],
    lineage: Lineage,
) -> None:
    """Take note of what is not finite in weights, buffers and optimizers' states. Masks in buffers are wanted.

    Args:
        named: the modules by their full names.
        parameters: by name.
        optimizers: whose states are looked at.
        lineage: takes the notes.
    """
    for what, name, tensor in _state(named, parameters, optimizers):
        if is_finite(tensor) or lineage.known(tensor) is not None:
            continue
        origin = Origin("weights", parameter=name)
        origin.parameters = summaries({name: tensor})
        origin.why = _REASONS[what]
        if what == "buffer" and not has_nan(tensor):
            lineage.want(origin)
        lineage.tag(tensor, origin)


_REASONS = {
    "weight": "nothing in this batch did that: look where it is initialised or loaded, or written to between batches",
    "buffer": "it is a buffer of the model: learned by nobody, so look where it is filled or loaded",
    "slot": "it belongs to the optimizer: look where its state was loaded, or at the steps before",
}


def _state(
    named: Iterable[tuple[str, torch.nn.Module]],
    parameters: dict[str, torch.nn.Parameter],
    optimizers: Iterable[torch.optim.Optimizer],
) -> Iterator[tuple[str, str, torch.Tensor]]:
    for name, parameter in parameters.items():
        if is_float(parameter):
            yield "weight", name, parameter.detach()
    for name, module in named:
        for own, buffer in module.named_buffers(recurse=False):
            if is_float(buffer):
                yield "buffer", f"{name}.{own}" if name else own, buffer.detach()
    names = {id(parameter): name for name, parameter in parameters.items()}
    for optimizer in optimizers:
        for weight, slots in optimizer.state.items():
            for slot, value in slots.items():
                for tensor in floats(value):
                    yield "slot", f"{slot} of {names.get(id(weight), 'a weight')}", tensor.detach()


@torch.no_grad()
def largest(parameters: dict[str, torch.nn.Parameter]) -> float:
    """Return the largest magnitude of a weight that is finite; 0.0 where there is none."""
    sizes = [float(torch.nan_to_num(one.detach().abs(), 0.0, 0.0).max()) for one in floats(parameters) if one.numel()]
    return max(sizes, default=0.0)
