"""A look at scikit-learn's estimators.

Owns the names of their weights, their learning rates, the random generators that are their own, and the file of
`run.save`. That file is a pickle: to read it may run code, so only files that one trusts are to be read.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from numbers import Real
from typing import Any

import numpy as np

from onlooker.arrays.handed_out import handed_out
from onlooker.core.atomic_file import AtomicFile
from onlooker.core.errors import DataError
from onlooker.core.view import ModelView
from onlooker.inside import Look

from .shared_random import SharedRandom

_WEIGHTS = (
    "coef_",
    "intercept_",
    "coefs_",
    "intercepts_",
    "cluster_centers_",
    "feature_log_prob_",
    "class_log_prior_",
    "theta_",
    "var_",
    "components_",
    "intercept_hidden_",
    "intercept_visible_",
    "mean_",
    "scale_",
    "means_",
    "covariances_",
    "weights_",
)
"""Attributes in which estimators keep what they have learnt, as arrays or lists of arrays."""

_OF_TREES = ("BaseForest", "BaseGradientBoosting", "BaseHistGradientBoosting", "IsolationForest")
"""Classes whose model is made of trees."""

_SMALLEST = 5e-324
"""What stands for a rate of 0, which scikit-learn refuses: no number is changed by adding so little."""

_HEADER = b"onlooker: a run of scikit-learn\n"


class SklearnView(ModelView):
    """A look at one estimator.

    Args:
        model: the estimator, fitted or not.
    """

    reason = "it is an estimator of scikit-learn, which keeps none"

    def lacks(self, ability: str) -> str | None:
        """Return why an ability is missing: not every estimator has weights and a learning rate."""
        if ability == "weights" and self._is_of_trees():
            return "its model is made of trees, not of weights"
        if ability in ("learning_rate", "set_learning_rate") and self._rate_name() is None:
            return self._why_no_rate()
        if ability == "set_learning_rate" and _is_a(self.model, "BaseGradientBoosting"):
            return "it scales all its trees by one rate, also those that it has already"
        return super().lacks(ability)

    def look(self) -> Look:
        """Return what arrays are given to, to be told together what they look like."""
        return Look()

    def weights(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the arrays themselves by name; those of a list with their number behind it: `coefs_.0`.

        An estimator that has not been fitted yet has none.
        """
        if self._is_of_trees():
            raise self._absent_because("weights")
        found = dict(_arrays(self.model))
        return {name: array for name, array in found.items() if pattern is None or fnmatchcase(name, pattern)}

    def handed_out(self, arrays: dict[str, Any], numpy: bool, copy: bool) -> dict[str, Any]:
        """Return arrays by name, as NumPy's where asked for, and as copies where asked for."""
        return handed_out(arrays, numpy, copy)

    def get_learning_rate(self) -> float | dict[str, float]:
        """Return the rate of the optimizer at hand, or, before there is one, the estimator's parameter."""
        name = self._rate_name()
        if name is None:
            raise self._absent_because("learning_rate")
        optimizer = vars(self.model).get("_optimizer")
        if optimizer is None:
            rate = getattr(self.model, name)
        else:  # Adam's own `learning_rate` is another in each step
            rate = optimizer.learning_rate_init if hasattr(optimizer, "beta_1") else optimizer.learning_rate
        return 0.0 if rate == _SMALLEST else float(rate)

    def set_learning_rate(self, value: float | dict[str, float]) -> None:
        """Set the estimator's parameter, and the rate of its optimizer where there is one."""
        if self.lacks("set_learning_rate"):
            raise self._absent_because("set_learning_rate")
        if isinstance(value, dict) or not value >= 0:
            raise ValueError(f"learning_rate={value!r} must be a number of at least 0; an estimator has one rate")
        rate, name = float(value), self._rate_name()
        self.model.set_params(**{str(name): max(rate, _SMALLEST)})
        optimizer = vars(self.model).get("_optimizer")
        if optimizer is not None:
            optimizer.learning_rate_init = optimizer.learning_rate = rate

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply the rate."""
        rate = self.get_learning_rate()
        assert isinstance(rate, float)
        self.set_learning_rate(rate * factor)

    def observing(self, seed: int | None = None, gradients: bool = False) -> AbstractContextManager[None]:
        """Return a context after which all random states are what they were, the estimator's own among them."""
        return self._observing(seed)

    @contextmanager
    def _observing(self, seed: int | None) -> Iterator[None]:
        own = _generators(self.model)
        kept = [_state_of(generator) for generator in own]
        with SharedRandom(seed):
            if seed is not None:
                for generator in own:
                    _set_state(generator, _seeded(generator, seed))
            try:
                yield
            finally:
                for generator, state in zip(own, kept, strict=True):
                    _set_state(generator, state)

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write the estimator, the random states and `extra` to one file, a pickle behind a line that says so.

        Raises:
            DataError: the estimator or a callback's state cannot be pickled.
        """
        state = {"random": (random.getstate(), np.random.get_state()), "extra": extra}
        try:
            content = pickle.dumps({"estimator": self.model, **state})
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise DataError(f"{path} cannot be written: {error}; what goes into it must be picklable") from error
        with AtomicFile(path) as beside, open(beside, "wb") as file:
            file.write(_HEADER + content)

    def load(self, path: str) -> dict[str, Any]:
        """Put a saved estimator's state into this one. Read only files that you trust: a pickle can run code.

        Raises:
            ValueError: the file was not written by `save`, or holds an estimator of another class.
        """
        with open(path, "rb") as file:
            if file.read(len(_HEADER)) != _HEADER:
                raise ValueError(f"{path} was not written by run.save of a training in scikit-learn")
            saved = pickle.load(file)
        estimator = saved["estimator"]
        if type(estimator) is not type(self.model):
            names = type(estimator).__qualname__, type(self.model).__qualname__
            raise ValueError(f"{path} holds a {names[0]}, which cannot be loaded into a {names[1]}")
        attributes = vars(self.model)
        attributes.clear()
        attributes.update(vars(estimator))
        attributes.pop("stop_training", None)  # a wish of that training, not of this one
        python, numpy = saved["random"]
        random.setstate(python)
        np.random.set_state(numpy)
        extra: dict[str, Any] = saved["extra"]
        return extra

    def _rate_name(self) -> str | None:
        """Return the name of the parameter that is the learning rate; None where there is none."""
        params = self.model.get_params(deep=False)
        if "learning_rate_init" in params:
            return None if params.get("solver") == "lbfgs" else "learning_rate_init"
        if "eta0" in params:
            schedule = params.get("learning_rate", "constant")
            return None if schedule in ("optimal", "pa1", "pa2") else "eta0"
        return "learning_rate" if isinstance(params.get("learning_rate"), Real) else None

    def _why_no_rate(self) -> str:
        params = self.model.get_params(deep=False)
        for name in ("learning_rate", "solver"):
            if isinstance(params.get(name), str):
                return f"with {name}={params[name]!r} it has no learning rate of yours"
        return "it has no learning rate"

    def _is_of_trees(self) -> bool:
        return any(_is_a(self.model, name) for name in _OF_TREES)

    def _absent_because(self, ability: str) -> Exception:
        error = self._absent(ability.replace("_", " "))
        error.args = (f"{str(error).partition(': ')[0]}: {self.lacks(ability)}",)
        return error


def _is_a(estimator: Any, name: str) -> bool:
    """Say whether one of the classes of an estimator has this name, without importing its module."""
    return any(kind.__name__ == name for kind in type(estimator).__mro__)


def _arrays(estimator: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the weights of an estimator, and of those that it is made of, as in `MultiOutputClassifier`."""
    for name in _WEIGHTS:
        value = getattr(estimator, name, None)
        if isinstance(value, list | tuple):
            yield from ((f"{prefix}{name}.{number}", part) for number, part in enumerate(value))
        elif isinstance(value, np.ndarray):
            yield f"{prefix}{name}", value
    parts = getattr(estimator, "estimators_", None)
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        yield from _arrays(part, f"{prefix}estimators_.{number}.")


def _generators(estimator: Any) -> list[Any]:
    """Return the random generators that an estimator has of its own, each once."""
    values = [*vars(estimator).values(), *estimator.get_params().values()]
    found = {id(value): value for value in values if isinstance(value, np.random.RandomState | np.random.Generator)}
    return list(found.values())


def _state_of(generator: Any) -> Any:
    return generator.get_state() if isinstance(generator, np.random.RandomState) else generator.bit_generator.state


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.bit_generator.state = state


def _seeded(generator: Any, seed: int) -> Any:
    if isinstance(generator, np.random.RandomState):
        return np.random.RandomState(seed % 2**32).get_state()
    return type(generator.bit_generator)(seed).state
