"""Keras' own callbacks on a PyTorch module, number by number against the same callback in Keras' fit."""

import csv
import io
import re
from contextlib import redirect_stdout

import h5py
import keras
import numpy as np
import pytest
import torch
from tests.unit.views.keras_twins import (
    Data,
    batches,
    fit_keras,
    fit_loop,
    make_keras,
    make_torch,
    test_loop,
    train_step,
    weights_of,
)

import onlooker as ol
from onlooker.views.keras_facade import load_weights

callbacks = keras.callbacks
CLOSE = {"rtol": 2e-4, "atol": 2e-5}  # two libraries' sums in float32


def assert_same_weights(model, module):
    for there, here in zip(model.get_weights(), weights_of(module), strict=True):
        np.testing.assert_allclose(here, there, **CLOSE)


def run_both(make_callbacks, epochs, settings=None, **fit):
    """Train both twins with callbacks of their own; return what each leaves behind."""
    settings = settings or {}
    model, there = make_keras(**settings), make_callbacks("keras")
    history = fit_keras(model, there, epochs, **fit)
    (module, optimizer), here = make_torch(**settings), make_callbacks("loop")
    loop = fit_loop(module, optimizer, here, epochs, **fit)
    return (model, there, history), (module, here, loop)


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 2, "restore_best_weights": True},
        {"patience": 2, "restore_best_weights": False},
        {"monitor": "val_accuracy", "patience": 3, "restore_best_weights": True},  # mode="auto": to be known by name
        {"monitor": "loss", "min_delta": 0.05, "patience": 1},
        {"baseline": 0.5, "patience": 3, "restore_best_weights": True},
        {"start_from_epoch": 3, "patience": 1, "restore_best_weights": True},
        {"monitor": "val_accuracy", "mode": "min", "patience": 0},
    ],
    ids=str,
)
def test_early_stopping(arguments):
    there, here = run_both(lambda _: [callbacks.EarlyStopping(**arguments), callbacks.History()], 12)
    model, (stopping_there, _), _ = there
    module, (stopping_here, history_here), loop = here
    assert stopping_here.stopped_epoch == stopping_there.stopped_epoch
    assert stopping_here.best_epoch == stopping_there.best_epoch
    assert 0 < stopping_here.stopped_epoch == history_here.epoch[-1] < 11
    assert loop.run.outcome == "stopped"
    assert_same_weights(model, module)
    if arguments.get("restore_best_weights"):
        for kept, weight in zip(stopping_here.best_weights, module.state_dict().values(), strict=True):
            np.testing.assert_array_equal(kept, weight.numpy())


def test_early_stopping_restores_buffers_too():
    """A running mean is a weight: restoring the weights alone would give a model that never was."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3))
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    states = []

    class Keeps(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            states.append({name: value.clone() for name, value in self.model.state_dict().items()})

    stopping = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    fit_loop(module, optimizer, [stopping, Keeps()], 30)
    assert stopping.best_epoch < len(states) - 1
    assert_equal(module.state_dict(), states[stopping.best_epoch])
    assert not torch.equal(states[stopping.best_epoch]["1.running_mean"], states[-1]["1.running_mean"])


def assert_equal(here, there):
    assert list(here) == list(there)
    for name, value in here.items():
        assert torch.equal(value, there[name]), name


def test_early_stopping_compares_in_float32():
    class Loses(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = 1 - epoch * 1e-9

    stopping = callbacks.EarlyStopping(patience=2)
    fit_loop(*make_torch(), [Loses(), stopping], 5)
    assert stopping.stopped_epoch == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1, "factor": 0.5},
        {"patience": 0, "factor": 0.1, "cooldown": 1},
        {"monitor": "val_accuracy", "patience": 2, "factor": 0.2, "min_lr": 0.05},
        {"monitor": "loss", "min_delta": 0.1, "patience": 1, "factor": 0.3},
    ],
    ids=str,
)
def test_reduce_learning_rate_on_plateau(arguments):
    there, here = run_both(lambda _: [callbacks.ReduceLROnPlateau(**arguments), callbacks.History()], 10)
    rates_there, rates_here = (side[1][1].history["learning_rate"] for side in (there, here))
    np.testing.assert_allclose(rates_here, rates_there, rtol=1e-6)
    assert len(set(rates_here)) > 1
    assert_same_weights(there[0], here[0])


def test_learning_rate_scheduler():
    def schedule(epoch, rate):
        return rate if epoch < 2 else rate * 0.7

    there, here = run_both(lambda _: [callbacks.LearningRateScheduler(schedule), callbacks.History()], 6)
    rates_there, rates_here = (side[1][1].history["learning_rate"] for side in (there, here))
    np.testing.assert_allclose(rates_here, rates_there, rtol=1e-6)
    np.testing.assert_allclose(rates_here[-1], 0.5 * 0.7**4)
    assert_same_weights(there[0], here[0])


def test_a_schedule_may_return_an_array():
    scheduler = callbacks.LearningRateScheduler(lambda epoch, rate: np.float32(0.25))
    module, optimizer = make_torch()
    fit_loop(module, optimizer, [scheduler], 1)
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_each_of_several_learning_rates_is_scheduled_by_itself():
    module, _ = make_torch()
    optimizer = torch.optim.SGD(
        [{"params": module[0].parameters(), "lr": 0.4}, {"params": module[2].parameters()}], 0.1
    )
    history = callbacks.History()
    halves = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    reduces = callbacks.ReduceLROnPlateau("accuracy", factor=0.1, patience=0, mode="min", min_lr=0.01)
    loop = fit_loop(module, optimizer, [halves, history], 2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.025]
    names = [f"learning_rate_{name}" for name in loop.run.learning_rate]
    assert [history.history[name] for name in names] == [[0.2, 0.1], [0.05, 0.025]]
    fit_loop(module, optimizer, [reduces, history], 6)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.01])
    assert {len(values) for name, values in history.history.items() if name in names} == {8}, "equal rates keep names"


def test_csv_logger(tmp_path):
    def make(side):
        return [
            callbacks.LearningRateScheduler(lambda epoch, rate: rate),
            callbacks.CSVLogger(tmp_path / f"{side}.csv"),
        ]

    run_both(make, 3)
    there, here = ([*csv.DictReader((tmp_path / f"{side}.csv").open())] for side in ("keras", "loop"))
    assert list(here[0]) == list(there[0])
    assert len(here) == len(there) == 3
    for row_there, row_here in zip(there, here, strict=True):
        np.testing.assert_allclose(*([float(v) for v in row.values()] for row in (row_here, row_there)), **CLOSE)


def test_csv_logger_appends(tmp_path):
    def make(side):
        return [callbacks.CSVLogger(tmp_path / f"{side}.csv", separator=";", append=True)]

    run_both(make, 2, with_test=False)
    run_both(make, 2, with_test=False)
    there, here = ((tmp_path / f"{side}.csv").read_text().splitlines() for side in ("keras", "loop"))
    assert here[0] == there[0] == "epoch;accuracy;loss;val_accuracy;val_loss"
    assert [line.split(";")[0] for line in here] == ["epoch", "0", "1", "0", "1"]
    assert [line.split(";")[3:] for line in here[1:]] == [["NA", "NA"]] * 4


def test_history():
    _, (_, (history,), _) = run_both(lambda _: [callbacks.History()], 3)
    there = fit_keras(make_keras(), [], 3)
    assert history.epoch == there.epoch
    assert sorted(history.history) == sorted(there.history)
    for name, values in there.history.items():
        np.testing.assert_allclose(history.history[name], values, **CLOSE)


@pytest.mark.parametrize("broken", ["nan", "inf"])
def test_terminate_on_nan(broken):
    class Breaks(keras.callbacks.Callback):
        """Puts a NaN into the weights, so that the second batch after it has no loss."""

        def on_train_batch_end(self, batch, logs=None):
            if self.counts["batches"] == 3:
                weights = self.model.get_weights()
                weights[-1][:] = np.nan if broken == "nan" else np.inf
                self.model.set_weights(weights)
            self.counts["batches"] += 1

        def on_train_begin(self, logs=None):
            self.counts = {"batches": 0}

    there, here = run_both(lambda _: [callbacks.TerminateOnNaN(), Breaks(), callbacks.History()], 4)
    assert here[1][1].counts == there[1][1].counts == {"batches": 5}
    assert here[1][2].epoch == there[1][2].epoch == [0, 1]
    assert (here[2].run.outcome, here[2].run.stopped_by) == ("stopped", "TerminateOnNaN")


def test_terminate_on_nan_may_raise():
    class Breaks(ol.Callback):
        def on_train_begin(self, logs=None):
            self.model[2].bias.data[:] = np.nan

    with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 0"):
        fit_loop(*make_torch(), [Breaks(), callbacks.TerminateOnNaN(raise_error=True)], 2)


CHECKPOINTS = [
    {},
    {"save_best_only": True},
    {"save_best_only": True, "monitor": "val_accuracy"},
    {"save_best_only": True, "monitor": "accuracy", "initial_value_threshold": 0.75},
    {"save_freq": 4},
    {"save_freq": 2, "monitor": "nobody knows what"},
]


@pytest.mark.parametrize("arguments", CHECKPOINTS, ids=str)
def test_model_checkpoint(arguments, tmp_path):
    name = "{epoch:02d}-{loss:.3f}" + (".weights.h5" if "save_freq" not in arguments else "-{batch}.weights.h5")
    if arguments.get("monitor") == "nobody knows what":
        arguments = {**arguments, "mode": "max"}  # Keras itself would raise

    def make(side):
        return [callbacks.ModelCheckpoint(tmp_path / side / name, save_weights_only=True, **arguments)]

    run_both(make, 6)
    there, here = (sorted(path.name for path in (tmp_path / side).iterdir()) for side in ("keras", "loop"))
    assert here == there
    assert here
    model, (module, _) = make_keras(), make_torch()
    for file in here:
        model.load_weights(tmp_path / "keras" / file)
        load_weights(tmp_path / "loop" / file, module)
        assert_same_weights(model, module)


def test_model_checkpoint_of_the_best_within_an_epoch(tmp_path):
    """In Keras 3.15 the second comparison of the first epoch fails: nobody has chosen the direction yet."""
    checkpoint = callbacks.ModelCheckpoint(
        tmp_path / "{epoch}-{batch}.weights.h5",
        monitor="loss",
        save_weights_only=True,
        save_best_only=True,
        save_freq=1,
    )
    fit_loop(*make_torch(), [checkpoint], 2)
    assert (tmp_path / "1-1.weights.h5").exists()


def test_the_weights_file_is_plain_hdf5(tmp_path):
    module, optimizer = make_torch(momentum=0.9)
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    fit_loop(module, optimizer, [checkpoint], 2)
    with h5py.File(tmp_path / "2.weights.h5") as file:
        for name, weight in module.state_dict().items():
            np.testing.assert_array_equal(file[f"modules/{name}"][()], weight.numpy())
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    again, fresh = make_torch(momentum=0.9)
    load_weights(tmp_path / "2.weights.h5", again, fresh)
    for index, state in optimizer.state_dict()["state"].items():
        assert torch.equal(fresh.state_dict()["state"][index]["momentum_buffer"], state["momentum_buffer"])


class Interrupts(keras.callbacks.Callback):
    """Ends the training as a failing machine or a user would."""

    def __init__(self, epoch, batch, error=RuntimeError):
        super().__init__()
        self.at, self.error = (epoch, batch), error

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise self.error("pulled the plug")


@pytest.mark.parametrize("arguments", [{}, {"save_freq": 2}, {"double_checkpoint": True}], ids=str)
def test_backup_and_restore_as_in_keras(arguments, tmp_path):
    """The same epochs are run again, and the momentum is there."""
    settings = {"rate": 0.1, "momentum": 0.9}
    trained, history = {}, {}
    for side, make, fit in (
        ("keras", lambda: (make_keras(**settings),), fit_keras),
        ("loop", lambda: make_torch(**settings), fit_loop),
    ):
        backup = tmp_path / side
        with pytest.raises(RuntimeError, match="pulled the plug"):
            fit(*make(), [callbacks.BackupAndRestore(backup, **arguments), Interrupts(3, 1)], 6)
        assert backup.exists()
        trained[side], history[side] = make(), callbacks.History()
        fit(*trained[side], [callbacks.BackupAndRestore(backup, **arguments), history[side]], 6)
        assert not backup.exists()
    assert history["loop"].epoch == history["keras"].epoch == [3, 4, 5]
    np.testing.assert_allclose(history["loop"].history["loss"], history["keras"].history["loss"], **CLOSE)
    assert_same_weights(trained["keras"][0], trained["loop"][0])


class Shuffled:
    """A training with everything that draws at random, and momentum."""

    def __init__(self):
        torch.manual_seed(0)
        data = Data()
        self.module = torch.nn.Sequential(
            torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.3), torch.nn.Linear(16, 3)
        )
        self.optimizer = torch.optim.Adam(self.module.parameters(), 0.01)
        pairs = torch.utils.data.TensorDataset(torch.from_numpy(data.x), torch.from_numpy(data.y))
        self.loader = torch.utils.data.DataLoader(pairs, 12, shuffle=True)

    def fit(self, attached, epochs=6):
        with ol.Loop(self.module, self.optimizer, callbacks=attached) as loop:
            for _ in loop.epochs(epochs):
                for x, y in loop.train(self.loader):
                    loss = torch.nn.functional.cross_entropy(self.module(x), y)
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
                    loop.log(loss=loss)
        return loop


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("batch", [0, 2], ids=["first batch", "last batch"])
def test_backup_and_restore_is_exact(error, batch, tmp_path):
    """Interrupted and resumed gives the same bits as never interrupted, shuffling and dropout included."""
    whole = Shuffled()
    loop_whole = whole.fit([])
    with pytest.raises(error):
        Shuffled().fit([callbacks.BackupAndRestore(tmp_path / "backup"), Interrupts(3, batch, error)])
    assert (tmp_path / "backup" / "latest.weights.h5").exists()
    resumed = Shuffled()
    torch.manual_seed(99)  # another process has drawn other numbers
    history = callbacks.History()
    loop = resumed.fit([callbacks.BackupAndRestore(tmp_path / "backup"), history])
    assert history.epoch == [3, 4, 5]
    assert (loop.run.is_resumed, loop.run.step) == (True, loop_whole.run.step)
    assert_equal(resumed.module.state_dict(), whole.module.state_dict())


def test_backup_and_restore_lets_go_when_somebody_stops(tmp_path):
    class Stops(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.run.stop("good enough")

    Shuffled().fit([callbacks.BackupAndRestore(tmp_path / "backup"), Stops()])
    assert not (tmp_path / "backup").exists()


def test_a_torn_epoch_is_no_epoch(tmp_path):
    """As in Keras: after an error there is no row, no best and no checkpoint of what was torn."""
    attached = [
        callbacks.History(),
        callbacks.CSVLogger(tmp_path / "log.csv"),
        callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        callbacks.EarlyStopping(),
        Interrupts(1, 1),
    ]
    with pytest.raises(RuntimeError, match="pulled the plug"):
        fit_loop(*make_torch(), attached, 3)
    assert attached[0].epoch == [0]
    assert [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()] == ["epoch", "0"]
    assert [path.name for path in tmp_path.glob("*.h5")] == ["1.weights.h5"]
    assert attached[1].csv_file.closed, "on_train_end did come"


def test_a_torn_batch_is_no_batch(tmp_path):
    """Ctrl-C may come in the middle of a step: such weights must not replace good ones."""
    module, optimizer = make_torch()
    attached = [
        callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=1),
        callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1),
    ]

    def train():
        with ol.Loop(module, optimizer, callbacks=attached) as loop:
            for _ in loop.epochs(1):
                for batch in loop.train([0, 1, 2]):
                    loop.log(loss=0.5)
                    module[0].weight.data.fill_(batch)
                    if batch == 2:
                        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == ["1-1.weights.h5", "1-2.weights.h5"]
    load_weights(tmp_path / "backup" / "latest.weights.h5", module)
    assert (module[0].weight == 1).all()


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("settings", [{"ema_momentum": 0.9}, {"ema_momentum": 0.5, "ema_overwrite_frequency": 4}, {}])
def test_swap_ema_weights(swap_on_epoch, settings, tmp_path):
    """Every test is made with the average, every batch trained without it, and the model ends with it."""

    def make(side):
        checkpoint = callbacks.ModelCheckpoint(tmp_path / side / "{epoch}.weights.h5", save_weights_only=True)
        return [callbacks.SwapEMAWeights(swap_on_epoch), callbacks.History(), checkpoint]

    model, there = make_keras(use_ema=True, **settings), make("keras")
    fit_keras(model, there, 4)
    module, optimizer = make_torch()
    optimizer.use_ema = True
    for name, value in settings.items():
        setattr(optimizer, name, value)
    here = make("loop")
    fit_loop(module, optimizer, here, 4)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(here[1].history[name], there[1].history[name], **CLOSE)
    assert_same_weights(model, module)
    assert not optimizer._optimizer_step_post_hooks, "nothing is left hanging on the optimizer"
    other, (copied, _) = make_keras(), make_torch()
    for epoch in range(1, 5):
        other.load_weights(tmp_path / "keras" / f"{epoch}.weights.h5")
        load_weights(tmp_path / "loop" / f"{epoch}.weights.h5", copied)
        assert_same_weights(other, copied)


def test_swap_ema_weights_needs_a_marked_optimizer():
    with pytest.raises(ol.core.errors.AttachError, match=r"set optimizer\.use_ema = True"):
        ol.Loop(*make_torch(), callbacks=[callbacks.SwapEMAWeights()])
    module, optimizer = make_torch()
    optimizer.use_ema, optimizer.ema_momentum = True, 1.5
    with pytest.raises(ValueError, match=r"ema_momentum=1\.5; expected a number from 0 to 1"):
        ol.Loop(module, optimizer, callbacks=[callbacks.SwapEMAWeights()])


def test_swap_ema_weights_swaps_back_after_a_prediction():
    """Keras does not, and trains on with the average."""
    module, optimizer = make_torch()
    optimizer.use_ema = True
    data = Data()
    with ol.Loop(module, optimizer, callbacks=[callbacks.SwapEMAWeights()]) as loop:
        for _ in loop.epochs(1):
            for x, y in loop.train([(torch.from_numpy(data.x), torch.from_numpy(data.y))] * 3):
                loss = torch.nn.functional.cross_entropy(module(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            before = weights_of(module)
            for _ in loop.predict([0]):
                assert not np.array_equal(weights_of(module)[0], before[0])
            np.testing.assert_array_equal(weights_of(module)[0], before[0])


def test_swap_ema_weights_ends_with_the_average_when_stopped_early():
    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    again, marked = make_torch()
    marked.use_ema = True
    fit_loop(again, marked, [callbacks.SwapEMAWeights()], 2)
    module, optimizer = make_torch()
    optimizer.use_ema = True
    data = Data()
    swaps = [callbacks.SwapEMAWeights(swap_on_epoch=True), Stops()]
    with ol.Loop(module, optimizer, callbacks=swaps) as loop:
        for _ in loop.epochs(5):
            for x, y in loop.train(batches(data.x, data.y)):
                train_step(loop, module, optimizer, x, y)
            test_loop(loop, module, data)
        np.testing.assert_array_equal(weights_of(again)[0], weights_of(module)[0])
        test_loop(loop, module, data)
        list(loop.predict([0]))
    np.testing.assert_array_equal(weights_of(again)[0], weights_of(module)[0], "swapped out again, after the end")


def test_swap_ema_weights_takes_one_optimizer_only():
    module, _ = make_torch()
    optimizers = [torch.optim.SGD(module[layer].parameters(), 0.1) for layer in (0, 2)]
    for optimizer in optimizers:
        optimizer.use_ema = True
    with pytest.raises(ol.core.errors.AttachError, match="works with one optimizer that has one learning rate"):
        ol.Loop(module, optimizers, callbacks=[callbacks.SwapEMAWeights()])


def test_swap_ema_weights_where_nobody_knows_the_last_epoch():
    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert self.params["epochs"] == 0
            self.model.stop_training = epoch == 2

    trained = []
    for epochs, stops in ((3, []), (None, [Stops()])):
        module, optimizer = make_torch()
        optimizer.use_ema = True
        fit_loop(module, optimizer, [callbacks.SwapEMAWeights(swap_on_epoch=True), *stops], epochs)
        trained.append(weights_of(module))
    np.testing.assert_array_equal(trained[0][0], trained[1][0])


def test_swap_ema_weights_goes_on_after_a_restore(tmp_path):
    def train(interrupts):
        module, optimizer = make_torch()
        optimizer.use_ema = True
        fit_loop(module, optimizer, [backup(), callbacks.SwapEMAWeights(), *interrupts], 5)
        return weights_of(module)

    def backup():
        return callbacks.BackupAndRestore(tmp_path / "backup")

    whole = train([])
    with pytest.raises(RuntimeError, match="pulled the plug"):
        train([Interrupts(2, 1)])
    for there, here in zip(whole, train([]), strict=True):
        np.testing.assert_array_equal(here, there)


def test_progbar_logger():
    """The same lines, but for the times."""

    def printed(train):
        with redirect_stdout(io.StringIO()) as out:
            train()
        text = re.sub(r"\x1b\[[0-9;]*m|\x08|\r", "", out.getvalue())
        text = re.sub(r"\b\d+[mu]?s(/step)?", "", text)  # times
        return [re.sub(r"\s+", " ", line.split("━ ")[-1]).strip() for line in text.splitlines() if line.strip()]

    def make_twice():
        model = make_keras()
        data = Data()
        model.fit(
            data.x, data.y, batch_size=12, epochs=2, shuffle=False, verbose=2, callbacks=[],
            validation_data=(data.x_test, data.y_test),
        )  # fmt: skip

    there = printed(make_twice)
    here = printed(lambda: fit_loop(*make_torch(), [callbacks.ProgbarLogger()], 2))
    assert [line for line in here if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    ends_there = [line[line.index("accuracy") :] for line in there if "val_loss" in line]
    ends_here = [line[line.rindex("- accuracy") + 2 :] for line in here if "val_loss" in line]
    assert len(ends_here) == len(ends_there) == 2
    for line_there, line_here in zip(ends_there, ends_here, strict=True):
        assert line_here == line_there


def test_progbar_logger_learns_the_number_of_batches():
    bar = callbacks.ProgbarLogger()
    with redirect_stdout(io.StringIO()) as out:
        fit_loop(*make_torch(), [bar], 2)
    assert "1/3" in out.getvalue()
    assert "Unknown" not in out.getvalue()
    assert bar.target == 3


def test_lambda_callback():
    def make(side):
        calls = []
        made = callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: calls.append(("epoch begin", epoch)),
            on_epoch_end=lambda e, _: calls.append(("epoch end", e, sorted(_))),
            on_train_batch_end=lambda batch, logs: calls.append(("batch", batch, sorted(logs))),
            on_train_end=lambda _: calls.append(("end", sorted(_))),
            on_test_begin=lambda _: calls.append("test"),
        )
        made.calls = calls
        return [made]

    there, here = run_both(make, 2)
    assert here[1][0].calls == there[1][0].calls
    assert len(here[1][0].calls) == 13


def test_a_resumed_run_goes_on_with_what_the_callbacks_remember(tmp_path):
    """`run.save` and `Loop(resume=...)`: patience, best value and best weights are not forgotten."""

    class Saves(ol.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                self.run.save(tmp_path / "run.pt")

    def make():
        return [
            callbacks.EarlyStopping(patience=3, restore_best_weights=True),
            callbacks.ReduceLROnPlateau(patience=2, factor=0.5),
            callbacks.History(),
        ]

    whole, (module, optimizer) = make(), make_torch()
    fit_loop(module, optimizer, [*whole, Saves()], 12)
    assert whole[0].best_epoch < 2 < whole[0].stopped_epoch, "the best epoch is before the file, the stop after it"
    resumed, (again, fresh), data = make(), make_torch(), Data()
    with ol.Loop(again, fresh, callbacks=[*resumed, Saves()], resume=tmp_path / "run.pt") as loop:
        for _ in loop.epochs(12):
            for x, y in loop.train(batches(data.x, data.y)):
                train_step(loop, again, fresh, x, y)
            test_loop(loop, again, data)
    assert resumed[0].stopped_epoch == whole[0].stopped_epoch
    assert resumed[0].best_epoch == whole[0].best_epoch
    assert resumed[2].history == whole[2].history
    assert_equal(again.state_dict(), module.state_dict())
