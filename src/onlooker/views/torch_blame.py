"""Puts in words why an operation of PyTorch's puts out NaN or infinities, by its name and what was put in.

Owns the words and the names of operations. They are guesses where the numbers leave a doubt, and then say less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from onlooker.core.summary import Summary

_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "matmul", "linear", "dot", "mv", "addmv", "convolution", "einsum")
_LOGARITHMS = ("log", "log2", "log10", "log1p", "xlogy", "special_xlog1py")
_DERIVATIVES = {
    "sqrt": "the derivative of sqrt is infinite at 0; add a small number within the root",
    "pow": "the derivative of a power below 1 is infinite at 0; add a small number to its base",
    "norm": "the derivative of a norm is infinite or undefined at 0; add a small number within it",
    "linalg_vector_norm": "the derivative of a norm is infinite or undefined at 0; add a small number within it",
    "log": "the derivative of log is infinite at 0; clamp its input",
    "div": "a division by a number near 0 has a derivative that overflows; add a small number to the divisor",
    "std": "the derivative of a standard deviation is infinite where all values are equal; add a small number",
    "acos": "the derivative is infinite at 1 and -1; clamp the input to less",
    "asin": "the derivative is infinite at 1 and -1; clamp the input to less",
    "atan2": "the derivative is undefined where both inputs are 0",
    "where": "where() does not protect from the derivative of the branch that is not taken: 0 times infinity is NaN",
}


def operation_name(function: Any) -> str:
    """Return the name of an operation as a user knows it: `aten.log.default` is `"log"`."""
    name = str(getattr(function, "_overloadpacket", function)).rpartition(".")[2]
    name = name.removeprefix("_foreach_").strip("_")
    return name if str(function).startswith("aten.") else f"{str(function).partition('.')[0]}.{name}"


def node_name(node: Any) -> str:
    """Return of which operation a node is the derivative: `SqrtBackward0` is `"sqrt"`, and a user's own its class."""
    name = str(node.name()).rpartition("::")[2]
    head, found, tail = name.partition("Backward")
    if not found or not (tail == "" or tail.isdigit()):
        return name
    if tail == "":  # a torch.autograd.Function
        return head
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in head)
    return snake.lstrip("_")


def why(name: str, derivative_of: str, given: Mapping[str, Summary], out: Mapping[str, Summary], dtype: Any) -> str:
    """Return what usually makes an operation do so, in words; `""` where nothing is known.

    Args:
        name: of the operation.
        derivative_of: of which it is the derivative; `""` in the forward pass.
        given: what was put in.
        out: what came out.
        dtype: of what came out.
    """
    has_nan = any(one.nan for one in out.values())
    if has_nan and any(one.inf for one in given.values()):
        return _of_infinities(name)
    for known, words in _DERIVATIVES.items():
        if derivative_of == known:
            return words
    inputs = list(given.values())
    if not inputs:
        return ""
    first, last = inputs[0], inputs[-1]
    if any(one.count == 0 for one in inputs):
        return "there are no elements to take it over"
    if name in _LOGARITHMS:
        return f"the logarithm of {'a negative number' if has_nan else '0'}; clamp its input, or use log_softmax"
    if name in ("sqrt", "rsqrt") and first.min < 0:
        return "the root of a negative number; rounding may make a variance negative: clamp it"
    if name in ("div", "reciprocal", "rsqrt", "true_divide", "addcdiv") and last.zeros:
        divided = inputs[-2] if name == "addcdiv" else first
        what = "0 divided by 0" if has_nan and divided.zeros else "a division by 0"
        return f"{what}; add a small number to the divisor"
    if name in ("exp", "exp2", "expm1", "sinh", "cosh", "softplus"):
        return f"exp overflows {_named(dtype)}; subtract the maximum first, as softmax and logsumexp do"
    if name in ("to_copy", "copy") and out:
        return f"numbers beyond what {_named(dtype)} can hold ({_largest(dtype):.3g}); use bfloat16, or scale them"
    if name in ("var", "std", "var_mean", "std_mean") and has_nan:
        return "the spread of one element is undefined; use correction=0, or larger batches"
    if name in _PRODUCTS or name in ("mul", "add", "sub", "sum", "pow", "square", "mean", "cumsum", "prod", "addcmul"):
        return f"the result is beyond what {_named(dtype)} can hold ({_largest(dtype):.3g})"
    return ""


def _of_infinities(name: str) -> str:
    if "softmax" in name or "logsumexp" in name:
        return "all of a row is -inf: a mask leaves nothing to attend to"
    if name == "mul":
        return "0 times infinity; a mask by multiplication does not take infinities away: use torch.where"
    return "infinities meet: infinity minus infinity, 0 times infinity, or infinity divided by infinity"


def _named(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _largest(dtype: Any) -> float:
    is_known = isinstance(dtype, torch.dtype) and (dtype.is_floating_point or dtype.is_complex)
    return float(torch.finfo(dtype).max) if is_known else float("inf")
