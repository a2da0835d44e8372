"""A class derived from Keras' `Callback` gets in our loop what it gets in Keras: hooks, order, keys, types."""

import pickle

import keras
import numpy as np
import pytest
import torch
from tests.unit.views.keras_twins import BATCH, Data, batches, fit_keras, fit_loop, make_keras, make_torch, test_loop

import onlooker as ol
from onlooker.core.errors import AttachError
from onlooker.views.keras_callback import adapt


class Fourteen(keras.callbacks.Callback):
    """Overrides all hooks, and writes down what it was given."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def write(self, hook, index, logs):
        self.calls.append((hook, index, list(logs)))
        assert type(logs) is dict
        assert all(type(value) is float for name, value in logs.items() if name != "outputs")
        assert isinstance(logs.get("outputs", np.empty(0)), np.ndarray)

    def on_train_begin(self, logs=None):
        self.write("on_train_begin", None, logs)

    def on_train_end(self, logs=None):
        self.write("on_train_end", None, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.write("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.write("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self.write("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self.write("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs=None):
        self.write("on_test_begin", None, logs)

    def on_test_end(self, logs=None):
        self.write("on_test_end", None, logs)

    def on_test_batch_begin(self, batch, logs=None):
        self.write("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self.write("on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs=None):
        self.write("on_predict_begin", None, logs)

    def on_predict_end(self, logs=None):
        self.write("on_predict_end", None, logs)

    def on_predict_batch_begin(self, batch, logs=None):
        self.write("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch, logs=None):
        self.write("on_predict_batch_end", batch, logs)


@pytest.mark.parametrize("with_test", [True, False])
def test_the_fourteen_hooks_of_a_fit(with_test):
    there, here = Fourteen(), Fourteen()
    fit_keras(make_keras(), [there], 2, with_test=with_test)
    fit_loop(*make_torch(), [here], 2, with_test=with_test)
    assert len(here.calls) == (34 if with_test else 18)
    assert here.calls == there.calls


def test_the_hooks_of_evaluate_and_predict():
    there, here = Fourteen(), Fourteen()
    data, model = Data(), make_keras()
    model.evaluate(data.x_test, data.y_test, batch_size=BATCH, callbacks=[there], verbose=0)
    model.predict(data.x_test, batch_size=BATCH, callbacks=[there], verbose=0)
    module, optimizer = make_torch()
    with ol.Loop(module, optimizer, callbacks=[here]) as loop:
        test_loop(loop, module, data)
        for x, _ in loop.predict(batches(data.x_test, data.y_test)):
            loop.outputs = module(x)
    assert here.calls == there.calls


def test_params_are_keras_own():
    class Params(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(("train", dict(self.params)))

        def on_test_batch_end(self, batch, logs=None):
            self.seen.append(("test", dict(self.params)))

    class OfEpochs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.steps = self.params["steps"]

    there, here, of_epochs = Params(), Params(), OfEpochs()
    data, model = Data(), make_keras()
    data.x_test, data.y_test = data.x_test[:20], data.y_test[:20]  # one batch fewer than in training
    fit_keras(model, [there], 2, data)
    model.evaluate(data.x_test, data.y_test, batch_size=BATCH, callbacks=[there], verbose=0)
    module, optimizer = make_torch()
    fit_loop(module, optimizer, [here, of_epochs], 2, data)
    assert of_epochs.steps == 3
    with ol.Loop(module, optimizer, callbacks=[here]) as loop:
        test_loop(loop, module, data)

    def without_verbose(seen):
        return [(stage, {k: v for k, v in params.items() if k != "verbose"}) for stage, params in seen]

    assert without_verbose(here.seen) == without_verbose(there.seen)


def test_the_older_names_of_the_batch_hooks():
    class Older(keras.callbacks.Callback):
        calls = ()

        def on_batch_begin(self, batch, logs=None):
            self.calls += (("begin", batch, list(logs)),)

        def on_batch_end(self, batch, logs=None):
            self.calls += (("end", batch, list(logs)),)

    there, here = Older(), Older()
    fit_keras(make_keras(), [there], 1)
    fit_loop(*make_torch(), [here], 1)
    assert here.calls == there.calls
    assert len(here.calls) == 6


def test_arguments_are_given_as_in_keras():
    """By position or by name: a callback that takes them one way only works there, and so here."""

    class Picky(keras.callbacks.Callback):
        calls = ()

        def on_epoch_end(self, e, values, /):
            self.calls += (e,)

        def on_train_end(self, values, /):
            self.calls += ("end",)

        def on_train_batch_end(self, b, *, logs):
            self.calls += (f"batch {b}",)

    there, here = Picky(), Picky()
    fit_keras(make_keras(), [there], 1)
    fit_loop(*make_torch(), [here], 1)
    assert here.calls == there.calls == ("batch 0", "batch 1", "batch 2", 0, "end")


def test_only_what_is_overridden_is_listened_to():
    """So that a callback of epochs costs nothing in a batch, and nobody waits for the device."""

    class Epochs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

    from onlooker.core.dispatch import Dispatcher

    dispatcher = Dispatcher([adapt(Epochs())])
    assert dispatcher.listens("on_epoch_end")
    assert not dispatcher.listens("on_train_batch_end")
    assert not dispatcher.listens("on_test_batch_begin")


def test_what_a_callback_assigns_the_later_ones_see():
    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["extra"] = epoch + 0.5
            logs["loss"] = 7.0
            del logs["accuracy"]

        def on_test_end(self, logs=None):
            logs["twice"] = 2.0

    class Sees(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            self.logs = dict(logs)

    sees, history = Sees(), keras.callbacks.History()
    fit_loop(*make_torch(), [Adds(), sees, history], 2)
    assert set(sees.logs) == {"loss", "extra", "val_loss", "val_accuracy", "val_twice"}
    assert sees.logs["loss"] == 7.0
    assert sees.logs["val_twice"] == 2.0
    assert history.history["extra"] == [0.5, 1.5]


def test_a_stop_is_a_stop_and_says_by_whom():
    class Stops(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.stop_training = True

    there, here = Fourteen(), Fourteen()
    fit_keras(make_keras(), [Stops(), there], 5)
    loop = fit_loop(*make_torch(), [Stops(), here], 5)
    assert here.calls == there.calls
    assert (loop.run.outcome, loop.run.reason, loop.run.stopped_by) == ("stopped", "stopped by Stops", "Stops")


def test_who_asked_to_stop_can_take_it_back():
    class Wavers(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

        def on_epoch_end(self, epoch, logs=None):
            assert self.model.stop_training
            self.model.stop_training = False

    loop = fit_loop(*make_torch(), [Wavers()], 3)
    assert (loop.run.outcome, loop.run.reason, loop.run.step) == ("completed", "", 3)


def test_nobody_takes_back_what_another_asked_for():
    class Insists(ol.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.run.stop("enough")

    class Objects(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = False

    loop = fit_loop(*make_torch(), [Insists(), Objects()], 3)
    assert (loop.run.outcome, loop.run.reason) == ("stopped", "enough")


def test_errors_name_the_keras_class():
    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken") as caught:
        fit_loop(*make_torch(), [Breaks()], 2)
    assert any("Breaks.on_epoch_end, epoch 0" in note for note in caught.value.__notes__)


def test_policies_and_triggers_of_a_keras_callback():
    class Warns(keras.callbacks.Callback):
        on_error = "warn"
        when = ol.every(epochs=2)

        def __init__(self):
            super().__init__()
            self.epochs = []

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append(epoch)
            raise RuntimeError("broken")

    class Triggered(keras.callbacks.Callback):
        epochs = ()

        @ol.at(epochs=[2])
        def on_epoch_end(self, epoch, logs=None):
            self.epochs += (epoch,)

    warns, triggered = Warns(), Triggered()
    with pytest.warns(ol.OnlookerWarning, match=r"Warns\.on_epoch_end"):
        fit_loop(*make_torch(), [warns, triggered], 4)
    assert warns.epochs == [1, 3]
    assert triggered.epochs == (2,)


def test_a_member_of_a_callback_list_runs_in_this_thread_and_at_once():
    import threading

    class Where(keras.callbacks.Callback):
        async_safe = True

        def __init__(self):
            super().__init__()
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append((threading.current_thread(), batch))

    where = Where()
    fit_loop(*make_torch(), [keras.callbacks.CallbackList([where])], 2)
    assert where.seen == [(threading.main_thread(), batch) for _ in range(2) for batch in range(3)]


def test_a_callback_list_adds_history_and_holds_its_members_to_their_rows():
    history = keras.callbacks.CallbackList([keras.callbacks.TerminateOnNaN()], add_history=True)
    fit_loop(*make_torch(), [history], 2)
    assert len(history._history.history["val_loss"]) == 2
    with pytest.raises(AttachError, match="ModelCheckpoint"):
        adapt(keras.callbacks.CallbackList([keras.callbacks.ModelCheckpoint("whole.keras")]))
    with pytest.raises(AttachError, match=r"onlooker\.Callback within a Keras CallbackList"):
        adapt(keras.callbacks.CallbackList([ol.Callback()]))


def test_attaching():
    with pytest.raises(AttachError, match=r"EarlyStopping is a class; pass an instance"):
        adapt(keras.callbacks.EarlyStopping)
    callback = Fourteen()
    assert adapt(callback) is adapt(callback)
    with pytest.raises(AttachError, match="Fourteen was passed twice"):
        ol.Loop(*make_torch(), callbacks=[callback, callback])


def test_misspelled_hooks_are_refused_as_in_our_own():
    class Parent(keras.callbacks.Callback):
        def on_epoch_edn(self, epoch, logs=None): ...

    for kind in (Parent, type("Watch", (Parent,), {})):
        with pytest.raises(AttachError, match=rf"{kind.__name__}.on_epoch_edn is no hook .* mean on_epoch_end\?"):
            adapt(kind())
    watch = keras.callbacks.Callback()
    watch.on_eror = "warn"
    with pytest.raises(AttachError, match="did you mean on_error"):
        ol.Loop(None, callbacks=[watch])
    adapt(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None))


def test_a_callback_of_keras_2_is_refused_but_for_ones_own():
    old = type("Callback", (), {"__module__": "tf_keras.src.callbacks", "on_epoch_end": lambda *_: None})
    stopping = type("EarlyStopping", (old,), {"__module__": "tf_keras.src.callbacks"})
    with pytest.raises(AttachError, match=r"Keras 2 \(tf_keras\).*keras\.callbacks\.EarlyStopping of Keras 3"):
        adapt(stopping())
    assert adapt(type("Mine", (old,), {})())


def test_no_optimizer_for_one_that_needs_it():
    module, _ = make_torch()
    for callback in (
        keras.callbacks.ReduceLROnPlateau(),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate),
    ):
        with pytest.raises(AttachError, match="needs an optimizer; pass it"):
            ol.Loop(module, callbacks=[callback])


def test_no_weights_for_one_that_needs_them(tmp_path):
    for callback in (
        keras.callbacks.EarlyStopping(restore_best_weights=True),
        keras.callbacks.BackupAndRestore(tmp_path),
        keras.callbacks.ModelCheckpoint("a.weights.h5", save_weights_only=True),
    ):
        with pytest.raises(AttachError, match=f"{type(callback).__name__} needs the weights: .*a object"):
            ol.Loop(object(), callbacks=[callback])
    ol.Loop(object(), callbacks=[keras.callbacks.EarlyStopping()])


def test_a_callback_can_be_used_in_keras_again_afterwards():
    history = keras.callbacks.History()
    fit_loop(*make_torch(), [history], 1)
    here = history.history
    there = keras.callbacks.History()
    fit_keras(make_keras(), [history, there], 1)
    assert history.history["loss"] == pytest.approx([here["loss"][0], there.history["loss"][0]])


def test_pickling_leaves_the_run_behind():
    stopping = keras.callbacks.EarlyStopping(patience=3)
    fit_loop(*make_torch(), [stopping], 1)
    copied = pickle.loads(pickle.dumps(adapt(stopping)))
    assert copied.keras_callback.patience == 3
    assert copied.keras_callback.model is None
    assert stopping.model is not None


def test_zero_dimensional_arrays_become_floats():
    class Adds(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["numpy"], logs["torch"], logs["text"] = np.float32(1.5), torch.tensor(2.5), "word"

    class Sees(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.logs = logs

    sees = Sees()
    fit_loop(*make_torch(), [Adds(), sees], 1)
    assert (sees.logs["numpy"], sees.logs["torch"], sees.logs["text"]) == (1.5, 2.5, "word")
    assert type(sees.logs["numpy"]) is type(sees.logs["torch"]) is float


def test_when_the_model_is_set():
    class Asks(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.calls = []

        def set_model(self, model):
            super().set_model(model)
            self.calls.append("set_model")

        def on_train_begin(self, logs=None):
            assert self.model is not None
            assert self.params["epochs"] == 2
            self.calls.append("on_train_begin")

        def on_test_begin(self, logs=None):
            assert self.model is not None
            self.calls.append("on_test_begin")

    there, here = Asks(), Asks()
    data, model = Data(), make_keras()
    fit_keras(model, [there], 2)
    model.evaluate(data.x_test, data.y_test, batch_size=BATCH, callbacks=[there], verbose=0)
    module, optimizer = make_torch()
    with ol.Loop(module, optimizer, callbacks=[here]) as loop:
        for _ in loop.epochs(2):
            for _ in loop.train([1]):
                pass
            test_loop(loop, module, data)
        test_loop(loop, module, data)
    assert here.calls == there.calls


class Late(keras.callbacks.Callback):
    """Sets on itself what it was given, when the training begins."""

    def __init__(self, **settings):
        super().__init__()
        self.settings = settings

    def on_train_begin(self, logs=None):
        for name, value in self.settings.items():
            setattr(self, name, value)


def test_what_it_sets_on_itself_when_the_training_begins_is_heard():
    seen = []
    late = Late(
        on_epoch_end=lambda epoch, logs: seen.append(epoch),
        on_batch_end=lambda batch, logs: seen.append(f"batch {batch}"),
        on_test_end=lambda logs: seen.append("test"),
        on_train_end=lambda logs: seen.append("over"),
        when=ol.at(epochs=1),
    )
    fit_loop(*make_torch(), [late], epochs=3)
    assert seen == ["test", "batch 0", "batch 1", "batch 2", "test", 1, "test", "over"]


def test_what_is_set_on_it_before_the_training_and_between_two_is_heard():
    seen = []
    late = Late()
    loop = ol.Loop(None, callbacks=[late])
    late.on_train_begin = lambda logs=None: setattr(late, "on_epoch_end", lambda epoch, logs: seen.append("first"))
    with loop:
        list(loop.train([1]))
        late.on_epoch_end = lambda epoch, logs: seen.append("second")
        late.on_train_begin = lambda logs: None
        list(loop.train([1]))
    with ol.Loop(None, callbacks=[late]) as again:
        list(again.train([1]))
        del late.on_epoch_end
        list(again.train([1]))
    assert seen == ["first", "second", "second"]
