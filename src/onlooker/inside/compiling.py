"""How functions of numbers and memory are compiled: by Numba, at their first use, and kept on the disk.

Owns the cache's validity. Numba compiles a function anew when the file changes in which it stands, but not when one
changes in which something stands that it calls or uses. So its name there tells the contents of all these files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from onlooker.core.summary import BINS, LOWEST_EXPONENT

_FILES = ("compiling.py", "instructions.py", "blocks.py", "kernel.py", "torch_team.py")
_CONTENTS = b"".join(Path(__file__).with_name(name).read_bytes() for name in _FILES)
_FINGERPRINT = hashlib.sha256(_CONTENTS + bytes([BINS, -LOWEST_EXPONENT])).hexdigest()[:16]


def cached(compiler: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """Return what compiles a function: kept on the disk, where there is a place for that."""

    def compile_it(function: Any) -> Any:
        function.__qualname__ = f"{function.__qualname__}_{_FINGERPRINT}"
        try:
            return compiler(*given, cache=True, **options)(function)
        except RuntimeError:  # neither the package nor the user's home can be written to
            return compiler(*given, **options)(function)

    return compile_it


compiled = cached(numba.njit, nogil=True)
reassociated = cached(numba.njit, nogil=True, fastmath={"reassoc", "contract", "nsz"})
