"""`FindNaN`: names what first stopped being finite in a training. See `find_nan`."""

from __future__ import annotations

from .find_nan import FindNaN as FindNaN
from .finding import Finding as Finding

__all__ = ["FindNaN", "Finding"]
