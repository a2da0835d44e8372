"""A look at XGBoost's boosters: one, and the pack of them that cross-validation trains.

Owns the learning rate, and what is written so that a training goes on. Trees are no weights, and have no gradients.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from xgboost import collective

from onlooker.core.view import ModelView

from . import booster_files
from .attributes import Attributes
from .shared_random import SharedRandom


class XGBoostView(ModelView):
    """A look at what XGBoost trains.

    Args:
        model: what `xgboost.cv` hands to callbacks: its boosters are in `model.cvfolds`, each as `bst`.
    """

    reason = "xgboost.cv trains a booster for each fold and returns none of them"

    def get_learning_rate(self) -> float:
        """Return the rate by which each new tree is shrunk; of several boosters, which share it, that of the first."""
        rate = _find_rate(self._booster().save_config())
        if rate is None:
            raise self._absent("the learning rate")
        return rate

    def set_learning_rate(self, value: float | dict[str, float]) -> None:
        """Set it for the rounds to come."""
        if isinstance(value, dict):
            raise ValueError(f"a booster has one learning rate; set a number instead of {value!r}")
        self.model.set_param({"learning_rate": float(value)})

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply it by a factor."""
        self.set_learning_rate(self.get_learning_rate() * factor)

    def observing(self, seed: int | None = None, gradients: bool = False) -> SharedRandom:
        """Keep the random states of Python and NumPy: prediction draws nothing and changes nothing in a booster."""
        return SharedRandom(seed)

    def process_count(self) -> int:
        """Return how many workers train together."""
        return int(collective.get_world_size())

    def process_rank(self) -> int:
        """Return which of them this one is, from 0."""
        return int(collective.get_rank())

    def flag_holders(self) -> tuple[dict[str, Any], ...]:
        """Return what looks at the model's attributes, without its `__dict__`."""
        return (Attributes(self.model),)

    def _booster(self) -> Any:
        return self.model.cvfolds[0].bst


class BoosterView(XGBoostView):
    """A look at one booster, as `xgboost.train` and the scikit-learn interface train it."""

    reason = (
        "its trees are no weights and have no gradients; model.trees_to_dataframe() and model.get_score() show them"
    )

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write the booster by its own `save_model`; position, parameters and states in a file beside it."""
        if os.path.splitext(path)[1] not in (".json", ".ubj"):
            raise ValueError(f"{path!r} must end in .json or .ubj: XGBoost goes by it")
        rounds = int(self.model.num_boosted_rounds())  # a round that is over cannot be begun again
        kept = {**extra, "next_epoch": rounds, "step": rounds, "parameters": self.model.save_config()}
        booster_files.save(path, self.model.save_model, kept)

    def load(self, path: str) -> dict[str, Any]:
        """Put the booster and its parameters back to what `save` wrote."""
        extra = booster_files.load_extra(path)
        self.model.save_config()  # parameters that were set since the last round would outlive what is loaded
        self.model.load_model(path)
        self.model.load_config(extra["parameters"])
        rate = _find_rate(extra["parameters"])
        if rate is not None:  # gblinear takes none from the configuration
            self.set_learning_rate(rate)
        return extra

    def _booster(self) -> Any:
        return self.model


def _find_rate(parameters: str) -> float | None:
    """Return the learning rate in a booster's configuration, in which each kind of booster has its own place for it."""
    parts: list[dict[str, Any]] = [json.loads(parameters)["learner"]["gradient_booster"]]
    for part in parts:  # grows on the way
        if "learning_rate" in part:
            return float(str(np.float32(part["learning_rate"])))  # kept in 32 bits: 0.1, not 0.100000001
        parts += [value for value in part.values() if isinstance(value, dict)]
    return None
