"""A look at LightGBM's boosters: one, and the pack of them that cross-validation trains.

Owns the learning rate, and what is written so that a training goes on. Trees are no weights, and have no gradients.
"""

from __future__ import annotations

import json
from typing import Any

from lightgbm import CVBooster

from onlooker.core.errors import DataError
from onlooker.core.view import ModelView

from . import booster_files
from .attributes import Attributes
from .shared_random import SharedRandom

_RATES = ("learning_rate", "shrinkage_rate", "eta")
"""What LightGBM takes for the learning rate, in the order in which it looks."""

_DEFAULT_RATE = 0.1
_END_OF_TREES = "end of trees"


class LightGBMView(ModelView):
    """A look at what LightGBM trains.

    Args:
        model: the `Booster`, or the `CVBooster` of several.
        params: the training's own parameters; LightGBM's `reset_parameter` callback compares with them.
        first_round: with how many rounds the training has begun.
    """

    reason = "its trees are no weights and have no gradients; model.trees_to_dataframe() shows them"

    def __init__(self, model: Any, params: dict[str, Any], first_round: int = 0) -> None:
        super().__init__(model)
        self._params = params
        self._first_round = first_round

    def get_learning_rate(self) -> float:
        """Return the rate by which each new tree is shrunk."""
        params = self._boosters()[0].params
        return float(next((params[name] for name in _RATES if params.get(name) is not None), _DEFAULT_RATE))

    def set_learning_rate(self, value: float | dict[str, float]) -> None:
        """Set it for the rounds to come."""
        if isinstance(value, dict):
            raise ValueError(f"a booster has one learning rate; set a number instead of {value!r}")
        if not value > 0:
            raise ValueError(f"LightGBM takes no learning rate of {value!r}; it must be greater than 0")
        change = {"learning_rate": float(value)}
        for booster in self._boosters():
            booster.reset_parameter(change)
        self._params.update(change)

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply it by a factor."""
        self.set_learning_rate(self.get_learning_rate() * factor)

    def flag_holders(self) -> tuple[dict[str, Any], ...]:
        """Return what looks at the model's attributes: a booster's without its `__dict__`; a pack has them all."""
        return super().flag_holders() if isinstance(self.model, CVBooster) else (Attributes(self.model),)

    def observing(self, seed: int | None = None, gradients: bool = False) -> SharedRandom:
        """Keep the random states of Python and NumPy: prediction draws nothing and changes nothing in a booster."""
        return SharedRandom(seed)

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write all rounds by the booster's own `save_model`; position and states stand in a file beside it."""
        rounds = self._boosters()[0].current_iteration()  # a round that is over cannot be begun again
        kept = {**extra, "next_epoch": rounds, "step": rounds}
        booster_files.save(path, lambda beside: self.model.save_model(beside, num_iteration=-1), kept)

    def load(self, path: str) -> dict[str, Any]:
        """Go back to the round of this training at which `save` wrote the file."""
        extra = booster_files.load_extra(path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        texts = json.loads(text)["boosters"] if isinstance(self.model, CVBooster) else [text]
        for booster, its_text in zip(self._boosters(), texts, strict=True):
            self._go_back(booster, its_text, int(extra["step"]), path)
        return extra

    def _go_back(self, booster: Any, text: str, rounds: int, path: str) -> None:
        """Drop the newest trees. A booster that trains takes no others: it would lose its data and its scores."""
        if "train_set" not in vars(booster):  # it has ended, and LightGBM has taken the data from it
            booster.model_from_string(text)
            return
        too_many = booster.current_iteration() - rounds
        if too_many < 0 or rounds < self._first_round or _trees(booster, rounds) != text.partition(_END_OF_TREES)[0]:
            raise DataError(
                f"{path} holds no earlier round of this training: while it trains, LightGBM can only go back; "
                f"to go on from that file, train anew with init_model={path!r}"
            )
        for _ in range(too_many):
            booster.rollback_one_iter()

    def _boosters(self) -> list[Any]:
        return list(self.model.boosters) if isinstance(self.model, CVBooster) else [self.model]


def _trees(booster: Any, rounds: int) -> str:
    """Return the first trees of a booster as its file has them."""
    if rounds == 0:  # which would mean all of them
        return str(booster.model_to_string(num_iteration=1, start_iteration=10**9)).partition(_END_OF_TREES)[0]
    return str(booster.model_to_string(num_iteration=rounds)).partition(_END_OF_TREES)[0]
