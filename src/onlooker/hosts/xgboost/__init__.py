"""XGBoost as a host: `for_xgboost`, and the parts that it is made of."""

from __future__ import annotations

from .adapter import for_xgboost

__all__ = ["for_xgboost"]
