"""Transformers as a host: `for_transformers`, and the parts that it is made of."""

from __future__ import annotations

from .adapter import for_transformers

__all__ = ["for_transformers"]
