"""Keras' callbacks in `Trainer`, which is another way to `Loop`: the same hooks, numbers and files as in Keras' fit."""

import keras
import numpy as np
import pytest
import torch
from tests.unit.views.keras_twins import BATCH, Data, fit_keras, make_keras, make_torch, weights_of
from tests.unit.views.test_keras_callback_hooks import Fourteen

import onlooker as ol
from onlooker.core.errors import AttachError

callbacks = keras.callbacks
CLOSE = {"rtol": 2e-4, "atol": 2e-5}


def make_trainer(**settings):
    module, optimizer = make_torch(**settings)
    return ol.Trainer(
        module,
        loss=torch.nn.functional.cross_entropy,
        optimizer=optimizer,
        metrics={"accuracy": lambda outputs, y: (outputs.argmax(1) == y).float().mean()},
    )


def fit_trainer(trainer, attached, epochs, data=None):
    data = data or Data()
    pairs = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in ((data.x, data.y), (data.x_test, data.y_test))]
    return trainer.fit(
        pairs[0], epochs=epochs, validation=pairs[1], callbacks=attached, batch_size=BATCH, shuffle=False
    )


def test_the_fourteen_hooks():
    there, here, data = Fourteen(), Fourteen(), Data()
    model, trainer = make_keras(), make_trainer()
    fit_keras(model, [there], 2, data)
    model.evaluate(data.x_test, data.y_test, batch_size=BATCH, callbacks=[there], verbose=0)
    model.predict(data.x_test, batch_size=BATCH, callbacks=[there], verbose=0)
    x, y = torch.from_numpy(data.x_test), torch.from_numpy(data.y_test)
    fit_trainer(trainer, [here], 2, data)
    trainer.evaluate((x, y), callbacks=[here], batch_size=BATCH)
    trainer.predict(x, callbacks=[here], batch_size=BATCH)
    assert here.calls == there.calls


def test_several_at_once(tmp_path):
    def make(side):
        return [
            callbacks.ReduceLROnPlateau(patience=1, factor=0.5),
            callbacks.EarlyStopping(patience=4, restore_best_weights=True),
            callbacks.CSVLogger(tmp_path / f"{side}.csv"),
            callbacks.ModelCheckpoint(
                tmp_path / side / "{epoch}.weights.h5", "val_accuracy", save_weights_only=True, save_best_only=True
            ),
            callbacks.TerminateOnNaN(),
        ]

    model, trainer = make_keras(), make_trainer()
    there = fit_keras(model, make("keras"), 12).history
    here = fit_trainer(trainer, make("loop"), 12).history
    assert set(here) == set(there)
    for name, values in there.items():
        np.testing.assert_allclose(here[name], values, **CLOSE)
    for kept, trained in zip(model.get_weights(), weights_of(trainer.model), strict=True):
        np.testing.assert_allclose(trained, kept, **CLOSE)
    names = [sorted(path.name for path in (tmp_path / side).iterdir()) for side in ("keras", "loop")]
    assert names[0] == names[1]
    headers = [(tmp_path / f"{side}.csv").read_text().splitlines()[0] for side in ("keras", "loop")]
    assert headers[0] == headers[1]


def test_backup_and_restore(tmp_path):
    class Interrupts(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    whole, torn, resumed = (make_trainer(rate=0.1, momentum=0.9) for _ in range(3))
    fit_trainer(whole, [], 6)
    with pytest.raises(KeyboardInterrupt):
        fit_trainer(torn, [callbacks.BackupAndRestore(tmp_path / "backup"), Interrupts()], 6)
    history = fit_trainer(resumed, [callbacks.BackupAndRestore(tmp_path / "backup")], 6)
    assert len(history.history["loss"]) == 3
    for there, here in zip(weights_of(whole.model), weights_of(resumed.model), strict=True):
        np.testing.assert_array_equal(here, there)


def test_refused_as_in_a_loop():
    with pytest.raises(AttachError, match="ModelCheckpoint cannot run on a model that is not Keras'"):
        fit_trainer(make_trainer(), [callbacks.ModelCheckpoint("whole.keras")], 1)
