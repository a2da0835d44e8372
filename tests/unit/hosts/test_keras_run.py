"""What a callback may ask of its run in Keras."""

import copy
import os
import pickle

import keras
import numpy as np
import pytest
from tests.unit.hosts.keras_models import (
    BACKEND,
    Diary,
    X,
    Y,
    fit,
    is_same,
    make_model,
    on,
    optimizer_of,
    weights_of,
)

import onlooker as ol
from onlooker.core.declaration import ABSENT
from onlooker.core.errors import AbsentError, AttachError, DataError, NotAttachedError
from onlooker.hosts.declared.keras import KERAS_JAX, KERAS_TENSORFLOW, KERAS_TORCH, on_backend
from onlooker.hosts.keras import resume

torch_only = pytest.mark.skipif(BACKEND != "torch", reason="absent there")
compiled_only = pytest.mark.skipif(BACKEND == "torch", reason="present there")


def array(value):
    return np.array(keras.ops.convert_to_numpy(value))


class Needy(ol.Callback):
    def __init__(self, *needs):
        self.needs = needs
        self.seen = []


class TestPosition:
    def test_epoch_batch_stage_and_step(self):
        seen = []

        def look(self, *given):
            run = self.run
            seen.append((run.stage, run.epoch, run.batch, run.step))

        hooks = ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_batch_begin", "on_epoch_end"]
        callback = on(**dict.fromkeys([*hooks, "on_train_end"], look))
        fit(make_model(), [callback], batch_size=10, validation_data=(X[:8], Y[:8]))
        assert seen == [
            ("train", None, None, 0),
            *[("train", 0, None, 0), ("train", 0, 0, 1), ("train", 0, 1, 2), ("test", 0, 0, 2), ("train", 0, None, 2)],
            *[("train", 1, None, 2), ("train", 1, 0, 3), ("train", 1, 1, 4), ("test", 1, 0, 4), ("train", 1, None, 4)],
            ("train", 1, None, 4),
        ]

    def test_params_are_the_dict_of_keras(self):
        diary = Diary()
        fit(make_model(), [diary])
        assert diary.params == {"verbose": 0, "epochs": 2, "steps": 3}
        assert diary.run.params is diary.params

    def test_initial_epoch(self):
        seen = []
        callback = on(
            on_train_begin=lambda self, logs: seen.append(self.run.first_epoch),
            on_epoch_begin=lambda self, epoch, logs: seen.append(epoch),
        )
        fit(make_model(), [callback], epochs=5, initial_epoch=3)
        assert seen == [3, 3, 4]

    def test_the_first_epoch_after_a_backup_of_keras(self, tmp_path):
        def fail(self, epoch, logs):
            if epoch == 2:
                raise ZeroDivisionError

        model, diary = make_model(), Diary()
        with pytest.raises(ZeroDivisionError):
            fit(model, [keras.callbacks.BackupAndRestore(tmp_path), on(on_epoch_begin=fail)], epochs=4)
        try:
            fit(model, [keras.callbacks.BackupAndRestore(tmp_path), diary], epochs=4)
        finally:
            model._initial_epoch = None
        assert diary.run.first_epoch == 2
        assert diary.hooks.count("on_epoch_end") == 2

    def test_not_attached_yet(self):
        with pytest.raises(NotAttachedError):
            Diary().run  # noqa: B018


class TestStep:
    def steps(self, model, **arguments):
        seen = []
        callback = on(on_train_batch_end=lambda self, batch, logs: seen.append(self.run.step))
        fit(model, [callback], **arguments)
        return seen

    def test_lags_with_gradient_accumulation(self):
        model = make_model(optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
        assert self.steps(model) == [0, 1, 1, 2, 2, 3]
        # The second training begins where the first has left off: six batches, so with an empty sum.
        assert self.steps(model, epochs=1) == [0, 1, 1]
        # And here with one batch in it.
        assert self.steps(model, epochs=1) == [1, 1, 2]
        assert int(array(model.optimizer.iterations)) == 6

    def test_with_a_loss_scale(self):
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0)
        seen = self.steps(make_model(optimizer=optimizer))
        assert seen == [1, 2, 3, 4, 5, 6]

    def test_does_not_count_what_a_loss_scale_skips(self):
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0)
        model = make_model(optimizer=optimizer)
        x = X.copy()
        x[0] = np.nan
        seen = []
        callback = on(on_train_batch_end=lambda self, batch, logs: seen.append(self.run.step))
        model.fit(x, Y, batch_size=10, shuffle=False, epochs=1, verbose=0, callbacks=[callback])
        # The statistics that are NaN from the first batch on do not reach the second one's gradients.
        assert seen == [0, 1]

    def test_with_a_step_of_ones_own(self):
        class Model(keras.Model):
            def train_step(self, *given):
                return super().train_step(*given)

        assert self.steps(make_model(kind=Model)) == [1, 2, 3, 4, 5, 6]
        ends = []
        callback = on(on_epoch_end=lambda self, epoch, logs: ends.append(self.run.step))
        fit(make_model(kind=Model), [callback])
        assert ends == [3, 6]

    def test_counts_this_run_only(self):
        model = make_model()
        self.steps(model)
        assert self.steps(model) == [1, 2, 3, 4, 5, 6]


class TestTheBatch:
    def test_inputs_and_targets(self):
        seen = []

        def look(self, batch, logs):
            seen.append((array(self.run.inputs), array(self.run.targets)))

        outside = []
        callback = on(
            on_train_batch_end=look,
            on_test_batch_end=look,
            on_epoch_end=lambda self, epoch, logs: outside.append(self.run.inputs),
        )
        fit(make_model(), [callback], epochs=1, shuffle=False, validation_data=(X[:5], Y[:5]))
        expected = [(X[:8], Y[:8]), (X[8:16], Y[8:16]), (X[16:], Y[16:]), (X[:5], Y[:5])]
        for (inputs, targets), (x, y) in zip(seen, expected, strict=True):
            assert np.array_equal(inputs, x)
            assert np.array_equal(targets, y)
        assert outside == [None]

    @torch_only
    def test_are_known_before_the_step(self):
        seen = []
        callback = on(on_train_batch_begin=lambda self, batch, logs: seen.append(array(self.run.inputs)))
        fit(make_model(), [callback], epochs=1, shuffle=False)
        assert [len(inputs) for inputs in seen] == [8, 8, 4]
        assert np.array_equal(np.concatenate(seen), X)

    def test_in_predict(self):
        outputs, inputs, logged = [], [], []

        def look(self, batch, logs):
            inputs.append(array(self.run.inputs))
            outputs.append(array(self.run.outputs))
            logged.append(logs["outputs"])
            assert self.run.targets is None

        predicted = make_model().predict(X, batch_size=8, verbose=0, callbacks=[on(on_predict_batch_end=look)])
        assert np.array_equal(np.concatenate(outputs), predicted)
        assert np.array_equal(np.concatenate(logged), predicted)
        assert all(type(value) is np.ndarray for value in logged)
        assert np.array_equal(np.concatenate(inputs), X)

    @torch_only
    def test_outputs_for_those_who_need_them(self):
        class Look(Needy):
            def on_train_batch_end(self, batch, logs):
                self.seen.append(array(self.run.outputs))
                assert not self.run.outputs.requires_grad

            on_test_batch_end = on_train_batch_end

        plain = make_model()
        fit(plain, [], validation_data=(X, Y))
        watched = make_model(number=1)
        look = Look("outputs")
        fit(watched, [look], validation_data=(X, Y))
        assert is_same(weights_of(plain), weights_of(watched))
        assert [len(outputs) for outputs in look.seen] == [8, 8, 4] * 4
        assert np.array_equal(np.concatenate(look.seen[-3:]), watched.predict(X, batch_size=8, verbose=0))
        assert "compute_metrics" not in vars(watched)

    @compiled_only
    def test_outputs_of_a_compiled_step_are_refused_at_once(self):
        model = make_model()
        with pytest.raises(AttachError, match=r"Needy needs 'outputs' in train: .* compiled"):
            fit(model, [Needy("outputs")])
        assert model.predict(X, verbose=0, callbacks=[Needy("outputs")]).shape == (20, 2)
        fit(model, [Needy("inputs")])


class TestLearningRate:
    @pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"])
    def test_set_from_any_hook_is_obeyed(self, hook):
        def set_rate(self, *given):
            self.run.learning_rate = 0.0
            assert self.run.learning_rate == 0.0

        model = make_model()
        rates, after_first = [], []

        def look(self, batch, logs):
            rates.append(self.run.learning_rate)
            after_first.append([array(value) for value in self.run.weights("*/kernel").values()])

        fit(model, [on(on_train_batch_end=look), on(**{hook: set_rate})])
        assert rates[1:] == [0.0] * 5
        assert rates[0] == (pytest.approx(0.05) if hook == "on_train_batch_end" else 0.0)
        # With a rate of zero the kernels stay where the first batch has brought them.
        assert is_same(after_first[0], after_first[-1])
        assert is_same(after_first[0], [array(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")])

    def test_scale(self):
        callback = on(on_epoch_end=lambda self, epoch, logs: self.run.scale_learning_rate(0.5))
        model = make_model()
        fit(model, [callback])
        assert float(array(model.optimizer.learning_rate)) == pytest.approx(0.0125)

    def test_a_schedule_can_be_read_but_not_set(self):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5)
        rates = []

        def look(self, epoch, logs):
            rates.append(self.run.learning_rate)
            with pytest.raises(AbsentError, match="SGD follows a schedule"):
                self.run.learning_rate = 0.1
            with pytest.raises(AbsentError, match="follows a schedule"):
                self.run.scale_learning_rate(0.1)

        fit(make_model(optimizer=keras.optimizers.SGD(schedule)), [on(on_epoch_end=look)])
        assert rates == pytest.approx([0.05, 0.025])

    def test_of_keras_scheduler_is_seen(self):
        rates = []
        look = on(on_epoch_end=lambda self, epoch, logs: rates.append((self.run.learning_rate, logs["learning_rate"])))
        fit(make_model(), [keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)), look])
        assert rates == [pytest.approx((0.1, 0.1)), pytest.approx((0.05, 0.05))]


class TestWeights:
    def test_are_current_in_a_batch_hook(self):
        seen = []

        def look(self, batch, logs):
            through_run = {name: array(value) for name, value in self.run.weights().items()}
            through_model = weights_of(self.model)
            assert is_same(list(through_run.values()), through_model)
            seen.append(through_run)

        model = make_model()
        fit(model, [on(on_train_batch_end=look)])
        assert is_same(list(seen[-1].values()), weights_of(model))
        assert not is_same(list(seen[0].values()), list(seen[1].values()))
        assert list(seen[0]) == [variable.path for variable in model.weights]

    def test_the_model_is_current_too(self):
        seen = []
        model = make_model()
        fit(model, [on(on_train_batch_end=lambda self, batch, logs: seen.append(weights_of(self.model)))])
        assert is_same(seen[-1], weights_of(model))
        assert not is_same(seen[0], seen[1])

    def test_looking_at_them_changes_nothing(self):
        plain = make_model()
        fit(plain, [])
        watched = make_model(number=1)
        look = on(
            on_train_batch_begin=lambda self, batch, logs: self.run.weights(),
            on_train_batch_end=lambda self, batch, logs: (self.run.weights(), self.model, self.run.learning_rate),
        )
        fit(watched, [look])
        assert is_same(weights_of(plain), weights_of(watched))
        assert is_same(optimizer_of(plain), optimizer_of(watched))

    def test_by_pattern(self):
        seen = []
        fit(make_model(), [on(on_train_end=lambda self, logs: seen.extend(self.run.weights("last/*")))])
        assert seen == ["last/kernel", "last/bias"]

    @torch_only
    def test_gradients(self):
        seen = []

        def look(self, batch, logs):
            seen.append({name: array(value) for name, value in self.run.gradients("last/*").items()})

        fit(make_model(), [on(on_train_batch_end=look)], epochs=1)
        assert [sorted(gradients) for gradients in seen] == [["last/bias", "last/kernel"]] * 3
        assert all(np.abs(gradients["last/kernel"]).max() > 0 for gradients in seen)

    @compiled_only
    def test_gradients_of_a_compiled_step_are_absent(self):
        def look(self, batch, logs):
            with pytest.raises(AbsentError, match="compiled"):
                self.run.gradients()

        fit(make_model(), [on(on_train_batch_end=look)])
        with pytest.raises(AttachError, match="needs 'gradients', which is absent in Keras"):
            fit(make_model(), [Needy("gradients")])


class Counter(ol.Callback):
    """Has a state."""

    def __init__(self):
        self.batches = 0
        self.resumed = None

    def on_train_begin(self, logs=None):
        self.batches = 0
        self.resumed = self.run.is_resumed

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def state_dict(self):
        return {"batches": self.batches, "array": np.arange(3.0)}

    def load_state_dict(self, state):
        self.batches = state["batches"]
        assert np.array_equal(state["array"], np.arange(3.0))


class TestSaving:
    @pytest.mark.parametrize("name", ["run.keras", "run.weights.h5"])
    def test_a_resumed_training_goes_on_as_if_it_had_never_stopped(self, tmp_path, name):
        path = tmp_path / "deep" / name
        whole, counted = make_model(), Counter()
        steps = []
        look = on(on_train_batch_end=lambda self, batch, logs: steps.append(self.run.step))
        fit(whole, [counted, look], epochs=4)

        def save(self, epoch, logs):
            if epoch == 1:
                self.run.save(path)

        first = make_model(number=1)
        fit(first, [Counter(), on(on_epoch_end=save)], epochs=2)
        assert sorted(os.listdir(path.parent)) == [name, name + ".run.h5"]
        second, counter = make_model(number=2), Counter()
        fit(second, [], epochs=1)  # it was elsewhere meanwhile
        begin = resume(second, path)
        assert begin == 2
        resumed_steps = []
        look = on(on_train_batch_end=lambda self, batch, logs: resumed_steps.append(self.run.step))
        fit(second, [counter, look], epochs=4, initial_epoch=begin)
        assert is_same(weights_of(whole), weights_of(second))
        assert is_same(optimizer_of(whole), optimizer_of(second))
        assert (counter.batches, counter.resumed) == (counted.batches, True) == (12, True)
        assert resumed_steps == steps[6:]
        fit(second, [counter])
        assert counter.resumed is False

    def test_in_the_middle_of_an_epoch_that_epoch_is_begun_again(self, tmp_path):
        path = tmp_path / "run.keras"
        model = make_model()

        def save(self, batch, logs):
            if self.run.epoch == 1 and batch == 1:
                self.run.save(path)

        fit(model, [on(on_train_batch_end=save)])
        assert resume(model, path) == 1
        steps = []
        look = on(on_train_batch_end=lambda self, batch, logs: steps.append(self.run.step))
        fit(model, [look], initial_epoch=1)
        assert steps == [4, 5, 6]

    def test_saving_changes_nothing(self, tmp_path):
        plain = make_model()
        fit(plain, [])
        saved = make_model(number=1)
        save = on(on_train_batch_end=lambda self, batch, logs: self.run.save(tmp_path / "run.keras"))
        fit(saved, [save])
        assert is_same(weights_of(plain), weights_of(saved))
        assert is_same(weights_of(keras.saving.load_model(tmp_path / "run.keras")), weights_of(saved))

    def test_load_in_a_hook(self, tmp_path):
        path = tmp_path / "run.weights.h5"
        kept = []

        def act(self, epoch, logs):
            if epoch == 0:
                self.run.save(path)
                kept.append(weights_of(self.model))
            else:
                self.run.load(path)
                kept.append(weights_of(self.model))

        model = make_model()
        fit(model, [on(on_epoch_end=act)])
        assert is_same(kept[0], kept[1])
        assert is_same(kept[0], weights_of(model))

    def test_a_wrong_epoch_to_begin_with_is_told(self, tmp_path):
        path = tmp_path / "run.keras"
        model = make_model()
        fit(model, [on(on_train_end=lambda self, logs: self.run.save(path))])
        resume(model, path)
        with pytest.warns(ol.OnlookerWarning, match=r"before epoch 2, but fit begins with 0"):
            fit(model, [Diary()])

    def test_paths_that_say_nothing(self, tmp_path):
        def save(self, logs):
            with pytest.raises(DataError, match=r"'.keras'"):
                self.run.save(tmp_path / "run.pt")

        fit(make_model(), [on(on_train_end=save)])
        make_model().save(tmp_path / "plain.keras")
        with pytest.raises(DataError, match=r"plain.keras.run.h5 is missing"):
            resume(make_model(), tmp_path / "plain.keras")
        assert sorted(os.listdir(tmp_path)) == ["plain.keras"]


class TestRecords:
    def test_go_to_the_sinks_among_the_callbacks(self):
        kept = []

        class Sink(ol.Callback):
            def keep(self, record):
                kept.append((record.values, record.epoch, record.step))

        maker = on(on_epoch_end=lambda self, epoch, logs: self.run.record(ol.Scalars({"a": 1.0})))
        fit(make_model(), [maker, Sink()])
        assert kept == [({"a": 1.0}, 0, 3), ({"a": 1.0}, 1, 6)]


class TestTriggers:
    def test_above_a_hook_and_for_a_callback(self):
        seen = []

        class Above(ol.Callback):
            @ol.every(epochs=2)
            def on_epoch_end(self, epoch, logs):
                seen.append(("epoch", epoch))

            @ol.every(steps=4)
            def on_train_batch_end(self, batch, logs):
                seen.append(("step", self.run.step))

        class Whole(ol.Callback):
            when = ol.at(epochs=[1])

            def on_epoch_begin(self, epoch, logs):
                seen.append(("whole", epoch))

            def on_train_end(self, logs):
                seen.append(("end", None))

        fit(make_model(), [Above(), Whole()], epochs=3)
        expected = [("whole", 1), ("step", 4), ("epoch", 1), ("step", 8), ("end", None)]
        assert seen == expected

    def test_every_step_waits_for_gradient_accumulation(self):
        seen = []

        class Above(ol.Callback):
            @ol.every(steps=1)
            def on_train_batch_end(self, batch, logs):
                seen.append((self.run.epoch, batch))

        fit(make_model(optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)), [Above()])
        assert seen == [(0, 1), (1, 0), (1, 2)]


class TestCopies:
    def test_a_callback_can_be_pickled_copied_and_used_again(self):
        counter = Counter()
        model = make_model()
        fit(model, [counter])
        for clone in (pickle.loads(pickle.dumps(counter)), copy.deepcopy(counter), copy.copy(counter)):
            assert clone.batches == 6
            with pytest.raises(NotAttachedError):
                clone.model  # noqa: B018
            fit(model, [clone])
            assert clone.batches == 6
        assert counter.model is model

    def test_a_model_can_be_copied_and_pickled_within_a_hook(self):
        copies = []

        def copy_it(self, epoch, logs):
            copies.append(keras.models.clone_model(self.model))
            copies.append(pickle.loads(pickle.dumps(self.model)))

        model = make_model()
        fit(model, [on(on_epoch_end=copy_it)], epochs=1)
        for one in copies:
            assert not {"evaluate", "predict", "jax_state_sync"} & set(vars(one))
        assert is_same(weights_of(copies[1]), weights_of(model))


class TestDeclaration:
    def test_the_run_shows_that_of_its_backend(self):
        diary = Diary()
        fit(make_model(), [diary])
        assert diary.run.host.name == f"Keras ({BACKEND})"

    def test_each_backend_says_why(self):
        for declaration in (KERAS_TORCH, KERAS_JAX, KERAS_TENSORFLOW):
            assert all(support.reason for support in declaration.abilities.values() if support.level == ABSENT)
        assert KERAS_TORCH.abilities["gradients"].level != ABSENT
        assert KERAS_JAX.abilities["gradients"].level == ABSENT
        assert on_backend("numpy").abilities["gradients"].level == ABSENT


def test_a_class_instead_of_an_instance_is_refused_in_words():
    class Watch(ol.Callback):
        pass

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    data = np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")
    with pytest.raises(AttachError, match=r"^a class of callbacks was passed instead of an instance"):
        model.fit(*data, verbose=0, callbacks=[Watch])
