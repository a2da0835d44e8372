"""Which tensors an operation of PyTorch reads and writes, as far as its schema tells.

Owns the way from an operation's arguments to the tensors that a person is shown, and which operations are none that
compute.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_leaves

from .torch_buffers import statistics_written
from .torch_finite import floats

MADE_OF_NOTHING = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "empty_permuted")
READS = ("local_scalar_dense",)
WRAPS = ("scalar_tensor", "lift_fresh", "detach", "to_copy", "expand", "view")
DIVISIONS = ("div", "true_divide", "remainder", "fmod")
OVERWRITING = ("copy", "fill", "zero", "normal", "uniform", "bernoulli", "exponential", "random", "set")


class Operation(NamedTuple):
    """An operation that is being done: what it was given, what it writes to, and what went in, as it was before."""

    function: Any
    name: str
    given: tuple[Any, Any]
    targets: list[torch.Tensor]
    inputs: list[torch.Tensor]
    sick: list[torch.Tensor]


def numbered(tensors: list[torch.Tensor], word: str = "input", most: int = 8) -> dict[str, torch.Tensor]:
    """Name tensors by their place; of many, as in an optimizer's step over all weights, the first few."""
    if len(tensors) == 1:
        return {word: tensors[0]}
    return {f"{word} {number}": one for number, one in enumerate(tensors[:most])}


def operands(name: str, given: Any) -> list[torch.Tensor]:
    """Return the tensors that go into an operation: those of floats, and of a division whole numbers, too.

    Args:
        name: of the operation.
        given: its arguments, by place and by name.
    """
    if name not in DIVISIONS:
        return floats(given)
    tensors = [one for one in tree_leaves(given) if isinstance(one, torch.Tensor)]
    whole = [not (one.is_floating_point() or one.is_complex()) for one in tensors]
    return [part for one, is_whole in zip(tensors, whole, strict=True) for part in ([one] if is_whole else floats(one))]


def written(function: Any, name: str, given: Any, named: Any) -> list[torch.Tensor]:
    """Return the tensors of floats that an operation writes to."""
    if not function._schema.is_mutable:
        return statistics_written(name, given)
    found = []
    for position, argument in enumerate(function._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found.append(given[position] if position < len(given) else named.get(argument.name))
    return floats(found)


def of_first(function: Any, inputs: Any, outputs: Any, bad: list[torch.Tensor]) -> tuple[Any, Any]:
    """Return what went in and came out, of an operation over many tensors that of the first that is not finite."""
    count = len(outputs)
    if not str(function).startswith("aten._foreach_") or count < 2:
        return inputs, bad
    place = next(number for number, one in enumerate(outputs) if one is bad[0])
    return (inputs[place::count] if len(inputs) % count == 0 else inputs), bad[:1]
