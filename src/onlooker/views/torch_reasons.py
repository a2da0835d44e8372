"""Finds the words for why an operation of PyTorch's puts out NaN or infinities, among those who have some.

Owns the order in which they are asked: who knows the arguments goes before who knows the numbers only.
"""

from __future__ import annotations

from typing import Any

import torch

from .torch_blame import why
from .torch_buffers import why_of_statistics
from .torch_masks import masked_rows
from .torch_operands import numbered
from .torch_whereabouts import summaries


def reason(name: str, derivative_of: str, inputs: list[torch.Tensor], bad: list[torch.Tensor], given: Any) -> str:
    """Return what usually makes an operation do so, in words; `""` where nothing is known.

    Args:
        name: of the operation.
        derivative_of: of which it is the derivative; `""` in the forward pass.
        inputs: what was put in.
        bad: what came out and is not finite.
        given: its arguments, by place and by name.
    """
    told = masked_rows(name, given[0]) or why_of_statistics(name, given[0], bad)
    numbers = [one for one in given[0] if isinstance(one, int | float)]
    put_in, out = summaries(numbered(inputs)), summaries(numbered(bad))
    return told or why(name, derivative_of, put_in, out, bad[0].dtype, numbers)
