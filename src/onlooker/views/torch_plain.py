"""Turns what callbacks remember into data that a checkpoint can hold, and back.

A checkpoint is read without running code, so it holds plain data and tensors only. NumPy's arrays are packed as tensors
and come back as arrays; anything else is refused when it is saved, not when a lost training shall be resumed.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from onlooker.core.errors import DataError

_ARRAY = "__numpy_array__"
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def pack(value: Any, where: str) -> Any:
    """Return a value with its NumPy arrays as tensors.

    Args:
        value: numbers, words, tensors, NumPy's arrays, and lists, tuples, sets and dicts of these.
        where: what it is, for the message.

    Raises:
        DataError: there is something else in it; the message says where.
    """
    kind = type(value)
    if kind in _PLAIN or isinstance(value, torch.Tensor):
        return value
    if isinstance(value, dict):
        return {pack(name, f"a key of {where}"): pack(part, f"{where}[{name!r}]") for name, part in value.items()}
    if kind in (list, tuple, set):
        return kind(pack(part, f"{where}[{number}]") for number, part in enumerate(value))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic) and value.dtype.kind in "biufc":
        if isinstance(value, numpy.generic):
            return value.item()
        return {_ARRAY: torch.from_numpy(numpy.array(value))}
    raise DataError(
        f"{where} is of type {kind.__qualname__}, which a checkpoint cannot hold; "
        f"let state_dict return numbers, words, tensors, arrays, and lists, tuples and dicts of these"
    )


def unpack(value: Any) -> Any:
    """Return what was given to `pack`."""
    if isinstance(value, dict):
        if _ARRAY in value:
            return value[_ARRAY].numpy()
        return {unpack(name): unpack(part) for name, part in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(unpack(part) for part in value)
    return value
