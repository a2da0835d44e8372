"""The class of fourteen hooks prints the same in `Trainer`, in `Loop` and in Keras, as one of Keras' own does there.

Written out on purpose, as a user would write it: each hook prints its name and the names in its logs.
"""

import keras
import numpy as np
import pytest
import torch

import onlooker as ol

BATCH = 4
X, Y = np.random.default_rng(0).random((10, 2), dtype=np.float32), np.ones((10, 1), dtype=np.float32)


class Hooks:
    def on_train_begin(self, logs=None):
        print("on_train_begin", list(logs.keys()))

    def on_train_end(self, logs=None):
        print("on_train_end", list(logs.keys()))

    def on_epoch_begin(self, epoch, logs=None):
        print("on_epoch_begin", epoch, list(logs.keys()))

    def on_epoch_end(self, epoch, logs=None):
        print("on_epoch_end", epoch, list(logs.keys()))

    def on_train_batch_begin(self, batch, logs=None):
        print("on_train_batch_begin", batch, list(logs.keys()))

    def on_train_batch_end(self, batch, logs=None):
        print("on_train_batch_end", batch, list(logs.keys()))

    def on_test_begin(self, logs=None):
        print("on_test_begin", list(logs.keys()))

    def on_test_end(self, logs=None):
        print("on_test_end", list(logs.keys()))

    def on_test_batch_begin(self, batch, logs=None):
        print("on_test_batch_begin", batch, list(logs.keys()))

    def on_test_batch_end(self, batch, logs=None):
        print("on_test_batch_end", batch, list(logs.keys()))

    def on_predict_begin(self, logs=None):
        print("on_predict_begin", list(logs.keys()))

    def on_predict_end(self, logs=None):
        print("on_predict_end", list(logs.keys()))

    def on_predict_batch_begin(self, batch, logs=None):
        print("on_predict_batch_begin", batch, list(logs.keys()))

    def on_predict_batch_end(self, batch, logs=None):
        print("on_predict_batch_end", batch, list(logs.keys()))


class Ours(Hooks, ol.Callback):
    pass


class Theirs(Hooks, keras.callbacks.Callback):
    pass


def in_keras(callback):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae", "accuracy"])
    model.fit(X, Y, batch_size=BATCH, epochs=2, validation_data=(X, Y), callbacks=[callback], verbose=0)
    model.evaluate(X, Y, batch_size=BATCH, callbacks=[callback], verbose=0)
    model.predict(X, batch_size=BATCH, callbacks=[callback], verbose=0)


METRICS = {
    "mae": lambda outputs, targets: (outputs - targets).abs().mean(),
    "accuracy": lambda outputs, targets: (outputs.round() == targets).float().mean(),
}


def in_trainer(callback):
    model = torch.nn.Linear(2, 1)
    trainer = ol.Trainer(
        model, loss=torch.nn.MSELoss(), optimizer=torch.optim.SGD(model.parameters(), lr=0.01), metrics=METRICS
    )
    trainer.fit((X, Y), epochs=2, validation=(X, Y), callbacks=[callback], batch_size=BATCH)
    trainer.evaluate((X, Y), callbacks=[callback], batch_size=BATCH)
    trainer.predict(X, callbacks=[callback], batch_size=BATCH)


def in_loop(callback):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batches = [(torch.tensor(X[n : n + BATCH]), torch.tensor(Y[n : n + BATCH])) for n in range(0, len(X), BATCH)]

    def loss_of(loop, x, y):
        loss = torch.nn.functional.mse_loss(model(x), y)
        loop.log(accuracy=0.5, loss=loss, mae=0.5)  # in the order in which Keras has them: here it is the user's
        return loss

    with ol.Loop(model, optimizer, callbacks=[callback]) as loop:
        for _ in loop.epochs(2):
            for x, y in loop.train(batches):
                optimizer.zero_grad()
                loss_of(loop, x, y).backward()
                optimizer.step()
            for x, y in loop.test(batches):
                loss_of(loop, x, y)
        for x, y in loop.test(batches):
            loss_of(loop, x, y)
        for x, _ in loop.predict(batches):
            loop.outputs = model(x)


@pytest.mark.parametrize(
    ("run", "kind"),
    [(in_trainer, Ours), (in_loop, Ours), (in_keras, Ours), (in_trainer, Theirs), (in_loop, Theirs)],
    ids=lambda thing: thing.__name__,
)
def test_it_prints_what_keras_own_prints_in_keras(run, kind, capsys):
    in_keras(Theirs())
    expected = capsys.readouterr().out.splitlines()
    run(kind())
    assert capsys.readouterr().out.splitlines() == expected
    assert len(expected) == 50
    assert expected.count("on_train_batch_end 2 ['accuracy', 'loss', 'mae']") == 2
    assert "on_epoch_end 1 ['accuracy', 'loss', 'mae', 'val_accuracy', 'val_loss', 'val_mae']" in expected
    assert expected[-2:] == ["on_predict_batch_end 2 ['outputs']", "on_predict_end []"]
