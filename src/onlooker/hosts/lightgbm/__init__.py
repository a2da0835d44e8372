"""LightGBM as a host: `for_lightgbm`, and the parts that it is made of."""

from __future__ import annotations

from .adapter import for_lightgbm

__all__ = ["for_lightgbm"]
