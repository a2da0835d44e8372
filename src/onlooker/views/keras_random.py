"""The random states that a Keras training draws from: the shared ones, Keras' global generator, and the layers' own.

They are kept as plain data and arrays, so that a file that holds them can be read without running code.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import keras
import numpy as np

try:
    from keras.src.backend.common import global_state
except ImportError:  # another Keras keeps it elsewhere: then the global generator goes unobserved
    global_state = None

_GLOBAL = "global_seed_generator"


def seed_variables(model: Any) -> list[Any]:
    """Return the states of the seed generators within a model: those of Dropout and the like."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


def global_generator() -> Any:
    """Return Keras' global seed generator, or None where it does not exist yet: it is made when first needed."""
    return None if global_state is None else global_state.get_global_attribute(_GLOBAL)


def set_global_generator(generator: Any) -> None:
    """Put another global seed generator in place, or none."""
    if global_state is not None:
        global_state.set_global_attribute(_GLOBAL, generator)


def random_state(model: Any) -> dict[str, Any]:
    """Return all random states."""
    generator = global_generator()
    return {
        "shared": _shared_state(),
        "layers": [keras.ops.convert_to_numpy(variable).copy() for variable in seed_variables(model)],
        "global": None if generator is None else keras.ops.convert_to_numpy(generator.state).copy(),
    }


def load_random_state(model: Any, state: dict[str, Any]) -> None:
    """Take back what `random_state` returned. A model with other random layers keeps its own states for them."""
    _load_shared_state(state["shared"])
    variables = seed_variables(model)
    if len(variables) == len(state["layers"]):
        for variable, value in zip(variables, state["layers"], strict=True):
            variable.assign(value)
    if state["global"] is None:
        return
    generator = global_generator()
    if generator is None:
        generator = _made_generator(0)
        set_global_generator(generator)
    generator.state.assign(state["global"])


def seed_all(model: Any, seed: int) -> None:
    """Seed every random state."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    for number, variable in enumerate(seed_variables(model)):
        variable.assign(np.array([(seed + number) % 2**31, 0]))
    set_global_generator(_made_generator(seed % 2**31))


def _made_generator(seed: int) -> Any:
    # With a name of its own: Keras numbers its automatic names, and the next layer's would be another one.
    return keras.random.SeedGenerator(seed, name="onlooker_seed_generator")


def _shared_state() -> dict[str, Any]:
    if "torch" in sys.modules:
        from . import torch_random

        return torch_random.random_state()
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": (version, list(internal), gauss),
        "numpy": (str(name), [int(key) for key in keys], int(position), int(has_gauss), float(cached)),
    }


def _load_shared_state(state: dict[str, Any]) -> None:
    if "torch" in state and "torch" in sys.modules:
        from . import torch_random

        torch_random.load_random_state(state)
        return
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    if "numpy" in state:
        np.random.set_state(tuple(state["numpy"]))
