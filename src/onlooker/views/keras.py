"""A look at a Keras model, on whatever backend Keras runs.

Owns names, learning rates, what has to be kept so that observing leaves no trace, and what `run.save` writes. Random
states are in `keras_random`, the files in `keras_files`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fnmatch import fnmatchcase
from typing import Any

import keras

from onlooker.arrays.handed_out import handed_out
from onlooker.core.errors import AbsentError, DataError
from onlooker.core.view import ModelView
from onlooker.inside import Look

from .keras_files import BESIDE, both_files, is_whole
from .keras_layers import chosen_layers, named
from .keras_random import global_generator, load_random_state, random_state, seed_all, set_global_generator
from .keras_rates import rate_of, set_rate
from .weights_h5 import read_weights, write_weights


class KerasView(ModelView):
    """A look at a Keras model. On JAX each look first hands the model its current state, as Keras' own callbacks do.

    Args:
        model: a `keras.Model`.
    """

    reason = "Keras' compiled training step keeps them to itself; the torch backend has them"

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.backend: str = keras.backend.backend()

    def sync(self) -> None:
        """Have JAX' current state put into the model: within an epoch it is elsewhere."""
        sync = getattr(self.model, "jax_state_sync", None)
        if sync is not None:
            sync()

    def weights(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the backend's arrays by the variables' paths, `"encoder/dense/kernel"`; a pattern: `"encoder/*"`."""
        self.sync()
        return {
            name: variable.value.detach() if self.backend == "torch" else variable.value
            for name, variable in named(self.model.weights)
            if pattern is None or fnmatchcase(name, pattern)
        }

    def trained_weights(self) -> dict[str, Any]:
        """Return the weights that the optimizer changes: not the statistics that layers gather."""
        trained = {id(variable) for variable in self.model.trainable_weights}
        weights = self.weights()
        return {name: weights[name] for name, variable in named(self.model.weights) if id(variable) in trained}

    def gradients(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the gradients of the last train batch, before clipping. On the torch backend only.

        Raises:
            AbsentError: on the other backends.
        """
        if self.backend != "torch":
            raise self._absent("gradients")
        return {
            name: variable.value.grad.detach()
            for name, variable in named(self.model.trainable_weights)
            if variable.value.grad is not None and (pattern is None or fnmatchcase(name, pattern))
        }

    def handed_out(self, arrays: dict[str, Any], numpy: bool, copy: bool) -> dict[str, Any]:
        """Return arrays by name, as NumPy's where asked for, and as copies where asked for."""
        return handed_out(arrays, numpy, copy)

    def get_learning_rate(self) -> float | dict[str, float]:
        """Return the one rate, a schedule's current one too; where several optimizers differ, all by attribute name."""
        rates = {name: rate_of(optimizer) for name, optimizer in self._given_optimizers().items()}
        return next(iter(rates.values())) if len(set(rates.values())) == 1 else rates

    def set_learning_rate(self, value: float | dict[str, float]) -> None:
        """Set the one rate; a dict as `get_learning_rate` returns it sets several.

        Raises:
            AbsentError: a schedule decides on the rate.
            ValueError: the optimizers' rates differ, and one number was given; or a name is unknown.
            TypeError: what shall be a rate is no number.
        """
        optimizers = self._given_optimizers()
        if isinstance(value, dict):
            if unknown := [name for name in value if name not in optimizers]:
                raise ValueError(
                    f"no learning rate is called {', '.join(map(repr, unknown))}; known: {', '.join(optimizers)}"
                )
            for name, rate in value.items():
                set_rate(optimizers[name], rate)
            return
        rates = self.get_learning_rate()
        if isinstance(rates, dict):
            raise ValueError(
                f"the learning rates differ ({', '.join(f'{name}: {rate:g}' for name, rate in rates.items())}), "
                f"so one number cannot stand for all; use run.scale_learning_rate(factor), or set a dict"
            )
        for optimizer in optimizers.values():
            set_rate(optimizer, value)

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply the rate of every optimizer."""
        for optimizer in self._given_optimizers().values():
            set_rate(optimizer, rate_of(optimizer) * factor)

    def optimizers(self) -> dict[str, Any]:
        """Return the model's optimizers by the name of the attribute that holds them."""
        return {
            name: value for name, value in vars(self.model).items() if isinstance(value, keras.optimizers.Optimizer)
        }

    @contextmanager
    def observing(self, seed: int | None = None, gradients: bool = False) -> Iterator[None]:
        """Keep random states, modes, statistics, metrics and, on torch, gradients as they were.

        Within: evaluation mode and gradients off, where the backend has such modes.
        """
        self.sync()
        random, generator = random_state(self.model), global_generator()
        kept = [(variable, self._copied(variable)) for variable in self._changed_by_use()]
        if seed is not None:
            seed_all(self.model, seed)
        try:
            with self._torch_unchanged(gradients):
                yield
        finally:
            for variable, value in kept:
                variable.assign(value)
            set_global_generator(generator)
            load_random_state(self.model, random)

    def evaluating(self) -> AbstractContextManager[None]:
        """Return a context with torch modules in evaluation mode and gradients off; elsewhere there are no modes."""
        if self.backend != "torch":
            return nullcontext()
        from .torch import TorchView

        return TorchView(self.model).evaluating()

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimizers and random states as arrays and plain data."""
        self.sync()
        return {
            "weights": [_array(variable) for variable in self.model.weights],
            "optimizers": {
                name: [_array(variable) for variable in optimizer.variables]
                for name, optimizer in self.optimizers().items()
            },
            "random": random_state(self.model),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.sync()
        _assign(self.model.weights, state["weights"])
        for name, optimizer in self._built_optimizers().items():
            _assign(optimizer.variables, state["optimizers"][name])
        load_random_state(self.model, state["random"])

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write the model as Keras does, and beside it `extra` and the random states, which Keras leaves out.

        Args:
            path: ending in `.keras` (the whole model) or `.weights.h5` (weights and optimizer).
            extra: plain data and arrays.

        Raises:
            DataError: the path ends otherwise.
            OSError: nothing can be written there.
        """
        write = self.model.save if is_whole(path) else self.model.save_weights
        self.sync()
        with both_files(path) as unfinished:
            write(unfinished)
            write_weights(unfinished + BESIDE, {"extra": extra, "random": random_state(self.model)})

    def load(self, path: str) -> dict[str, Any]:
        """Put weights, optimizer and random states back, and return `extra`. The model itself stays the same object.

        Raises:
            DataError: the path ends in neither `.keras` nor `.weights.h5`, or what stands beside it is missing.
        """
        is_whole(path)
        if not os.path.exists(path + BESIDE):
            raise DataError(
                f"{path + BESIDE} is missing: run.save writes it beside the model. "
                f"A file of model.save or save_weights alone is read by model.load_weights"
            )
        self.sync()
        self._built_optimizers()
        self.model.load_weights(path)
        beside = read_weights(path + BESIDE)
        load_random_state(self.model, beside["random"])
        extra: dict[str, Any] = beside["extra"]
        return extra

    def look(self) -> Look:
        """Return what tensors are given to, to be told together what they look like."""
        return Look()

    def lacks(self, ability: str) -> str | None:
        """Return why an ability is missing: activations are to be had on the torch backend only."""
        if ability == "activations" and self.backend != "torch":
            return self.reason
        return super().lacks(ability)

    def watch_activations(
        self, pattern: str | Callable[[str], bool] | None, seen: Callable[[str, str, Any], None], gradients: bool = True
    ) -> Callable[[], None] | None:
        """Watch the outputs of layers, which on the torch backend are torch modules, under their paths.

        None where none is chosen.

        Raises:
            AbsentError: on the other backends.
        """
        if self.backend != "torch":
            raise self._absent("activations")
        from .torch_activations import watch

        layers = chosen_layers(self.model, pattern)
        return watch(layers, seen, gradients) if layers else None

    def count_steps(self, stepped: Callable[[], None]) -> Callable[[], None] | None:
        """Return None: compiled steps tell nobody. The host counts by the optimizer's own counter."""
        return None

    def _given_optimizers(self) -> dict[str, Any]:
        self.sync()
        found = self.optimizers()
        if not found:
            raise AbsentError(
                f"the learning rate cannot be had from {type(self.model).__qualname__}: it has no optimizer; "
                f"call model.compile(optimizer=...) first"
            )
        return found

    def _built_optimizers(self) -> dict[str, Any]:
        """Return the optimizers, with their variables made: Keras restores only what exists already."""
        found = self.optimizers()
        if len(found) == 1 and self.model.built:
            for optimizer in found.values():
                if not optimizer.built:
                    optimizer.build(self.model.trainable_variables)
        return found

    def _changed_by_use(self) -> list[Any]:
        """Return the variables that calling or evaluating the model changes: statistics and metrics, not weights.

        Random states are kept apart. A frozen layer's weights do not count: they can be large, and nobody changes them.
        """
        found = list(self.model.metrics_variables)
        for layer in self.model._flatten_layers():
            found += getattr(layer, "_non_trainable_variables", ())
        return list({id(variable): variable for variable in found}.values())

    def _copied(self, variable: Any) -> Any:
        if self.backend == "torch":
            return variable.value.detach().clone()
        return keras.ops.copy(variable.value)

    def _torch_unchanged(self, gradients: bool) -> AbstractContextManager[None]:
        if self.backend != "torch":
            return nullcontext()
        from .torch import TorchView

        return TorchView(self.model).observing(gradients=gradients)


def _array(variable: Any) -> Any:
    return keras.ops.convert_to_numpy(variable).copy()


def _assign(variables: list[Any], values: list[Any]) -> None:
    if len(variables) != len(values):
        raise DataError(f"the saved state has {len(values)} variables, the model {len(variables)}; it is another model")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
