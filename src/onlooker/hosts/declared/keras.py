"""What Keras' `fit`, `evaluate` and `predict` give to callbacks, on each backend."""

from __future__ import annotations

from onlooker.core.declaration import Declaration, Support, absent, emulated, native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NO_GRADIENTS = "the step is compiled, and the gradients never leave it; use the torch backend"
_NO_REPLAY = "the step is Keras' own, and fit gives callbacks no way to run one once more"
_NO_ACTIVATIONS = "the step is compiled, and what layers put out never leaves it; use the torch backend"
_NO_OUTPUTS = (
    "in training and evaluation the step is compiled, and the outputs never leave it: a callback with "
    "needs=('outputs',) is refused there; in predict run.outputs and logs['outputs'] are there"
)

_COMMON: dict[str, Support] = {
    "logs": native("Keras' own running values, sorted by name; where a user's train_step returns its own, those"),
    "batch_logs": emulated(
        "what the sum and the weight behind a mean have grown by, in float32: relative error about 1e-7 times the "
        "number of the batch; only for values that are means (the loss, accuracy), not for AUC and the like"
    ),
    "lazy_logs": native(
        "Keras itself fetches the epoch's values at its end, and each batch's where its progress bar or another "
        "callback of its own listens: verbose=0 spares that"
    ),
    "step": emulated(
        "counted from the batches and the optimizer's gradient_accumulation_steps; with a train_step of your own, "
        "several optimizers or a loss scale the optimizer's counter is read, which waits for the device"
    ),
    "stop": emulated(
        "a stop from on_train_begin or on_epoch_begin still runs one batch, and the epoch's validation always runs; "
        "in evaluate and predict it ends those"
    ),
    "silent_stages": native(
        "evaluate and predict that one of our hooks starts on the model being trained also leave no trace on it"
    ),
    "set_learning_rate": native("where the optimizer has a number; a schedule cannot be set, and says so"),
    "weights": native("by path, for example 'dense/kernel', moving statistics among them"),
    "save": native(
        "'.keras' (the whole model) or '.weights.h5'; position, random states and callbacks' states stand beside it in "
        "a file with '.run.h5' added"
    ),
    "state": emulated(
        "fit(initial_epoch=onlooker.hosts.keras.resume(model, path)) goes on from a file of run.save; Keras cannot "
        "begin in the middle of an epoch, so a file written there begins that epoch again"
    ),
    "native_logs": absent("logs has Keras' own names already"),
    "processes": absent("Keras trains in one process; where a backend spreads over several, each is seen alone"),
    "faults": native(
        "when a callback of ours raises, all others, Keras' own too, are still called before the training ends"
    ),
}

_CLOSING = (
    "Keras closes nothing when it is cut off. Errors and Ctrl-C in hooks, steps, data and validation are seen and "
    "close our hooks; {missed} Keras' own callbacks hear nothing, as ever"
)
_MISSED = (
    "a Ctrl-C that falls between two of Keras' own lines is not seen: then they close when one of the callbacks, or "
    "the model, is used again."
)

_BY_BACKEND: dict[str, dict[str, Any]] = {
    "torch": {
        "tested": "keras 3.15, torch 2.13",
        "abilities": {
            "inputs": native("from on_train_batch_begin on; in a loop of your own from the step on"),
            "outputs": emulated("in training and evaluation for callbacks with needs=('outputs',); in predict always"),
            "gradients": native("from the step until the next one, as the loss gave them: before clipping"),
            "activations": native("in training; not where jit_compile=True"),
            "replay": absent(_NO_REPLAY),
            "observing": native(
                "evaluation mode, gradients off; dropout's random states, statistics and metrics are kept"
            ),
            "closing": emulated(_CLOSING.format(missed=_MISSED)),
        },
    },
    "jax": {
        "tested": "keras 3.15, jax 0.10",
        "hooks": {
            "on_train_batch_end": emulated(
                "with steps_per_execution=n batch hooks come once for n batches, with the index of the first and of "
                "the last; logs.batch is then over the n"
            ),
            "on_test_batch_end": emulated("with steps_per_execution=n once for n batches"),
            "on_predict_batch_end": emulated("with steps_per_execution=n once for n batches"),
        },
        "abilities": {
            "inputs": emulated(
                "from the step on: at a batch's begin hook they are drawn only where a loader has no length"
            ),
            "outputs": emulated(_NO_OUTPUTS),
            "gradients": absent(_NO_GRADIENTS),
            "activations": absent(_NO_ACTIVATIONS),
            "replay": absent(_NO_REPLAY),
            "weights": native("by path; each look brings the state of an epoch under way into the model first"),
            "observing": native(
                "random states, statistics and metrics are kept; JAX has no modes and no gradients to turn off"
            ),
            "closing": emulated(
                _CLOSING.format(
                    missed="in fit so is everything else, in evaluate and predict a Ctrl-C between two of Keras' own "
                    "lines is not. After a Ctrl-C within a step the weights may be gone: the step had their memory."
                )
            ),
        },
    },
    "tensorflow": {
        "tested": "not run: written from Keras' source",
        "hooks": {
            "on_train_batch_begin": emulated(
                "with steps_per_execution=n once for n batches; where a loader has no length, one more batch is begun "
                "than there is, and ended with the logs so far"
            ),
            "on_train_batch_end": emulated("with steps_per_execution=n once for n batches"),
            "on_test_batch_end": emulated("with steps_per_execution=n once for n batches"),
            "on_predict_batch_end": emulated("with steps_per_execution=n once for n batches"),
        },
        "abilities": {
            "inputs": absent("TensorFlow draws the batch within the compiled step"),
            "outputs": emulated(_NO_OUTPUTS),
            "gradients": absent(_NO_GRADIENTS),
            "activations": absent(_NO_ACTIVATIONS),
            "replay": absent(_NO_REPLAY),
            "observing": emulated(
                "random states of Keras, Python and NumPy, statistics and metrics; not those of tf.random"
            ),
            "closing": emulated(_CLOSING.format(missed=_MISSED)),
        },
    },
}


def on_backend(backend: str) -> Declaration:
    """Return what Keras gives on a backend; one that is not known is taken for the poorest."""
    known = _BY_BACKEND.get(backend, _BY_BACKEND["tensorflow"])
    return _declared(f"Keras ({backend})", known["tested"], known.get("hooks", {}), known["abilities"])


def _declared(name: str, tested: str, hooks: dict[str, Support], abilities: dict[str, Support]) -> Declaration:
    return Declaration(
        name=name,
        use="keras_model.fit(x, y, callbacks=[Watch()])",
        package="keras",
        tested=tested,
        hooks=hooks,
        abilities={**_COMMON, **abilities},
    )


KERAS_TORCH = on_backend("torch")
KERAS_JAX = on_backend("jax")
KERAS_TENSORFLOW = on_backend("tensorflow")
