"""The same `ImageGrid` in Keras' `fit`: drawings come, and the training is the one that it would have been."""

import os

import keras
import numpy as np

import onlooker as ol


def fit(directory=None):
    """Train a net with dropout; return its weights at the end, and the names of the files."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(64), keras.layers.Activation("sigmoid")]
    )
    model.compile("adam", "mse")
    noise = np.random.default_rng(0).random((9, 4), np.float32)

    def draw(model):
        keras.random.normal((2,))
        np.random.rand()
        return keras.ops.reshape(model(noise, training=True), (9, 8, 8))

    callbacks = [] if directory is None else [ol.callbacks.ImageGrid(draw, directory, before_training=True)]
    x, y = np.random.default_rng(1).random((64, 4)), np.random.default_rng(2).random((64, 64))
    model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=callbacks)
    return model.get_weights(), sorted(os.listdir(directory)) if directory else []


def test_drawing_in_keras_changes_nothing(tmp_path):
    without, _ = fit()
    weights, files = fit(tmp_path)
    assert files == [*(f"images-epoch-000{epoch}.png" for epoch in (0, 1, 2)), "images-strip.png", "images.gif"]
    assert len(weights) == 2
    for weight, other in zip(weights, without, strict=True):
        np.testing.assert_array_equal(weight, other)
