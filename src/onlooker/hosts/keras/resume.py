"""`resume`: a training that goes on from a file of `run.save`, with Keras' own `initial_epoch`.

Owns what was read but waits for the training to begin.
"""

from __future__ import annotations

import weakref
from typing import Any

from onlooker.views.keras import KerasView

_waiting: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()


def resume(model: Any, path: Any) -> int:
    """Put a model back to what `run.save(path)` wrote, and have its next `fit` go on from there.

    Weights, optimizer and random states are restored at once, the callbacks' states after `on_train_begin`. Keras has
    no way to begin in the middle of an epoch: a file that was written there begins that epoch again.

    Args:
        model: a compiled Keras model like the one that was saved.
        path: what was given to `run.save`, ending in `.keras` or `.weights.h5`.

    Returns:
        The epoch to begin with, for `fit(initial_epoch=...)`.

    Raises:
        DataError: the file does not come from `run.save`.

    Example:
        ```python
        model.fit(x, y, epochs=20, initial_epoch=resume(model, "run.keras"), callbacks=[Watch()])
        ```
    """
    extra = KerasView(model).load(str(path))
    _waiting[model] = extra
    return int(extra["next_epoch"])


def take(model: Any) -> dict[str, Any] | None:
    """Return what waits for a model's training, once."""
    return _waiting.pop(model, None)
