"""PyTorch's own threads, which go over rows of memory together with the thread that calls.

Owns the way to them. PyTorch's operations on the CPU are shared by a team of OpenMP's, whose members stay awake for
some milliseconds after each: they are there at once, each on a processor, where threads of ours would have to be woken
up, and to contend with them. The compiled code that they run here takes one row after another, and knows nothing of
Python. Where there is no such team, the calling thread works alone.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from numba.core import types

from onlooker.core.summary import BINS

from .compiling import cached, compiled
from .instructions import pointer, take_next
from .kernel import NUMBERS, make_room, over_address

_WORDS = 5
"""Of a task: the next row, how many rows there are, and the addresses of the three arrays, as int64."""


def work(rows: np.ndarray[Any, Any], threads: int = 1) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Go over rows of float32 memory, as many threads as may, each row by one; see `kernel.over_address`.

    Args:
        rows: of shape (4, n), int64, in one piece: where each row begins; how many elements it has, one at least; 0, or
            the address of other memory of the same length; 0, or the address to which that is copied.
        threads: the number of PyTorch's, to use them; 1 to work alone.

    Returns:
        The numbers, of shape (n, 7), float64, and the bins, of shape (n, 64), int64.
    """
    count = rows.shape[1]
    numbers, bins = np.empty((count, NUMBERS)), np.empty((count, BINS), dtype=np.int64)
    task = np.array([0, count, *(array.ctypes.data for array in (rows, numbers, bins))], dtype=np.int64)
    start = _find_start() if threads > 1 and not _is_forked else None
    if start is None:
        _take_rows(task.ctypes.data)
    else:
        start(_member.address, task.ctypes.data, threads, 0)
    return numbers, bins


@compiled
def _take_rows(task: int) -> None:  # pragma: no cover - compiled
    header = numba.carray(pointer(task), (_WORDS,), np.int64)
    count = header[1]
    row = take_next(task)
    if row >= count:
        return
    rows = numba.carray(pointer(header[2]), (4, count), np.int64)
    numbers = numba.carray(pointer(header[3]), (count, NUMBERS), np.float64)
    bins = numba.carray(pointer(header[4]), (count, BINS), np.int64)
    room = make_room()
    while row < count:
        over_address(rows[0, row], rows[1, row], rows[2, row], rows[3, row], room, numbers[row], bins[row])
        row = take_next(task)


@cached(numba.cfunc, types.void(types.intp), nopython=True)
def _member(task: int) -> None:  # pragma: no cover - compiled
    _take_rows(task)


@cache
def _find_start() -> Callable[..., None] | None:
    """Return what has PyTorch's threads run a function, as compilers call it; None where PyTorch has another kind."""
    if not torch.backends.openmp.is_available():
        return None
    # First in all that is loaded, as PyTorch's own calls are resolved; then in what PyTorch was linked to.
    pytorchs = sorted(Path(torch.__file__ or "").with_name("lib").glob("libtorch_cpu.*"))
    for library in (None, *map(str, pytorchs)):
        try:
            start: Any = ctypes.CDLL(library).GOMP_parallel
        except (AttributeError, OSError, TypeError):
            continue
        start.argtypes, start.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint), None
        found: Callable[..., None] = start
        return found
    return None


def _forget_team() -> None:
    """In a process that was forked there is no team, and to ask for one may wait for ever."""
    global _is_forked
    _is_forked = True


_is_forked = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_team)
