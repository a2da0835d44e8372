"""`SharedRandom`: keeps random states that are no model's own: Python's, NumPy's, and PyTorch's where it is used.

For the views of models that draw from no generator of their own while they predict, such as boosted trees.
"""

from __future__ import annotations

import random
import sys
from typing import Any


class SharedRandom:
    """A context after which the random states are what they were before.

    Args:
        seed: seeds them within; None leaves them.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._python: Any = None
        self._numpy: Any = None
        self._torch: Any = None

    def __enter__(self) -> None:
        self._python = random.getstate()
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        self._numpy = None if numpy is None else numpy.random.get_state()
        self._torch = None if torch is None else torch.get_rng_state()
        if self._seed is None:
            return
        random.seed(self._seed)
        if numpy is not None:
            numpy.random.seed(self._seed % 2**32)
        if torch is not None:
            torch.manual_seed(self._seed)

    def __exit__(self, *_: object) -> None:
        random.setstate(self._python)
        if self._numpy is not None:
            sys.modules["numpy"].random.set_state(self._numpy)
        if self._torch is not None:
            sys.modules["torch"].set_rng_state(self._torch)
