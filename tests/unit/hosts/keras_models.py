"""Small Keras models, and callbacks that write down what they see."""

import keras
import numpy as np

import onlooker as ol
from onlooker.core.hooks import ALIASES, HOOKS

BACKEND = keras.backend.backend()

X = np.random.default_rng(7).normal(size=(20, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")


_made = {}


def make_model(*, number=0, **different):
    """A model with everything that has a state of its own: dropout and moving statistics; the same one each time.

    The usual one is made once and put back to its beginning, since JAX takes seconds to compile one.

    Args:
        number: for tests that need several.
        **different: for `build_model`; then it is made anew.
    """
    if different:
        return build_model(**different)
    if number not in _made:
        model = build_model()
        _made[number] = model, [keras.ops.convert_to_numpy(variable).copy() for variable in states_of(model)]
        model.train_on_batch(X, Y)  # the first training of all draws other random numbers
    model, beginning = _made[number]
    for variable, value in zip(states_of(model), beginning, strict=True):
        variable.assign(value)
    model.stop_training = False
    model._jax_state = None
    model._jax_state_synced = True
    keras.utils.set_random_seed(3)
    return model


def build_model(*, metrics=("accuracy",), optimizer=None, kind=keras.Model, **compiled):
    keras.utils.set_random_seed(3)
    outputs = inputs = keras.layers.Input((4,))
    for layer in (
        keras.layers.Dense(8, activation="relu", name="first"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.3, name="drop"),
        keras.layers.Dense(2, activation="softmax", name="last"),
    ):
        outputs = layer(outputs)
    model = kind(inputs, outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(0.05) if optimizer is None else optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=list(metrics),
        **compiled,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def states_of(model):
    """All that a training changes but random states that are not the model's."""
    return [*model.variables, *model.optimizer.variables]


def fit(model, callbacks, *, epochs=2, batch_size=8, **arguments):
    """Train on 20 samples: batches of 8, 8 and 4."""
    return model.fit(X, Y, epochs=epochs, batch_size=batch_size, verbose=0, callbacks=callbacks, **arguments)


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]


def optimizer_of(model):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in model.optimizer.variables]


def is_same(first, second):
    """Bit by bit."""
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def _noting(hook):
    if HOOKS[hook].index is None:

        def note(self, logs=None):
            self.note(hook, None, logs)

    else:

        def note(self, index, logs=None):
            self.note(hook, index, logs)

    return note


class Diary(ol.Callback):
    """All fourteen hooks: (name, index, sorted names in the logs)."""

    def __init__(self, name="diary", log=None):
        self.name = name
        self.entries = [] if log is None else log
        self.logs = []

    def note(self, hook, index, logs):
        self.logs.append(logs)
        self.entries.append((hook, index, sorted(logs)))

    @property
    def hooks(self):
        return [entry[0] for entry in self.entries]


class KerasDiary(keras.callbacks.Callback):
    """The same for Keras' own base class."""

    def __init__(self):
        super().__init__()
        self.entries = []

    def note(self, hook, index, logs):
        self.entries.append((hook, index, sorted(logs)))


for _hook in HOOKS:
    setattr(Diary, _hook, _noting(_hook))
    setattr(KerasDiary, _hook, _noting(_hook))


def on(**hooks):
    """A callback with the given hooks, each a function of the callback and what the hook is given."""

    def made(hook, function):
        if HOOKS[ALIASES.get(hook, hook)].index is None:
            return lambda self, logs=None: function(self, logs)
        return lambda self, index, logs=None: function(self, index, logs)

    return type("Made", (ol.Callback,), {hook: made(hook, function) for hook, function in hooks.items()})()
