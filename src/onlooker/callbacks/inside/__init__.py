"""`Inside`, and what is behind it: a look, the past, what stands out, a table and figures."""

from __future__ import annotations

from .inside import Inside as Inside
from .timeline import TensorHistory as TensorHistory

__all__ = ["Inside", "TensorHistory"]
