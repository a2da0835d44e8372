"""What all boosters have in common: an epoch is a round, and there is nothing smaller. No host of its own."""

from __future__ import annotations

from onlooker.core.declaration import Support, absent, native

_NO_BATCHES = absent("a boosting round uses all the data at once: there are no batches, a round is an epoch")


def round_hooks(name: str) -> dict[str, Support]:
    """Return what a booster of this name says of the hooks that it cannot have."""
    not_alone = absent(f"{name}'s predict takes no callbacks")
    batches = {f"on_{stage}_batch_{end}": _NO_BATCHES for stage in ("train", "test") for end in ("begin", "end")}
    predict = ("on_predict_begin", "on_predict_end", "on_predict_batch_begin", "on_predict_batch_end")
    return {**batches, **dict.fromkeys(predict, not_alone)}


def round_abilities(name: str) -> dict[str, Support]:
    """Return what a booster of this name says of the abilities that follow from its rounds."""
    return {
        "batch_logs": absent("there are no batches"),
        "lazy_logs": native(f"{name} has them as numbers already: there is nothing to fetch"),
        "inputs": absent("there are no batches"),
        "step": native("boosting rounds"),
        "gradients": absent(f"they are those of the predictions, and never leave {name}; a custom objective has them"),
        "activations": absent("trees have no layers"),
        "replay": absent("there are no batches, and trees do not become NaN"),
    }
