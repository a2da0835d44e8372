"""Finds the line of the user's own code that is being run, or that made a node of PyTorch's graph.

Owns what is no user's code: PyTorch, Onlooker and the standard library.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import Any

import torch

_FOREIGN = tuple(
    os.path.join(folder, "")
    for folder in (
        os.path.dirname(torch.__file__),
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        sysconfig.get_paths()["stdlib"],
    )
)
_OF_SITE = os.path.join(sysconfig.get_paths()["stdlib"], "site-packages", "")


def present_line() -> str:
    """Return the innermost line of the user's code that is being run: `"model.py:12, in forward"`."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if _is_users(frame.f_code.co_filename):
            return _said(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return ""


def forward_line(node: Any) -> str:
    """Return the innermost line of the user's code that made a node in the forward pass; `""` where it is unknown."""
    for entry in reversed(node.metadata.get("traceback_", ())):
        head = entry.strip().splitlines()[0]
        file, _, rest = head.removeprefix('File "').partition('", line ')
        if _is_users(file):
            number, _, function = rest.partition(", in ")
            return _said(file, number, function)
    return ""


def _is_users(file: str) -> bool:
    if file.startswith("<frozen") or (file.startswith(_FOREIGN) and not file.startswith(_OF_SITE)):
        return False
    return not file.startswith(_FOREIGN[:2])


def _said(file: str, line: Any, function: str) -> str:
    within = "" if function == "<module>" else f", in {function}"
    return f"{os.path.basename(file)}:{line}{within}"
