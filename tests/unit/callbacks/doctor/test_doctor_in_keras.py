"""`Doctor` in Keras, whatever the backend: where no gradients can be had, their absence is no reason for an alert."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.unit.callbacks.doctor.trainings import seen

import onlooker as ol

Dense = keras.layers.Dense


def fit(*layers, optimizer="adam", scale=1.0, epochs=2, last="glorot_uniform"):
    keras.utils.set_random_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    pixels = scale * (pixels - pixels.mean()) / pixels.std()
    model = keras.Sequential([keras.layers.Input((64,)), *layers, Dense(10, kernel_initializer=last)])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    doctor = ol.callbacks.Doctor(quiet=True)
    doctor.on_error = "raise"
    model.fit(pixels.astype("float32"), labels, epochs=epochs, batch_size=32, verbose=0, callbacks=[doctor])
    return doctor


def test_a_healthy_training():
    layers = keras.layers
    assert not seen(fit(Dense(64), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2), Dense(64, "relu")))


def test_frozen_layers_are_a_decision():
    layers = keras.layers
    frozen = [Dense(32, "relu"), layers.BatchNormalization()]
    for layer in frozen:
        layer.trainable = False
    assert not seen(fit(*frozen, Dense(32, "relu")))


def test_a_layer_that_is_cut_off():
    cut = keras.layers.Lambda(keras.ops.stop_gradient)
    ((rule, where),) = seen(fit(Dense(32, "relu"), cut, Dense(32, "relu"), epochs=6))
    assert rule == "unchanged_weights"
    assert where.endswith("kernel")


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_units_that_all_begin_with_one_number(kind):
    layers, same = keras.layers, keras.initializers.Constant(0.05)
    first = {
        "dense": [Dense(32, "relu", kernel_initializer=same)],
        "convolution": [
            layers.Reshape((8, 8, 1)), layers.Conv2D(8, 3, activation="relu", kernel_initializer=same),
            layers.Flatten(),
        ],
    }[kind]  # fmt: skip
    ((rule, where),) = seen(fit(*first, Dense(16, "relu", kernel_initializer=same), last=same))
    assert rule == "symmetric_units"
    assert where.endswith("kernel")


def test_a_last_layer_that_begins_at_0():
    assert not seen(fit(Dense(32, "relu"), last="zeros"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite():
    doctor = fit(Dense(32, "relu"), optimizer=keras.optimizers.SGD(1e6))
    assert "not_finite" in [rule for rule, _ in seen(doctor)]


def test_inputs_that_are_not_normalized():
    assert seen(fit(Dense(32, "relu"), scale=60.0))[0] == ("input_not_normalized", "inputs")
    assert np.isfinite(fit(Dense(32, "relu"), scale=60.0).alerts[0].evidence["mean"])
