"""`Examination`: what a rule gets to see at one look.

Owns what is made of a look for all rules together, each thing once and only when a rule asks for it.
"""

from __future__ import annotations

import math

from onlooker.callbacks.numbers_in import numbers_in
from onlooker.core.errors import AbsentError, LookError
from onlooker.core.logs import combine

from .frozen import frozen_layers, frozen_weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from onlooker.core.run import Run
    from onlooker.core.summary import Summary

    Summaries = Mapping[str, Summary]

_NOTHING: dict[str, Any] = {}
SMALL_BATCH = 8
_SOME_STEPS, _MANY_STEPS = 200, 500
_PLAYERS = ("generator", "discriminator", "critic")
_REWARDS = ("reward", "return", "returns", "rewards")


class Examination:
    """One look at a training.

    Attributes:
        run: the run; its `inputs` and `targets` are those of the batch at hand.
        step: the step of the look.
        weights: summaries by name, after the step; empty where they were not looked at, as are the others.
        gradients: by the name of the weight, before clipping.
        updates: what the step has changed, by the name of the weight.
        activations: by the name of the module.
        activation_gradients: by the name of the module.
        looked: which of them were looked at: those that are empty, and here, had nothing to look at.
        logged: the numbers that were logged for each batch since the last look, oldest first.
    """

    def __init__(
        self,
        run: Run,
        step: int,
        summaries: Mapping[str, Summaries],
        logs: Sequence[Mapping[str, Any]] = (),
        looked: Iterable[str] = (),
    ) -> None:
        self.run, self.step = run, step
        self.weights = summaries.get("weights", _NOTHING)
        self.gradients = summaries.get("gradients", _NOTHING)
        self.updates = summaries.get("updates", _NOTHING)
        self.activations = summaries.get("activations", _NOTHING)
        self.activation_gradients = summaries.get("activation_gradients", _NOTHING)
        self.looked = frozenset((*looked, *(what for what, found in summaries.items() if found)))
        self.logged = _numbers(logs)
        self._cache: dict[str, Any] = {}

    def values(self, name: str) -> list[float]:
        """Return what was logged under a name for each batch since the last look."""
        return [one[name] for one in self.logged if name in one]

    def mean(self, names: Sequence[str]) -> float | None:
        """Return the mean over the batches since the last look of the first of these names that was logged, or None."""
        for name in names:
            values = self.values(name)
            if values:
                return sum(values) / len(values)
        return None

    def by_model(self, what: str) -> dict[str, dict[str, Summary]]:
        """Return the summaries of `"gradients"` or the like for each model; of a single model, under `""`."""
        found: dict[str, dict[str, Summary]] | None = self._cache.get(what)
        if found is None:
            models, summaries = self.run.model, getattr(self, what)
            if isinstance(models, dict):
                found = {model: _of(f"{model}.", summaries) for model in models}
            else:
                found = {"": dict(summaries)}
            found = self._cache[what] = {model: part for model, part in found.items() if part}
        return found

    @property
    def learning_rate(self) -> dict[str, float]:
        """The learning rates by name; one alone under `""`. Empty where there is none."""
        if "learning_rate" not in self._cache:
            try:
                rate = self.run.learning_rate
            except AbsentError:
                rate = {}
            self._cache["learning_rate"] = rate if isinstance(rate, dict) else {"": float(rate)}
        found: dict[str, float] = self._cache["learning_rate"]
        return found

    @property
    def batch_size(self) -> int | None:
        """How many samples the batch at hand has, or None where that cannot be seen."""
        data = self.run.inputs
        while isinstance(data, dict | list | tuple) and data:
            data = next(iter(data.values())) if isinstance(data, dict) else data[0]
        shape: tuple[Any, ...] | None = getattr(data, "shape", None)
        return int(shape[0]) if shape else None

    @property
    def is_small_batch(self) -> bool:
        """Whether the batch at hand has fewer than eight samples: what it looks like then depends on which they are."""
        size = self.batch_size
        return size is not None and size < SMALL_BATCH

    @property
    def has_seen_much(self) -> bool:
        """Whether a whole epoch and 200 steps have gone by, or 500: by then what is used now and then has been used."""
        return self.step >= (_SOME_STEPS if (self.run.epoch or 0) >= 1 else _MANY_STEPS)

    @property
    def is_game(self) -> bool:
        """Whether the loss is no measure of what is learned: players against each other, or rewards that count.

        By the names of several models, and by those that are logged.
        """
        found: bool | None = self._cache.get("is_game")
        if found is None:
            models = self.run.model if isinstance(self.run.model, dict) else ()
            words = {word for logs in self.logged for name in logs for word in _words(name)}
            players = sum(player in words for player in (*_PLAYERS, "d", "g"))
            found = any(name in _PLAYERS for name in models) or players > 1 or bool(words.intersection(_REWARDS))
            self._cache["is_game"] = found
        return found

    @property
    def left_gradients(self) -> frozenset[str]:
        """The names of the weights that have a gradient as the batch ends, with an optimizer or not."""
        if "left_gradients" not in self._cache:
            try:
                self._cache["left_gradients"] = frozenset(self.run.gradients())
            except AbsentError:
                self._cache["left_gradients"] = frozenset()
        found: frozenset[str] = self._cache["left_gradients"]
        return found

    @property
    def frozen(self) -> frozenset[str]:
        """The names of the weights that are marked as not to be trained."""
        if "frozen" not in self._cache:
            self._cache["frozen"] = frozen_weights(self.run)
        found: frozenset[str] = self._cache["frozen"]
        return found

    @property
    def frozen_layers(self) -> frozenset[str]:
        """The layers whose weights are all frozen, and those without weights behind them: nothing can change there."""
        if "frozen_layers" not in self._cache:
            self._cache["frozen_layers"] = frozen_layers(self.activations, self.weights, self.frozen)
        found: frozenset[str] = self._cache["frozen_layers"]
        return found

    @property
    def inputs(self) -> Summary | None:
        """What the inputs of the batch at hand look like, if they are one array."""
        return self._of_data("inputs")

    @property
    def targets(self) -> Summary | None:
        """What the targets of the batch at hand look like, if they are one array."""
        return self._of_data("targets")

    def summary(self, name: str, data: Any) -> Summary | None:
        """Return what some data look like, or None where they are no array; `name` is for keeping it."""
        if name not in self._cache:
            self._cache[name] = _summary(self.run, data)
        found: Summary | None = self._cache[name]
        return found

    def _of_data(self, name: str) -> Summary | None:
        return self.summary(name, getattr(self.run, name))


def strength(summary: Summary) -> float:
    """Return the root mean square of the finite elements that are not 0: where only some of a tensor is in use."""
    count = summary.finite - summary.zeros
    return math.sqrt(summary.squares / count) if count > 0 else 0.0


def is_matrix(summary: Summary) -> bool:
    """Say whether a tensor has two axes or more, as weights that multiply have; biases and scales have one."""
    return summary.shape is not None and len(summary.shape) > 1


def was_zero(weight: Summary, update: Summary | None) -> bool:
    """Say whether a weight was all 0 before its last step, so that this step is all that it is."""
    if update is None or not update.squares:
        return False
    is_same = weight.min == update.min and weight.max == update.max
    return is_same and math.isclose(weight.squares, update.squares, rel_tol=1e-6)


def gain(weight: Summary) -> float:
    """Return how many times larger a signal is behind a matrix than in front of it, at the least.

    That is the root of the summed squares that reach one output, which may be at either end of the shape.
    """
    shape = weight.shape or (1,)
    return weight.rms * math.sqrt(weight.count / max(shape[0], shape[-1], 1))


def _numbers(logs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return the numbers of several batches, fetched together: one transfer for each device."""
    parts: list[Any] = [getattr(one, "batch", None) or one for one in logs]
    values: dict[Any, Any] = {}
    for place, part in enumerate(parts):
        values.update({(place, name): value for name, value in dict.items(part)})
    found: list[dict[str, float]] = [{} for _ in parts]
    numbers: dict[Any, float] = numbers_in(combine([values]))
    for (place, name), number in numbers.items():
        found[place][name] = number
    return found


def _words(name: str) -> list[str]:
    """Return the words of a name as it is logged: `"train/episode_return"` has three."""
    for sign in "/.-":
        name = name.replace(sign, "_")
    return name.lower().split("_")


def _of(prefix: str, summaries: Summaries) -> dict[str, Summary]:
    return {name: one for name, one in summaries.items() if name.startswith(prefix)}


def _summary(run: Run, data: Any) -> Summary | None:
    if not hasattr(data, "shape") or not hasattr(data, "dtype"):
        return None
    try:
        look = run.look()
        look.add("data", data)
        return look.fetch()["data"]
    except (AbsentError, LookError):
        return None
