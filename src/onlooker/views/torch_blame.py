"""Puts in words why an operation of PyTorch's puts out NaN or infinities, by its name and what was put in.

Owns the words and the names of operations. They are guesses where the numbers leave a doubt, and then say less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from onlooker.core.summary import Summary

_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "matmul", "linear", "dot", "mv", "addmv", "convolution", "einsum")
_GROWING = ("mul", "add", "sub", "sum", "pow", "square", "mean", "cumsum", "prod", "cumprod", "addcmul", "lerp")
_SQUARING = ("mse_loss", "norm", "linalg_vector_norm", "var", "std", "var_mean", "cdist_forward", "euclidean_dist")
_LOGARITHMS = ("log", "log2", "log10", "log1p", "xlogy", "special_xlog1py")
_DIVISIONS = ("div", "reciprocal", "rsqrt", "true_divide", "addcdiv", "remainder", "fmod")
_NORMS = ("native_batch_norm", "native_layer_norm", "native_group_norm", "cudnn_batch_norm", "fused_rms_norm")
_DERIVATIVES = {
    "sqrt": "the derivative of sqrt is infinite at 0; add a small number within the root",
    "pow": "the derivative of a power below 1 is infinite at 0; add a small number to its base",
    "norm": "the derivative of a norm is infinite or undefined at 0; add a small number within it",
    "linalg_vector_norm": "the derivative of a norm is infinite or undefined at 0; add a small number within it",
    "log": "the derivative of log is infinite at 0; clamp its input",
    "div": "a division by a number near 0 has a derivative that overflows; add a small number to the divisor",
    "reciprocal": "a division by a number near 0 has a derivative that overflows; add a small number to the divisor",
    "acos": "the derivative is infinite at 1 and -1; clamp the input to less",
    "asin": "the derivative is infinite at 1 and -1; clamp the input to less",
    "linalg_svd": "the derivative of svd is undefined where two singular values are equal",
    "linalg_eigh": "the derivative of eigh is undefined where two eigenvalues are equal",
    "linalg_eig": "the derivative of eig is undefined where two eigenvalues are equal",
}
_DOMAINS = {
    "acos": "its input has to be between -1 and 1; rounding may bring a cosine above 1: clamp it",
    "asin": "its input has to be between -1 and 1; rounding may bring a sine above 1: clamp it",
    "atanh": "its input has to be between -1 and 1, without these: clamp it to less",
    "erfinv": "its input has to be between -1 and 1, without these: clamp it to less",
    "logit": "its input has to be between 0 and 1, without these; eps= clamps it",
    "acosh": "its input has to be 1 or more",
    "nll_loss_forward": "the mean over no targets: all are ignore_index, or have the weight 0",
    "nll_loss2d_forward": "the mean over no targets: all are ignore_index, or have the weight 0",
    "linalg_slogdet": "the determinant is 0, and its logarithm infinite; add a small number to the diagonal",
    "linalg_inv_ex": "the matrix is singular and has no inverse; add a small number to the diagonal",
    "linalg_solve_ex": "the matrix is singular and there is no solution; add a small number to the diagonal",
    "linalg_solve_triangular": "there is a 0 on the diagonal; add a small number to it",
    "weight_norm_interface": "the norm of a row of the weight is 0, and the row is divided by it",
    "ctc_loss": "a target is longer than its input, in which repeated labels count twice; zero_infinity=True skips it",
}
_UNUSED = (
    "where what it put out is not used a gradient of 0 comes in, and 0 times infinity is NaN: where() and masks do not "
    "protect from the derivative of what they leave out. Make its input harmless before, as in "
    "torch.log(torch.where(ok, x, 1.0))"
)


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


def why(
    name: str,
    derivative_of: str,
    given: Mapping[str, Summary],
    out: Mapping[str, Summary],
    dtype: Any,
    numbers: Sequence[float] = (),
) -> str:
    """Return what usually makes an operation do so, in words; `""` where nothing is known.

    Args:
        name: of the operation.
        derivative_of: of which it is the derivative; `""` in the forward pass.
        given: what was put in.
        out: what came out.
        dtype: of what came out.
        numbers: of Python's that were put in, such as an exponent.
    """
    inputs = list(given.values())
    has_nan = any(one.nan for one in out.values())
    if has_nan and any(one.inf for one in inputs):
        return _of_infinities(name, derivative_of, bool(inputs[0].inf))
    if derivative_of in _DERIVATIVES:
        words = _DERIVATIVES[derivative_of]
        may_be_unused = has_nan and name == "div" and inputs and inputs[0].zeros
        return f"{words}; {_UNUSED}" if may_be_unused and not derivative_of.startswith("linalg") else words
    if not inputs:
        return ""
    if any(one.count == 0 for one in inputs):
        return "there are no elements to take it over"
    if name in _DOMAINS:
        return _DOMAINS[name]
    return _of_numbers(name, inputs, has_nan, numbers) or _of_overflow(name, inputs, bool(out), dtype)


def why_of_step(group: Mapping[str, Any], operation: str, gradient: Summary | None) -> str:
    """Return what makes an optimizer's step put out NaN, in words; `""` where the operation alone tells.

    Args:
        group: the settings of the optimizer for the weight.
        operation: the one that did it.
        gradient: what that of the weight looked like.
    """
    rate = float(group["lr"])
    if not math.isfinite(rate):
        return f"the learning rate is {rate:g}; look at its schedule, or at what sets it"
    for name, value in group.items():
        if isinstance(value, float) and math.isnan(value):
            return f"the optimizer's {name} is nan; look at what sets it"
    if operation == "addcmul" or (operation.startswith("fused_ad") and _has_large_squares(gradient)):
        return "the square of the gradient is more than its type can hold; clip the gradients by their norm"
    if operation in _DIVISIONS and gradient is not None and _is_lost(group.get("eps"), gradient.dtype):
        return f"the optimizer's eps of {group['eps']:g} is 0 in {gradient.dtype}; raise it, or keep weights in float32"
    if operation in _DIVISIONS and group.get("eps") == 0:
        return "0 divided by 0, where a gradient was always 0: the optimizer has eps=0; leave it at its default"
    return ""


def _is_lost(eps: Any, dtype: str) -> bool:
    """Say whether a small number is rounded to 0."""
    kind = getattr(torch, dtype, None)
    return bool(isinstance(eps, float) and eps and isinstance(kind, torch.dtype) and not torch.tensor(eps, dtype=kind))


def _has_large_squares(gradient: Summary | None) -> bool:
    if gradient is None or not gradient.finite:
        return False
    return max(abs(gradient.min), abs(gradient.max)) ** 2 > _largest(torch.float32)


def _of_numbers(name: str, inputs: Sequence[Summary], has_nan: bool, numbers: Sequence[float]) -> str:
    """Return which numbers an operation is not defined for."""
    first, last = inputs[0], inputs[-1]
    if name in _LOGARITHMS:
        return f"the logarithm of {'a negative number' if has_nan else '0'}; clamp its input, or use log_softmax"
    if name in ("sqrt", "rsqrt") and first.min < 0:
        return "the root of a negative number; rounding may make a variance negative: clamp it"
    if name == "pow" and has_nan and first.min < 0:
        return "a negative number to a power that is no whole number; clamp its base"
    if name == "pow" and first.zeros and any(one < 0 for one in numbers):
        return "0 to a negative power, a division by 0; add a small number to its base"
    is_by_number = name in _DIVISIONS and len(inputs) == 1 and bool(numbers)
    if name in _DIVISIONS and (0 in numbers if is_by_number else last.zeros):
        divided = inputs[-2] if name == "addcdiv" else first
        what = "0 divided by 0" if has_nan and divided.zeros else "a division by 0"
        return f"{what}; {'the divisor is a number of Python' if is_by_number else 'add a small number to the divisor'}"
    if name in ("var", "std", "var_mean", "std_mean") and has_nan:
        return "the spread of one element is undefined; use correction=0, or larger batches"
    return ""


def _of_overflow(name: str, inputs: Sequence[Summary], is_known: bool, dtype: Any) -> str:
    """Return what an operation has made too large."""
    if name in ("exp", "exp2", "expm1", "sinh", "cosh", "softplus"):
        return f"exp overflows {_named(dtype)}; subtract the maximum first, as softmax and logsumexp do"
    if name in ("to_copy", "copy") and is_known:
        cure = "use bfloat16, or scale them" if dtype is torch.float16 else "scale them"
        return f"numbers beyond what {_named(dtype)} can hold ({_largest(dtype):.3g}); {cure}"
    if name in _NORMS:
        if max(abs(inputs[0].min), abs(inputs[0].max)) ** 2 < _largest(dtype):
            return "the variance of what it normalises is 0; give it an eps above 0"
        return f"the variance of what it normalises is beyond what {_named(dtype)} can hold ({_largest(dtype):.3g})"
    if name in _PRODUCTS or name in _GROWING:
        return f"the result is beyond what {_named(dtype)} can hold ({_largest(dtype):.3g})"
    if name in _SQUARING:
        return f"squares of such numbers are beyond what {_named(dtype)} can hold ({_largest(dtype):.3g})"
    return ""


def _of_infinities(name: str, derivative_of: str, is_first: bool) -> str:
    """Return what infinities have become; in a derivative the first input is the gradient, as a rule."""
    if name == "mul":
        if derivative_of:
            is_used = is_first or derivative_of in ("mul", "div")
            return "0 times infinity" if is_used else f"0 times infinity; {_UNUSED}"
        return "0 times infinity; a mask by multiplication does not take infinities away: use torch.where"
    return "infinities meet: infinity minus infinity, 0 times infinity, or infinity divided by infinity"


def _named(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _largest(dtype: Any) -> float:
    is_known = isinstance(dtype, torch.dtype) and (dtype.is_floating_point or dtype.is_complex)
    return float(torch.finfo(dtype).max) if is_known else float("inf")
