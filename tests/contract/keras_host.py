"""The row of Keras' `fit`, `evaluate` and `predict`, under the backend that the environment names."""

import keras
import numpy as np
from tests.contract.data import BATCH_SIZE, HELD_OUT_X, HELD_OUT_Y, X, Y, batches_of
from tests.contract.row import Row

from onlooker.hosts.declared.keras import _BY_BACKEND, on_backend
from onlooker.hosts.keras import resume as resume_keras
from onlooker.views.keras_random import set_global_generator


class Epochs(keras.utils.PyDataset):
    """Data of the user's, whose code is called before each batch is given."""

    def __init__(self, user):
        super().__init__()
        self._user, self._epoch = user, -1

    def __len__(self):
        return len(batches_of(X, Y))

    def __getitem__(self, index):
        self._user(self._epoch, index)
        return batches_of(X, Y)[index]

    def on_epoch_begin(self):
        self._epoch += 1


class KerasHost(Row):
    """Keras."""

    name = f"Keras ({keras.backend.backend()})"
    declaration = on_backend(keras.backend.backend())
    file_name = "run.weights.h5"
    has_outputs_in_training = keras.backend.backend() == "torch"

    _made: dict = {}  # noqa: RUF012 - JAX takes seconds to compile a model, so each is made once for all tests

    def make(self, number=0):
        return self._fresh(("classifier", number), _classifier)

    def make_line(self):
        return self._fresh("line", _line)

    def line(self, subject):
        weight, bias = (np.array(one) for one in subject.get_weights())
        return weight[:, 0], bias[0]

    def model_of(self, subject):
        return subject

    def state_of(self, subject):
        return [keras.ops.convert_to_numpy(variable).copy() for variable in _variables(subject)]

    def use(self, model):
        return keras.ops.convert_to_numpy(model(X, training=True))

    def draw(self):
        return keras.ops.convert_to_numpy(keras.random.uniform((3,)))

    def as_array(self, weight):
        return keras.ops.convert_to_numpy(weight)

    def trained_of(self, subject):
        return [keras.ops.convert_to_numpy(variable).copy() for variable in subject.trainable_variables]

    def state_of_running(self, callback, subject):
        return self.state_of(callback.model)  # on JAX this brings the state into the model first

    def declare(self, monkeypatch, ability, support):
        monkeypatch.setitem(_BY_BACKEND[keras.backend.backend()]["abilities"], ability, support)

    def another(self):
        return self

    def fit(self, subject, callbacks, *, epochs=2, validation=True, resume=None, user=None):
        data = {"x": X, "y": Y, "batch_size": BATCH_SIZE} if user is None else {"x": Epochs(user)}
        subject.fit(
            **data,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
            validation_data=(HELD_OUT_X, HELD_OUT_Y) if validation else None,
            validation_batch_size=BATCH_SIZE if validation else None,
            initial_epoch=0 if resume is None else resume_keras(subject, resume),
        )

    def evaluate(self, subject, callbacks):
        return subject.evaluate(
            HELD_OUT_X, HELD_OUT_Y, batch_size=BATCH_SIZE, verbose=0, callbacks=callbacks, return_dict=True
        )

    def predict(self, subject, callbacks):
        subject.predict(HELD_OUT_X, batch_size=BATCH_SIZE, verbose=0, callbacks=callbacks)

    def evaluate_within(self, subject):
        return self.evaluate(subject, None)

    def stop_by_user(self, subject):
        subject.stop_training = True

    def _fresh(self, key, build):
        """Return a model, made once and put back to its beginning."""
        if key not in self._made:
            model = build()
            self._made[key] = model, self.state_of(model)
            model.train_on_batch(X, Y)  # the first training of all draws other random numbers
        model, beginning = self._made[key]
        for variable, value in zip(_variables(model), beginning, strict=True):
            variable.assign(value)
        model.stop_training = False
        model._jax_state = None
        model._jax_state_synced = True
        seed_keras(3)
        return model


def seed_keras(seed):
    """Seed all that Keras draws from; its own function once left the global generator out."""
    keras.utils.set_random_seed(seed)
    set_global_generator(None)  # it is made anew when it is first needed


def _variables(model):
    return [*model.variables, *model.optimizer.variables]


def _classifier():
    keras.utils.set_random_seed(3)
    layers = [
        keras.layers.Input((4,)),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(2, activation="softmax"),
    ]
    return _compiled(layers, keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", ["accuracy"])


def _line():
    keras.utils.set_random_seed(5)
    layers = [keras.layers.Input((4,)), keras.layers.Dense(1), keras.layers.Flatten()]
    return _compiled(layers, keras.optimizers.SGD(0.0), "mse", [])


def _compiled(layers, optimizer, loss, metrics):
    model = keras.Sequential(layers)
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    return model
