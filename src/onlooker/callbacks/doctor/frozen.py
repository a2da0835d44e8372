"""Which weights are not to be trained, by decision: marked as such in the model.

Owns how a rule finds that out, whatever the model is; what follows from it is the rules' business.
"""

from __future__ import annotations

from onlooker.callbacks.inside.choice import layer_of
from onlooker.core.errors import AbsentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from onlooker.core.run import Run


def frozen_weights(run: Run) -> frozenset[str]:
    """Return the names of the weights that are marked as not to be trained; none where models have no such marks.

    Statistics that layers gather are among them where they count as weights, as in Keras.
    """
    try:
        return frozenset(run.weights()).difference(run.view.trained_weights())
    except AbsentError:
        return frozenset()


def frozen_layers(layers: Iterable[str], weights: Iterable[str], frozen: frozenset[str]) -> frozenset[str]:
    """Return the layers all of whose weights are frozen, and those without weights that follow one of them.

    Args:
        layers: in the order in which they are called.
        weights: the names of all weights.
        frozen: those that are frozen.

    Example:
        >>> weights = ["0.weight", "0.bias", "2.weight"]
        >>> sorted(frozen_layers(["0", "1", "2", "3"], weights, frozenset(["0.weight", "0.bias"])))
        ['0', '1']
    """
    if not frozen:
        return frozenset()
    is_frozen: dict[str, bool] = {}
    for name in weights:
        layer = layer_of(name)
        is_frozen[layer] = name in frozen and is_frozen.get(layer, True)
    found, is_last = [], False
    for layer in layers:
        is_last = is_frozen.get(layer, is_last)
        if is_last:
            found.append(layer)
    return frozenset(found)


def is_evaluating(run: Run, layer: str) -> bool:
    """Say whether a layer is in evaluation mode while the model trains, as a frozen normalization layer is."""
    for prefix, model in models_of(run).items():
        find = getattr(getattr(model, "_orig_mod", model), "get_submodule", None)
        name = layer.removeprefix(f"{prefix}.") if prefix else layer
        try:
            module = find(name) if callable(find) else None
        except AttributeError:  # it is another model's, or has another name there
            continue
        if getattr(module, "training", True) is False:
            return True
    return False


def models_of(run: Run) -> dict[str, Any]:
    """Return a run's models by name; a single one under `""`."""
    return run.model if isinstance(run.model, dict) else {"": run.model}
