import copy
import pickle
import sys

import matplotlib
import numpy as np
import pytest
import torch
from tests.unit.core.counting_library import CountingLibrary

import onlooker as ol
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import MissingExtraError
from onlooker.core.logs import LazyLogs

History = ol.callbacks.History


def train(history, epochs=3, *, others=(), validate_every=1, **loop):
    with ol.Loop(None, callbacks=[history, *others], **loop) as loop:
        for epoch in loop.epochs(epochs):
            for number in loop.train([1.0, 3.0]):
                loop.log(loss=number + epoch)
            if (epoch + 1) % validate_every == 0:
                for number in loop.test([5.0]):
                    loop.log(loss=number)
    return history


def test_keeps_every_epoch():
    history = train(History())
    assert history.epochs == history.epoch == [0, 1, 2]
    assert history.history == {"loss": [2.0, 3.0, 4.0], "val_loss": [5.0, 5.0, 5.0]}
    assert repr(history) == "History(3 epochs: loss, val_loss)"


def test_is_what_keras_keeps():
    keras = pytest.importorskip("keras")
    theirs, ours = keras.callbacks.History(), History()
    train(ours, 4, others=[theirs], validate_every=2)
    assert ours.history == theirs.history
    assert ours.epoch == theirs.epoch


def test_begins_anew_with_each_training():
    history = History()
    train(history, 3)
    train(history, 1)
    assert history.epochs == [0]
    assert history.history == {"loss": [2.0], "val_loss": [5.0]}


def test_a_name_that_comes_in_some_epochs_keeps_its_epochs():
    history = train(History(), 5, validate_every=2)
    assert history.history["val_loss"] == [5.0, 5.0]
    assert history.curve("val_loss") == ([1, 3], [5.0, 5.0])
    assert history.curve("loss") == ([0, 1, 2, 3, 4], [2.0, 3.0, 4.0, 5.0, 6.0])


def test_an_unknown_curve_is_named_with_those_that_are_there():
    with pytest.raises(KeyError, match="'acc' is not in the history; available: loss, val_loss"):
        train(History()).curve("acc")


def test_keeps_numbers_only_and_as_floats():
    history = History()
    dispatcher = Dispatcher([history])
    logs = {
        "python": 1,
        "numpy": np.float32(0.5),
        "array": np.array([2.0]),
        "tensor": torch.tensor(3.0),
        "word": "1",
        "words": np.array("high"),
        "many": np.zeros(3),
        "tensors": torch.zeros(3),
        "none": None,
        "nan": float("nan"),
    }
    dispatcher.on_epoch_end(0, logs)
    assert list(history.history) == ["python", "numpy", "array", "tensor", "nan"]
    assert all(type(values[0]) is float for values in history.history.values())


def test_sees_what_later_callbacks_assign():
    class Later(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            assert history.history["loss"][epoch] == epoch + 2.0  # reading in between must not end it
            logs["extra"] = epoch
            logs["loss"] = -logs["loss"]

    history = History()
    train(history, 2, others=[Later()])
    assert history.history["extra"] == [0.0, 1.0]
    assert history.history["loss"] == [-2.0, -3.0]
    assert history.epochs == [0, 1]


def test_waits_for_no_device_in_the_hook():
    library, history = CountingLibrary(), History()
    dispatcher = Dispatcher([history])
    dispatcher.on_epoch_end(0, LazyLogs({"loss": library.value(0.5)}))
    assert library.transfers == []
    dispatcher.on_epoch_begin(1)
    assert library.transfers == [1]
    dispatcher.on_epoch_end(1, LazyLogs({"loss": library.value(0.25)}))
    dispatcher.on_train_end()
    assert library.transfers == [1, 1]  # nothing is left on the device
    assert history.history == {"loss": [0.5, 0.25]}


def test_epochs_may_end_without_having_begun():
    """As a trigger on the begin hook alone would have it."""
    history = History()
    dispatcher = Dispatcher([history])
    dispatcher.on_epoch_end(0, {"loss": 0.5})
    dispatcher.on_epoch_end(5, {"loss": 0.25})
    assert history.curve("loss") == ([0, 5], [0.5, 0.25])


def test_leaves_out_the_epoch_in_which_a_training_fails():
    history = History()

    def fail():
        with ol.Loop(None, callbacks=[history]) as loop:
            for epoch in loop.epochs(3):
                for number in loop.train([1.0, 3.0]):
                    loop.log(loss=number)
                    if epoch:
                        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert history.history == {"loss": [2.0]}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))])
def test_copies_are_complete(again):
    history = History()
    dispatcher = Dispatcher([history])
    dispatcher.on_epoch_end(0, LazyLogs({"loss": CountingLibrary().value(0.5)}))
    copied = again(history)
    assert copied.history == {"loss": [0.5]}
    assert not hasattr(copied, "run")


def test_a_resumed_training_has_the_whole_curves(tmp_path):
    class Save(ol.Callback):
        @ol.at(epochs=1)
        def on_epoch_end(self, epoch, logs):
            self.run.save(tmp_path / "run.pt")

    def run(epochs, callbacks, **resume):
        model = torch.nn.Linear(1, 1)
        with ol.Loop(model, callbacks=callbacks, **resume) as loop:
            for epoch in loop.epochs(epochs):
                for number in loop.train([1.0, 3.0]):
                    loop.log(loss=number + epoch)
                if epoch % 2:
                    loop.log(rate=epoch)

    whole = History()
    run(4, [whole, Save()])
    resumed = History()
    run(4, [resumed], resume=tmp_path / "run.pt")
    assert resumed.epochs == whole.epochs == [0, 1, 2, 3]
    assert resumed.history == whole.history
    assert resumed.curve("rate") == whole.curve("rate") == ([1, 3], [1.0, 3.0])


def lines(axes):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}


def test_plot_draws_training_and_validation_of_a_metric_together():
    class Rate(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["rate"] = 0.1

    history = train(History(), 4, others=[Rate()], validate_every=2)
    loss, rate = history.plot().axes
    assert (loss.get_title(), rate.get_title()) == ("loss", "rate")
    assert lines(loss) == {
        "training": ([0, 1, 2, 3], [2.0, 3.0, 4.0, 5.0]),
        "validation": ([1, 3], [5.0, 5.0]),
    }
    assert loss.get_legend() is not None
    assert rate.get_legend() is None


def test_plot_draws_what_was_chosen():
    history = train(History())
    (axes,) = history.plot("loss").axes
    assert list(lines(axes)) == ["training", "validation"]
    assert list(lines(history.plot(["val_loss"]).axes[0])) == ["validation"]
    with pytest.raises(KeyError, match="available: loss, val_loss"):
        history.plot(["accuracy"])


def test_plot_of_nothing_and_of_one_epoch(tmp_path):
    History().plot().savefig(tmp_path / "nothing.png")
    axes = train(History(), 1).plot().axes[0]
    assert all(line.get_marker() == "o" for line in axes.get_lines())  # a line of one point shows nothing


def test_plot_leaves_no_figure_open():
    figure = train(History()).plot()
    assert matplotlib.pyplot.get_fignums() == []
    assert figure.axes


def test_plot_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "onlooker.callbacks.curve_figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'onlooker\[plot\]'"):
        train(History()).plot()
