"""Which hook somebody may have meant by a name that is none: misspelled, or what others call the same moment."""

from __future__ import annotations

from .errors import nearest
from .hooks import ALIASES, HOOKS

WORDS = {
    "validation": "test",
    "validate": "test",
    "valid": "test",
    "val": "test",
    "evaluation": "test",
    "evaluate": "test",
    "eval": "test",
    "fit": "train",
    "training": "train",
    "iteration": "train_batch",
    "iter": "train_batch",
    "step": "train_batch",
    "start": "begin",
    "started": "begin",
    "completed": "end",
    "finished": "end",
}
"""Other frameworks' words, and ours for the same thing."""

PHRASES = {
    "test_train_batch": "test_batch",
    "train_train_batch": "train_batch",
    "predict_train_batch": "predict_batch",
    "train_epoch": "epoch",
    "test_epoch": "test",
    "predict_epoch": "predict",
}
"""What comes of their words in ours, and how we say it."""

JOINED = {name.replace("_", ""): name for name in (*HOOKS, *ALIASES)}
"""The hooks, by their names in one word."""


def nearest_hook(name: str) -> str | None:
    """Return the hook that somebody may have meant by a name, or None where none is like it.

    Example:
        >>> nearest_hook("on_epoch_ends"), nearest_hook("on_validation_epoch_end"), nearest_hook("on_air")
        ('on_epoch_end', 'on_test_end', None)
        >>> nearest_hook("onEpochEnd")
        'on_epoch_end'
    """
    if name.replace("_", "").lower() in JOINED:
        return JOINED[name.replace("_", "").lower()]
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    translated = "_".join(WORDS.get(word, word) for word in snake.split("_"))
    for phrase, ours in PHRASES.items():
        translated = translated.replace(f"on_{phrase}", f"on_{ours}")
    known = (*HOOKS, *ALIASES)
    if translated in known:
        return translated
    if translated in ("on_test", "on_train", "on_predict"):
        return f"{translated}_end"
    return nearest(snake, known, cutoff=0.75)
