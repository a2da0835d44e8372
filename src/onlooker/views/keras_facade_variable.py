"""Weights and layers as a Keras callback knows them, over the tensors of a PyTorch module.

Owns the copy in and out of a tensor, exact for every type: a bfloat16 travels as float32, which holds it. Imports no
framework: whatever it needs is a method of the tensor that it was given.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from onlooker.core.errors import AbsentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onlooker.core.view import ModelView


class VariableFacade:
    """One weight, under the names that a `keras.Variable` has. It is live: reading gives what is there now.

    Attributes:
        path: the weight's name in the model, for example `"encoder.0.weight"`.
        value: the tensor itself, on its device.
    """

    def __init__(self, path: str, value: Any) -> None:
        self.path = path
        self.value = value

    def __repr__(self) -> str:
        return f"VariableFacade({self.path!r}, shape={self.shape}, dtype={self.dtype!r})"

    @property
    def name(self) -> str:
        """The last part of the path: `"weight"`."""
        return self.path.rpartition(".")[2]

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> str:
        """The type's name, as Keras writes it: `"float32"`."""
        return str(self.value.dtype).removeprefix("torch.")

    @property
    def trainable(self) -> bool:
        """Whether it gets gradients."""
        return bool(self.value.requires_grad)

    def numpy(self) -> NDArray[Any]:
        """Return a copy, shape and dtype as the weight's; float32 where numpy has no such type."""
        tensor = self.value.detach().cpu()
        try:
            return np.array(tensor.numpy())
        except TypeError:
            return np.array(tensor.float().numpy())

    def assign(self, value: Any) -> None:
        """Set the weight, in place.

        Args:
            value: an array of the weight's shape, or another variable.

        Raises:
            ValueError: the shape is another one.
        """
        value = getattr(value, "value", value)  # straight from tensor to tensor, on the device
        if not hasattr(value, "detach"):
            value = np.asarray(value)
        self.check_shape(value)
        tensor = self.value.detach()
        tensor.copy_(value if hasattr(value, "detach") else tensor.new_tensor(value))

    def check_shape(self, value: Any) -> None:
        """Refuse a value of another shape.

        Raises:
            ValueError: with both shapes.
        """
        shape = tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
        if shape != self.shape:
            raise ValueError(f"{self.path} has shape {self.shape}, but was given shape {shape}")

    def __jax_array__(self) -> Any:
        """Return a copy, for Keras on JAX."""
        return sys.modules["jax"].numpy.asarray(self.numpy())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.numpy(), dtype)


class LayerFacade:
    """One submodule that has weights of its own, under the names that a Keras layer has.

    Attributes:
        name: the submodule's name in the model; the model's class where it is the model itself.
        module: the submodule itself.
        weights: its own weights, those of its submodules left out.
    """

    def __init__(self, name: str, module: Any, weights: list[VariableFacade]) -> None:
        self.name = name
        self.module = module
        self.weights = weights

    def __repr__(self) -> str:
        return f"LayerFacade({self.name!r}, {type(self.module).__name__})"

    @property
    def trainable_weights(self) -> list[VariableFacade]:
        """Those of its weights that get gradients."""
        return [weight for weight in self.weights if weight.trainable]

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of its weights."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, values: list[Any]) -> None:
        """Set all its weights.

        Raises:
            ValueError: there are more or fewer values than weights, or a shape differs.
        """
        assign_all(self.weights, values)


def find_variables(view: ModelView) -> list[VariableFacade]:
    """Return all weights, buffers included, in the order of the modules; trainable or not.

    Raises:
        AbsentError: the model is no PyTorch module.
    """
    found = []
    for prefix, module in _modules(view):
        for name, value in module.state_dict(keep_vars=True).items():
            if hasattr(value, "detach"):  # not what a module keeps as its extra state
                found.append(VariableFacade(prefix + name, value))
    return found


def find_layers(view: ModelView) -> list[LayerFacade]:
    """Return the submodules that have weights of their own, in order.

    Raises:
        AbsentError: the model is no PyTorch module.
    """
    variables = find_variables(view)
    found = []
    for prefix, module in _modules(view):
        for name, submodule in module.named_modules():
            path = f"{prefix}{name}."
            own = [v for v in variables if v.path.rpartition(".")[0] == path.strip(".")]
            if own:
                found.append(LayerFacade(path.strip(".") or type(module).__name__, submodule, own))
    return found


def assign_all(variables: list[VariableFacade], values: list[Any]) -> None:
    """Set weights to values, none of them if the number or a shape is wrong.

    Raises:
        ValueError: with what was expected.
    """
    if len(values) != len(variables):
        raise ValueError(f"expected {len(variables)} weights, but was given {len(values)}")
    for variable, value in zip(variables, values, strict=True):
        variable.check_shape(value)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _modules(view: ModelView) -> list[tuple[str, Any]]:
    """Return each module with what stands in front of its weights' names."""
    models = view.model if isinstance(view.model, dict) else {"": view.model}
    for model in models.values():
        if not hasattr(model, "named_modules"):
            raise AbsentError(
                f"a Keras callback asked for the weights of a {type(model).__qualname__}; "
                f"that works for a PyTorch module only"
            )
    # A compiled module keeps the user's own within, whose names are the ones that the user knows.
    originals = {name: getattr(model, "_orig_mod", model) for name, model in models.items()}
    return [(f"{name}." if name else "", model) for name, model in originals.items()]
