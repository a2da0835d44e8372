"""The same small classifier twice, in Keras and as a PyTorch module, trained on the same batches.

A training is deterministic: no shuffling, no dropout. So what a Keras callback does in Keras' fit and
in our loop can be compared number by number.
"""

import keras
import numpy as np
import torch

import onlooker as ol

SIZE, BATCH, CLASSES, FEATURES, HIDDEN = 36, 12, 3, 6, 16


class Data:
    """Points of three classes that overlap, so that a training overfits within a few epochs."""

    def __init__(self, seed=0):
        random = np.random.default_rng(seed)
        centres = random.normal(size=(CLASSES, FEATURES))

        def draw(count):
            labels = np.arange(count) % CLASSES
            points = centres[labels] + 1.6 * random.normal(size=(count, FEATURES))
            return points.astype("float32"), labels.astype("int64")

        self.x, self.y = draw(SIZE)
        self.x_test, self.y_test = draw(30)


def first_weights(seed=1):
    random = np.random.default_rng(seed)
    shapes = [(FEATURES, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,)]
    return [(0.3 * random.normal(size=shape)).astype("float32") for shape in shapes]


def make_keras(rate=0.5, optimizer=None, **settings):
    model = keras.Sequential(
        [keras.Input((FEATURES,)), keras.layers.Dense(HIDDEN, "tanh"), keras.layers.Dense(CLASSES)]
    )
    model.set_weights(first_weights())
    model.compile(
        optimizer or keras.optimizers.SGD(rate, **settings),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def make_torch(rate=0.5, **settings):
    module = torch.nn.Sequential(torch.nn.Linear(FEATURES, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, CLASSES))
    for parameter, value in zip(module.parameters(), first_weights(), strict=True):
        parameter.data.copy_(torch.from_numpy(value.T.copy()))
    return module, torch.optim.SGD(module.parameters(), rate, **settings)


def as_keras(values):
    """Weights of the PyTorch twin as Keras has them: a kernel is the transpose."""
    return [np.array(value).T for value in values]  # copies


def weights_of(module):
    return as_keras([parameter.detach().numpy() for parameter in module.parameters()])


def batches(x, y, size=BATCH):
    return [(torch.from_numpy(x[i : i + size]), torch.from_numpy(y[i : i + size])) for i in range(0, len(x), size)]


def fit_keras(model, callbacks, epochs, data=None, with_test=True):
    data = data or Data()
    test = {"validation_data": (data.x_test, data.y_test), "validation_batch_size": BATCH} if with_test else {}
    return model.fit(
        data.x, data.y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks, **test
    )


def fit_loop(module, optimizer, callbacks, epochs, data=None, with_test=True):
    data = data or Data()
    with ol.Loop(module, optimizer, callbacks=callbacks) as loop:
        for _ in loop.epochs(epochs):
            for x, y in loop.train(batches(data.x, data.y)):
                train_step(loop, module, optimizer, x, y)
            if with_test:
                test_loop(loop, module, data)
    return loop


def train_step(loop, module, optimizer, x, y):
    outputs = module(x)
    loss = torch.nn.functional.cross_entropy(outputs, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loop.log(loss=loss, accuracy=(outputs.argmax(1) == y).float().mean())


def test_loop(loop, module, data):
    for x, y in loop.test(batches(data.x_test, data.y_test)):
        outputs = module(x)
        loop.log(
            loss=torch.nn.functional.cross_entropy(outputs, y),
            accuracy=(outputs.argmax(1) == y).float().mean(),
        )


test_loop.__test__ = False
