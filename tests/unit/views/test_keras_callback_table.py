"""The table of Keras' callbacks: complete, on its page as it is, and true, row by row, in a real run."""

import importlib.util
import inspect
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import keras
import pytest
import torch
from docs.tools.keras_callbacks_page import make_page
from tests.unit.views.keras_twins import fit_loop, make_torch, weights_of

import onlooker as ol
from onlooker.core.errors import AttachError
from onlooker.views.keras_callback import adapt
from onlooker.views.keras_direction import find_direction
from onlooker.views.keras_facade import load_weights
from onlooker.views.keras_table import PARTLY, REFUSED, ROWS, TESTED, WORKS, find_row

callbacks = keras.callbacks
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "keras-callbacks.md"


def run(attached, epochs=3):
    """Attach and train; return the loop and the module."""
    module, optimizer = make_torch()
    return fit_loop(module, optimizer, attached, epochs), module


def refused(callback, *words):
    """Attach what has to be refused, and look into the message for the reason and the way out."""
    row = find_row(type(callback))
    with pytest.raises(AttachError) as caught:
        ol.Loop(*make_torch(), callbacks=[callback])
    message = str(caught.value)
    for word in (row.name, row.instead, *words):
        assert word in message
    assert row.instead


class Interrupts(callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def backup_and_restore(path):
    with pytest.raises(KeyboardInterrupt):
        run([callbacks.BackupAndRestore(path / "backup"), Interrupts()], 4)
    history = callbacks.History()
    _, module = run([callbacks.BackupAndRestore(path / "backup"), history], 4)
    assert history.epoch == [2, 3]
    assert (weights_of(module)[0] == weights_of(run([], 4)[1])[0]).all()


def own_class(path):
    class Own(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert self.model.module is module
            assert list(logs) == ["accuracy", "loss", "val_accuracy", "val_loss"]
            self.model.stop_training = epoch == 1

    module, optimizer = make_torch()
    loop = fit_loop(module, optimizer, [Own()], 5)
    assert (loop.run.step, loop.run.reason) == (6, "stopped by Own")


def callback_list(path):
    loop, _ = run([callbacks.CallbackList([callbacks.EarlyStopping("accuracy", mode="min", patience=0)])], 9)
    assert loop.run.outcome == "stopped"


def csv_logger(path):
    run([callbacks.CSVLogger(path / "log.csv")])
    assert (path / "log.csv").read_text().splitlines()[0] == "epoch,accuracy,loss,val_accuracy,val_loss"


def early_stopping(path):
    stopping = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    loop, module = run([stopping], 12)
    assert loop.run.stopped_by == "EarlyStopping"
    assert torch.equal(module[0].weight, torch.from_numpy(stopping.best_weights[0]))


def history(path):
    class Asks(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert self.model.history.epoch[-1] == epoch

    kept = callbacks.History()
    run([kept, Asks()])
    assert len(kept.history["val_loss"]) == 3


def lambda_callback(path):
    seen = []
    run([callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))])
    assert seen == [0, 1, 2]


def learning_rate_scheduler(path):
    loop, _ = run([callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)])
    assert loop.run.learning_rate == 0.5 / 8


def model_checkpoint(path):
    _, module = run([callbacks.ModelCheckpoint(path / "last.weights.h5", save_weights_only=True)])
    again, _ = make_torch()
    load_weights(path / "last.weights.h5", again)
    assert torch.equal(again[0].weight, module[0].weight)
    refused(callbacks.ModelCheckpoint(path / "last.keras"), "save_weights_only=False")


def orbax_checkpoint(path):
    # Not made by calling the class: that needs the package orbax, and fails before we are asked.
    refused(callbacks.OrbaxCheckpoint.__new__(callbacks.OrbaxCheckpoint), "nothing could load")


def progbar_logger(path):
    import io
    from contextlib import redirect_stdout

    with redirect_stdout(io.StringIO()) as out:
        run([callbacks.ProgbarLogger()])
    assert "Epoch 3/3" in out.getvalue()
    assert "3/3" in out.getvalue()


def reduce_learning_rate_on_plateau(path):
    loop, _ = run([callbacks.ReduceLROnPlateau("accuracy", mode="min", patience=0, factor=0.5)])
    assert loop.run.learning_rate == 0.5 / 4


def remote_monitor(path):
    if not importlib.util.find_spec("requests"):
        refused(callbacks.RemoteMonitor(), "requests")
        return
    received = []

    class Receives(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receives)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        run([callbacks.RemoteMonitor(f"http://127.0.0.1:{server.server_port}", send_as_json=True)])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert [set(sent) for sent in received] == [{"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}] * 3


def swap_ema_weights(path):
    with pytest.raises(AttachError, match=r"SwapEMAWeights .* set optimizer\.use_ema = True"):
        run([callbacks.SwapEMAWeights()])
    module, optimizer = make_torch()
    optimizer.use_ema = True
    fit_loop(module, optimizer, [callbacks.SwapEMAWeights()], 2)
    assert not (weights_of(module)[0] == weights_of(run([], 2)[1])[0]).any()


def tensorboard(path):
    board = callbacks.TensorBoard(path, histogram_freq=1, write_images=True)
    if not importlib.util.find_spec("tensorflow"):
        refused(board, "TensorFlow, which is not installed")
        return
    run([callbacks.LearningRateScheduler(lambda epoch, rate: rate), board])
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written = EventAccumulator(str(path / "train")).Reload().Tags()["tensors"]
    assert {"epoch_loss", "epoch_learning_rate", "0.weight/histogram", "2.bias/image"} <= set(written)


def terminate_on_nan(path):
    class Breaks(ol.Callback):
        def on_train_begin(self, logs=None):
            self.model[2].bias.data[:] = float("nan")

    loop, _ = run([Breaks(), callbacks.TerminateOnNaN()])
    assert (loop.run.step, loop.run.stopped_by) == (1, "TerminateOnNaN")


TRIALS = {
    "BackupAndRestore": backup_and_restore,
    "CSVLogger": csv_logger,
    "Callback": own_class,
    "CallbackList": callback_list,
    "EarlyStopping": early_stopping,
    "History": history,
    "LambdaCallback": lambda_callback,
    "LearningRateScheduler": learning_rate_scheduler,
    "ModelCheckpoint": model_checkpoint,
    "OrbaxCheckpoint": orbax_checkpoint,
    "ProgbarLogger": progbar_logger,
    "ReduceLROnPlateau": reduce_learning_rate_on_plateau,
    "RemoteMonitor": remote_monitor,
    "SwapEMAWeights": swap_ema_weights,
    "TensorBoard": tensorboard,
    "TerminateOnNaN": terminate_on_nan,
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.filterwarnings("ignore:.*NaN:onlooker.OnlookerWarning")
def test_a_row_is_true(name, tmp_path):
    TRIALS[name](tmp_path)


def test_every_class_of_keras_is_in_the_table():
    assert keras.__version__ == TESTED, "read what is new in keras.callbacks, then change TESTED"
    exported = {name for name, kind in vars(callbacks).items() if inspect.isclass(kind)}
    assert exported == set(ROWS)
    assert list(ROWS) == sorted(ROWS)
    assert len(ROWS) == 16


def test_what_a_row_says_of_itself():
    for row in ROWS.values():
        assert row.support in (WORKS, PARTLY, REFUSED)
        assert row.how.endswith(".")
        if row.support != WORKS:
            assert row.instead
        for hook in row.withheld:
            assert not getattr(getattr(getattr(callbacks, row.name), hook), "_is_default", False), "it overrides it"


def test_the_attributes_in_a_rows_state_exist(tmp_path):
    kept = [callbacks.EarlyStopping(), callbacks.History(), callbacks.ReduceLROnPlateau()]
    kept.append(callbacks.ModelCheckpoint(tmp_path / "a.weights.h5", save_weights_only=True))
    run(kept)
    assert {type(callback).__name__ for callback in kept} == {row.name for row in ROWS.values() if row.state}
    for callback in kept:
        names = {key.partition(".")[2] for key in adapt(callback).state_dict()}
        assert names == set(ROWS[type(callback).__name__].state)


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == make_page(), "run: python -m docs.tools.generate"


def test_the_page_names_every_row_and_says_nothing_that_is_not_filled_in():
    page = make_page()
    for name, row in ROWS.items():
        assert re.search(rf"^\| `{name}` \| {row.support} \|", page, re.MULTILINE)
    assert not re.search(r"\{\w+\}", page)


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("loss", "min"),
        ("val_loss", "min"),
        ("generator_loss", "min"),
        ("reconstruction_error", "min"),
        ("val_accuracy", "max"),
        ("test_binary_accuracy", "max"),
        ("val_acc", "max"),
        ("val_auc", "max"),
        ("val_mae", "min"),
        ("holdout_mean_squared_error", "min"),
        ("val_f1_score", "max"),
        ("score", None),
        ("val_points", None),
        ("mean_io_u", None),  # a metric of Keras' that cannot be made without arguments
    ],
)
def test_the_direction_in_a_name(name, direction):
    assert find_direction(name) == direction


def test_a_direction_that_nobody_can_tell_is_refused_when_attached():
    for make in (callbacks.EarlyStopping, callbacks.ReduceLROnPlateau):
        with pytest.raises(AttachError, match=rf"{make.__name__}\(monitor='points'.*pass mode='max' or mode='min'"):
            adapt(make(monitor="points"))
        assert adapt(make(monitor="points", mode="max"))
    best = callbacks.ModelCheckpoint("a.weights.h5", "points", save_weights_only=True, save_best_only=True)
    with pytest.raises(AttachError, match="points"):
        adapt(best)


@pytest.mark.parametrize(
    ("name", "meant"), [("val_los", "val_loss"), ("generator_lss", "generator_loss"), ("acuracy", "accuracy")]
)
def test_a_misspelt_name_is_taken_for_what_it_was_meant_to_be(name, meant):
    with pytest.raises(AttachError, match=rf"; did you mean '{meant}'\? Otherwise pass mode='max' or mode='min'"):
        adapt(callbacks.EarlyStopping(monitor=name))


@pytest.mark.parametrize("name", ["points", "val_f2", "cost", "mean_io_u"])
def test_a_name_that_is_like_no_known_one_is_not_corrected(name):
    with pytest.raises(AttachError, match="whether it should rise or fall; pass mode='max' or mode='min'"):
        adapt(callbacks.EarlyStopping(monitor=name))


def test_a_checkpoint_that_compares_nothing_needs_no_direction(tmp_path):
    run([callbacks.ModelCheckpoint(tmp_path / "a.weights.h5", "points", save_weights_only=True)])
    assert (tmp_path / "a.weights.h5").exists()
