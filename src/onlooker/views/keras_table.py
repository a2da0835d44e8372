"""Which of Keras' own callbacks work on a model that is not Keras' own, and what to use instead of the others.

Owns the table, from which the page in the documentation is made, and the refusals. How a callback is called stands in
`keras_callback`. Needs no Keras.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TESTED = "3.15.1"
"""The version of Keras that the table was held against."""

WORKS, PARTLY, REFUSED = "works", "partly", "refused"


def _never(callback: Any) -> str | None:
    return None


def _whole_model(callback: Any) -> str | None:
    return None if callback.save_weights_only else "save_weights_only=False means a whole Keras model, and this is none"


def _orbax(callback: Any) -> str | None:
    return "what it writes is the state tree of a Keras model, which nothing could load into another model"


def _without_tensorflow(callback: Any) -> str | None:
    return None if importlib.util.find_spec("tensorflow") else "it writes with TensorFlow, which is not installed"


def _without_requests(callback: Any) -> str | None:
    return (
        None if importlib.util.find_spec("requests") else "it sends with the package requests, which is not installed"
    )


def _no(callback: Any) -> bool:
    return False


def _yes(callback: Any) -> bool:
    return True


@dataclass(frozen=True)
class Row:
    """One of Keras' callbacks.

    Attributes:
        name: the class, in `keras.callbacks`.
        support: `"works"`, `"partly"` or `"refused"`.
        how: what a user has to know: how it works here, or why it does not.
        instead: what to use where it does not.
        refuse: says for an instance why it is refused, or None.
        needs_optimizer: whether it makes no sense without one.
        needs_weights: says for an instance whether it asks for the model's weights.
        withheld: the end hooks that it does not get for what an exception or Ctrl-C cut off. Keras calls none then, and
            these callbacks rely on it: they would take a torn epoch for a whole one.
        state: the attributes that go into a checkpoint of the run.
    """

    name: str
    support: str
    how: str
    instead: str = ""
    refuse: Callable[[Any], str | None] = field(default=_never, repr=False)
    needs_optimizer: bool = False
    needs_weights: Callable[[Any], bool] = field(default=_no, repr=False)
    withheld: tuple[str, ...] = ()
    state: tuple[str, ...] = ()


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row(
            "BackupAndRestore",
            WORKS,
            "Keeps weights, the optimizer's state, the number of steps and the random states; the training goes on as "
            "if it had never stopped, shuffling and dropout included. As in Keras, it goes on with the beginning of an "
            "epoch, also where `save_freq` counts batches. The backup outlives an exception and Ctrl-C, and is "
            "deleted when the training ends by itself or by a stop.",
            needs_weights=_yes,
            withheld=("on_train_batch_end", "on_epoch_end", "on_train_end"),
        ),
        Row(
            "CSVLogger",
            WORKS,
            "The same columns as in Keras.",
            withheld=("on_epoch_end",),
        ),
        Row(
            "Callback",
            WORKS,
            "A class of your own, derived from it: the fourteen hooks come in Keras' order, with Keras' keys. "
            "`self.model` is a facade: it has the names below, and passes on what your module has; `self.model.module` "
            "is the module itself.",
        ),
        Row(
            "CallbackList",
            WORKS,
            "Its members are called one after the other and at once, never in Keras' pool of threads; each is held to "
            "its own row.",
        ),
        Row(
            "EarlyStopping",
            WORKS,
            "Stops at the same epoch and restores the same weights as in Keras, buffers included. It compares in "
            "float32, as in Keras: 1 - 1e-9 is no better than 1.",
            needs_weights=lambda callback: bool(callback.restore_best_weights),
            withheld=("on_epoch_end",),
            state=("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
        ),
        Row(
            "History",
            WORKS,
            "It is also `self.model.history` for the others.",
            withheld=("on_epoch_end",),
            state=("history", "epoch"),
        ),
        Row("LambdaCallback", WORKS, "Its functions are called as Keras calls them."),
        Row(
            "LearningRateScheduler",
            WORKS,
            "Where parameter groups or optimizers have different rates, each is scheduled on its own and logged as "
            "`learning_rate_<name>`, as Keras does with several optimizers.",
            needs_optimizer=True,
        ),
        Row(
            "ModelCheckpoint",
            PARTLY,
            "With `save_weights_only=True` it works as in Keras, `save_best_only` and `save_freq` included. The file "
            "holds weights, optimizer and random states, fits only the module that it was written for, and is read by "
            "`onlooker.views.keras_facade.load_weights(path, module)`. A whole model is refused.",
            instead="`save_weights_only=True` and a path that ends in `.weights.h5`; or `self.run.save(path)`",
            refuse=_whole_model,
            needs_weights=_yes,
            withheld=("on_train_batch_end", "on_epoch_end"),
            state=("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
        ),
        Row(
            "OrbaxCheckpoint",
            REFUSED,
            "What it writes is the state tree of a Keras model, which nothing could load into another model.",
            instead="`ModelCheckpoint` with `save_weights_only=True`; or `self.run.save(path)`",
            refuse=_orbax,
        ),
        Row(
            "ProgbarLogger",
            WORKS,
            "Keras' own bar. In a `Loop` it learns the number of batches with the first one.",
        ),
        Row(
            "ReduceLROnPlateau",
            WORKS,
            "The same learning rates as in Keras; where they differ, each is reduced on its own.",
            needs_optimizer=True,
            withheld=("on_epoch_end",),
            state=("best", "cooldown_counter", "wait"),
        ),
        Row(
            "RemoteMonitor",
            WORKS,
            "Needs the package requests, as in Keras; without it, it is refused when attached, not when the first "
            "epoch ends.",
            instead="`pip install requests`",
            refuse=_without_requests,
            withheld=("on_epoch_end",),
        ),
        Row(
            "SwapEMAWeights",
            WORKS,
            "PyTorch's optimizers keep no average of the weights, so we keep it, by Keras' formula, where the "
            "optimizer is marked: `optimizer.use_ema = True`, and if you like `ema_momentum` (0.99) and "
            "`ema_overwrite_frequency` (None). As in Keras the model ends with the average. One optimizer only. After "
            "a prediction the weights are swapped back, which Keras forgets.",
            instead="with several optimizers `torch.optim.swa_utils.AveragedModel`",
            needs_optimizer=True,
            withheld=("on_epoch_end",),
        ),
        Row(
            "TensorBoard",
            PARTLY,
            "Needs TensorFlow, as in Keras. Losses, histograms and images of the weights are written; no graph of the "
            "model and no embeddings. The learning rate is written if `LearningRateScheduler` or `ReduceLROnPlateau` "
            "stands before it.",
            instead="`torch.utils.tensorboard.SummaryWriter` in a callback of your own",
            refuse=_without_tensorflow,
        ),
        Row(
            "TerminateOnNaN",
            WORKS,
            "With `raise_error=True` the error comes out of the loop, and the other callbacks are closed.",
        ),
    )
}
"""The sixteen classes of `keras.callbacks`, by name."""


def is_of_old_keras(kind: type) -> bool:
    """Say whether a class derives from one of Keras 2, as the package `tf_keras` has them."""
    return any(ancestor.__module__.partition(".")[0] == "tf_keras" for ancestor in kind.__mro__)


def find_row(kind: type) -> Row:
    """Return the row of a callback's class: that of the nearest of Keras' own classes that it derives from."""
    for ancestor in kind.__mro__:
        if ancestor.__module__.partition(".")[0] in ("keras", "tf_keras") and ancestor.__name__ in ROWS:
            return ROWS[ancestor.__name__]
    raise LookupError(f"{kind.__qualname__} does not derive from keras.callbacks.Callback")
