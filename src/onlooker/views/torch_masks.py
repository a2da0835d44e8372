"""Says in words which rows a mask has left nothing of, where a softmax makes NaN of them.

Owns how the rows are counted, by the arguments of PyTorch's own operations.
"""

from __future__ import annotations

from typing import Any

import torch


def masked_rows(name: str, given: Any) -> str:
    """Return which rows of what a softmax was given are all -inf, in words; `""` where none are, or it is none.

    Args:
        name: of the operation.
        given: its arguments, the tensor and the axis, or axes, over which it goes.
    """
    if not is_softmax(name) or len(given) < 2 or not isinstance(given[0], torch.Tensor) or not given[0].numel():
        return ""
    tensor, axes = given[0], given[1]
    if isinstance(axes, torch.Tensor):  # the derivative of a softmax, which is given what that has put out
        return ""
    rows = (tensor == -torch.inf).all(axes) if tensor.ndim else tensor == -torch.inf
    count = int(rows.sum())
    if not count:
        return ""
    first = ", ".join(str(int(one)) for one in rows.nonzero()[0])
    of = f": {count} of {rows.numel()} rows{f', the first at [{first}]' if first else ''}" if rows.numel() > 1 else ""
    return f"all of a row is -inf, a mask leaves nothing to attend to{of}"


def is_softmax(name: str) -> bool:
    """Say whether an operation is one in which -inf means that something is left out."""
    return "softmax" in name or "logsumexp" in name


def is_blamed(name: str, phase: str) -> bool:
    """Say whether an operation that makes NaN of infinities is to be named, and not where they came from.

    Args:
        name: of the operation.
        phase: where the infinities came from, which somebody wants: of those in data that is known of a softmax only.
    """
    return phase != "data" or is_softmax(name)
