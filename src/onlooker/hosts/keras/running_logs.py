"""`RunningLogs`: the logs of a batch, made of what Keras hands out, without waiting for a device.

Keras gives running means only. A batch's own value is what the sum and the weight behind a mean have grown by, so it is
to be had for metrics that are means (the loss, accuracy, any function) and not for others (AUC, F1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, cast

import keras

from onlooker.core.logs import DeviceValue, LazyLogs


class Packed:
    """Numbers that lie in one array on a device, and are fetched together, once.

    Args:
        array: of shape (n,).
    """

    __slots__ = ("_array", "_numbers")

    def __init__(self, array: Any) -> None:
        self._array = array
        self._numbers: list[float] | None = None

    def numbers(self) -> list[float]:
        """Return the numbers, fetching them at the first call."""
        if self._numbers is None:
            self._numbers = [float(number) for number in keras.ops.convert_to_numpy(self._array)]
            self._array = None
        return self._numbers


class _PackedLibrary:
    """What `LazyLogs` asks to fetch numbers: each is given as a function of what was packed."""

    @staticmethod
    def device(array: Any) -> object:
        return None

    @staticmethod
    def is_gone(array: Any) -> bool:
        return False

    @staticmethod
    def fetch(arrays: list[Callable[[], float]]) -> list[float]:
        return [number() for number in arrays]


_LIBRARY: Any = _PackedLibrary


class RunningLogs:
    """Makes the logs of the batches of one stage, one after the other.

    Args:
        model: the Keras model.

    Attributes:
        raw: what Keras' step returned for the last batch; empty before the first.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._stack = _stack_function()
        self._means: dict[str, _Mean] | None = None
        self._before: tuple[Packed, dict[str, int]] | None = None
        self.raw: dict[str, Any] = {}

    def so_far(self) -> dict[str, Any]:
        """Return the running values after the last batch, as numbers."""
        return {name: _as_keras_does(value) for name, value in sorted(_flat(self.raw))}

    def take(self, raw: dict[str, Any]) -> LazyLogs:
        """Return the logs of a batch that has just ended.

        Args:
            raw: what Keras' step returned: running values by name, on a device.
        """
        flat = dict(_flat(raw))
        on_device = {name: value for name, value in flat.items() if _is_number_on_device(value)}
        if self._means is None:
            self._means = _find_means(self._model, flat)
        sums, places = self._sums()
        packed = Packed(self._stack([*on_device.values(), *sums])) if on_device or sums else None
        position = {name: number for number, name in enumerate(on_device)}
        values: dict[str, Any] = {}
        for name, value in sorted(flat.items()):  # sorted, as Keras sorts them
            if name in position and packed is not None:
                values[name] = DeviceValue(_LIBRARY, _picked(packed, position[name]))
            else:
                values[name] = _as_keras_does(value)
        batch: dict[str, Any] = {}
        if packed is not None:
            places = {name: place + len(on_device) for name, place in places.items()}
            batch = {
                name: DeviceValue(_LIBRARY, _grown(packed, place, self._before, name)) for name, place in places.items()
            }
            self._before = (packed, places)
        return LazyLogs(values, batch)

    def _sums(self) -> tuple[list[Any], dict[str, int]]:
        """Return sum and weight of each mean, one after the other, and where each begins."""
        arrays: list[Any] = []
        places: dict[str, int] = {}
        is_jax = keras.backend.backend() == "jax"
        # On JAX the state of an epoch under way is beside the model.
        state = (getattr(self._model, "_jax_state", None) or {}).get("metrics_variables") if is_jax else None
        if is_jax and not state:
            return arrays, places
        for name, mean in (self._means or {}).items():
            places[name] = len(arrays)
            if state:
                arrays += [state[position] for position in mean.positions]
            else:
                arrays += [variable.value for variable in mean.variables]
        return arrays, places


class _Mean:
    """Where a metric keeps its sum and its weight.

    Attributes:
        variables: the two, as Keras' variables.
        positions: where they stand among the model's metrics variables.
    """

    __slots__ = ("positions", "variables")

    def __init__(self, metric: Any, order: dict[int, int]) -> None:
        self.variables = (metric.total, metric.count)
        self.positions = tuple(order[id(variable)] for variable in self.variables)


def _picked(packed: Packed, position: int) -> Callable[[], float]:
    return lambda: packed.numbers()[position]


def _grown(packed: Packed, place: int, before: tuple[Packed, dict[str, int]] | None, name: str) -> Callable[[], float]:
    """Return the function that says what a mean was over the last batch alone."""

    def number() -> float:
        total, count = packed.numbers()[place : place + 2]
        if before is not None and name in before[1]:
            at = before[1][name]
            total_before, count_before = before[0].numbers()[at : at + 2]
            if count_before <= count:  # else somebody has reset the metric in between
                total, count = total - total_before, count - count_before
        return total / count if count else float("nan")

    return number


def _find_means(model: Any, logs: dict[str, Any]) -> dict[str, _Mean]:
    """Return, for each name in the logs that is surely a mean of Keras', where its sum and its weight are."""
    order = {id(variable): position for position, variable in enumerate(model.metrics_variables)}
    found: dict[str, list[Any]] = {}
    for name, metric in _named_metrics(model):
        found.setdefault(name, []).append(metric)
    return {
        name: _Mean(metrics[0], order)
        for name, metrics in found.items()
        if name in logs and len(metrics) == 1 and _is_plain_mean(metrics[0]) and id(metrics[0].total) in order
    }


def _is_plain_mean(metric: Any) -> bool:
    """Say whether a metric is sum over weight: a subclass may make something else of them, as the root of a mean."""
    return isinstance(metric, keras.metrics.Mean) and type(metric).result is keras.metrics.Mean.result


def _named_metrics(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the model's metrics with the names that they have in the logs."""
    for metric in model.metrics:
        groups = getattr(metric, "_flat_metrics", None)
        if groups is None:
            yield metric.name, metric
            continue
        for group in (*groups, *getattr(metric, "_flat_weighted_metrics", ())):
            for one in getattr(group, "metrics", ()):
                prefix = getattr(group, "output_name", None)
                yield (f"{prefix}_{one.name}" if prefix else one.name), one


def _flat(logs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in logs.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield name, value


def _is_number_on_device(value: Any) -> bool:
    return keras.ops.is_tensor(value) and all(length == 1 for length in value.shape)


def _as_keras_does(value: Any) -> Any:
    """Return a float if it can be one, else the value as an array, or as it is: what Keras gives its own callbacks."""
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


@cache
def _stack_function() -> Callable[[list[Any]], Any]:
    """Return what copies numbers into one array, on the device and without waiting for it."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return lambda values: torch.stack([value.detach().reshape(()) for value in values])
    if backend == "jax":
        import jax

        def stack(values: list[Any]) -> Any:
            return jax.numpy.stack([value.reshape(()) for value in values])

        return cast("Callable[[list[Any]], Any]", jax.jit(stack))
    return lambda values: keras.ops.stack([keras.ops.reshape(value, ()) for value in values])
