"""The random states that a JAX training draws from beside its own keys, as plain data for the file of `run.save`.

Python's, NumPy's, and PyTorch's, whose loaders many use. JAX's keys are part of the state.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy


def random_state() -> dict[str, Any]:
    """Return all random states, as lists of numbers."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = numpy.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": [version, list(internal), gauss],
        "numpy": [str(name), [int(key) for key in keys], int(position), int(has_gauss), float(cached)],
    }
    if "torch" in sys.modules:
        state["torch"] = sys.modules["torch"].get_rng_state().tolist()
    return state


def load_random_state(state: dict[str, Any]) -> None:
    """Take back what `random_state` returned."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    numpy.random.set_state(tuple(state["numpy"]))
    if "torch" in state and "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
