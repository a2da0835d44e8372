"""How a Keras training ends, and that every callback hears of it."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest
from tests.unit.hosts.keras_models import BACKEND, Diary, KerasDiary, X, Y, fit, make_model, on

import onlooker as ol
from onlooker.core.hooks import HOOKS, check_grammar


class BrokenError(Exception):
    """What goes wrong in these tests."""


def raise_at(hook, error, at=1):
    """A callback that raises the second time that a hook comes."""
    left = [at]

    def hook_function(self, *given):
        left[0] -= 1
        if left[0] < 0:
            raise error

    return on(**{hook: hook_function})


def interrupt():
    raise KeyboardInterrupt


def is_untouched(model):
    """Whether nothing of ours is left on a model."""
    names = ("evaluate", "predict", "jax_state_sync", "compute_metrics")
    steps = (model.train_function, model.test_function, model.predict_function)
    return not any(name in vars(model) for name in names) and not any(hasattr(s, "_onlooker_inner") for s in steps)


class TestStop:
    @pytest.mark.parametrize(
        ("hook", "batches", "epochs"),
        [
            ("on_train_begin", 1, 1),  # Keras still runs one batch
            ("on_epoch_begin", 1, 1),
            ("on_train_batch_begin", 1, 1),
            ("on_train_batch_end", 1, 1),
            ("on_test_begin", 3, 1),
            ("on_test_batch_begin", 3, 1),
            ("on_test_batch_end", 3, 1),
            ("on_test_end", 3, 1),
            ("on_epoch_end", 3, 1),
        ],
    )
    def test_from_any_hook(self, hook, batches, epochs):
        diary = Diary()
        stopper = on(**{hook: lambda self, *given: self.run.stop("enough")})
        fit(make_model(), [stopper, diary], epochs=4, validation_data=(X, Y))
        check_grammar(diary.hooks)
        assert diary.hooks.count("on_train_batch_end") == batches
        assert diary.hooks.count("on_epoch_end") == epochs
        assert (diary.run.outcome, diary.run.reason, diary.run.stopped_by) == ("stopped", "enough", "Made")

    def test_by_the_flag_on_the_model(self):
        def stop(self, epoch, logs):
            self.model.stop_training = True

        diary = Diary()
        fit(make_model(), [on(on_epoch_end=stop), diary], epochs=4)
        assert diary.hooks.count("on_epoch_end") == 1
        assert (diary.run.outcome, diary.run.reason) == ("stopped", "model.stop_training was set to True")

    def test_by_a_callback_of_keras(self):
        diary = Diary()
        early = keras.callbacks.EarlyStopping(monitor="loss", patience=0, baseline=-1.0)
        fit(make_model(), [diary, early], epochs=9)
        assert diary.hooks.count("on_epoch_end") < 9
        assert (diary.run.outcome, diary.run.stopped_by) == ("stopped", "EarlyStopping")
        assert "EarlyStopping" in diary.run.reason

    def test_evaluate_and_predict(self):
        callback = on(
            on_test_batch_end=lambda self, batch, logs: self.run.stop("seen enough"),
            on_predict_batch_end=lambda self, batch, logs: self.run.stop("seen enough"),
        )
        diary = Diary()
        model = make_model()
        model.evaluate(X, Y, batch_size=8, verbose=0, callbacks=[callback, diary])
        assert diary.hooks.count("on_test_batch_end") == 1
        assert (diary.run.outcome, diary.run.reason) == ("stopped", "seen enough")
        assert len(model.predict(X, batch_size=8, verbose=0, callbacks=[callback, diary])) == 8
        assert (diary.run.outcome, diary.run.reason) == ("stopped", "seen enough")

    def test_a_stop_is_forgotten_in_the_next_training(self):
        stopper = on(on_epoch_end=lambda self, epoch, logs: self.run.stop())
        diary = Diary()
        model = make_model()
        fit(model, [stopper, diary], epochs=3)
        assert diary.run.outcome == "stopped"
        fit(model, [diary], epochs=3)
        assert (diary.run.outcome, diary.run.reason, diary.run.stopped_by) == ("completed", "", None)
        assert diary.hooks.count("on_epoch_end") == 4


class TestFaults:
    @pytest.mark.parametrize("hook", [hook for hook, scope in HOOKS.items() if scope.stage != "predict"])
    def test_raise_closes_everything_for_the_others(self, hook):
        error = BrokenError("no")
        before, after = Diary(), Diary()
        model = make_model()
        at = 0 if hook.startswith("on_train_") and "batch" not in hook else 1
        with pytest.raises(BrokenError) as caught:
            fit(model, [before, raise_at(hook, error, at), after], validation_data=(X, Y))
        assert caught.value is error
        for diary in (before, after):
            check_grammar(diary.hooks)
            assert diary.hooks[-1] == "on_train_end"
        assert before.hooks == after.hooks
        if hook != "on_train_end":
            assert before.run.outcome == "failed"
            assert before.run.reason == "BrokenError: no"
        assert any(f"Made.{hook}" in note for note in error.__notes__)
        assert is_untouched(model)

    def test_the_error_names_callback_hook_epoch_and_batch(self):
        error = BrokenError("no")
        with pytest.raises(BrokenError):
            fit(make_model(), [raise_at("on_train_batch_end", error, at=4)])
        assert any("Made.on_train_batch_end, epoch 1, batch 1" in note for note in error.__notes__)

    @pytest.mark.parametrize("policy", ["warn", "disable"])
    def test_warn_and_disable(self, policy):
        calls = []

        class Weak(ol.Callback):
            on_error = policy

            def on_epoch_end(self, epoch, logs):
                calls.append(epoch)
                raise BrokenError("no")

            def on_train_end(self, logs):
                calls.append("end")

        diary = Diary()
        with pytest.warns(ol.OnlookerWarning, match="Weak.on_epoch_end, epoch 0"):
            fit(make_model(), [Weak(), diary])
        assert calls == ([0, 1, "end"] if policy == "warn" else [0, "end"])
        assert diary.run.outcome == "completed"

    def test_an_error_in_a_callback_of_keras(self):
        class OfKeras(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                raise BrokenError("of Keras")

        for members in ([Diary(), OfKeras()], [OfKeras(), Diary()]):
            diary = next(member for member in members if isinstance(member, Diary))
            with pytest.raises(BrokenError):
                fit(make_model(), members)
            check_grammar(diary.hooks)
            assert (diary.run.outcome, diary.run.reason) == ("failed", "BrokenError: of Keras")

    def test_callbacks_of_keras_hear_no_more_than_without_us(self):
        def heard(*ours):
            theirs = KerasDiary()
            model = make_model()
            with pytest.raises(BrokenError):
                fit(model, [ours[0], theirs, *ours[1:]], validation_data=(X, Y))
            return theirs.entries

        class OfKeras(keras.callbacks.Callback):
            def on_test_batch_begin(self, batch, logs=None):
                raise BrokenError("of Keras")

        assert heard(OfKeras(), Diary())[:-1] == heard(OfKeras())  # the hook in which it happened is finished

    def test_an_error_in_the_data(self):
        class Data(keras.utils.PyDataset):
            def __len__(self):
                return 3

            def __getitem__(self, index):
                if index == 1:
                    raise BrokenError("data")
                return X[:8], Y[:8]

        for arguments in ({"x": Data()}, {"x": X, "y": Y, "validation_data": Data()}):
            diary = Diary()
            model = make_model()
            with pytest.raises(Exception, match="data"):
                model.fit(**arguments, verbose=0, callbacks=[diary])
            check_grammar(diary.hooks)
            assert diary.hooks[-1] == "on_train_end"
            assert diary.run.outcome == "failed"
            assert is_untouched(model)

    def test_an_error_in_a_generator(self):
        def batches():
            yield X[:8], Y[:8]
            yield X[:8], Y[:8]
            raise BrokenError("data")

        diary = Diary()
        with pytest.raises(Exception, match="data"):
            make_model().fit(batches(), verbose=0, callbacks=[diary])
        check_grammar(diary.hooks)
        assert diary.run.outcome == "failed"

    @pytest.mark.parametrize("stage", ["fit", "evaluate"])
    def test_an_error_in_the_step(self, stage):
        class Model(keras.Sequential):
            is_broken = False

            def compute_metrics(self, *given, **named):
                if self.is_broken:
                    raise BrokenError("step")
                return super().compute_metrics(*given, **named)

        keras.utils.set_random_seed(0)
        model = Model([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", loss="mse", run_eagerly=True)
        model.fit(X, Y, verbose=0)
        model.is_broken = True
        diary = Diary()
        with pytest.raises(BrokenError):
            getattr(model, stage)(X, Y, verbose=0, callbacks=[diary])
        check_grammar(diary.hooks)
        assert diary.run.outcome == "failed"
        assert diary.hooks[-1] == ("on_train_end" if stage == "fit" else "on_test_end")

    def test_the_same_callbacks_after_an_error(self):
        diary = Diary()
        model = make_model()
        with pytest.raises(BrokenError):
            fit(model, [diary, raise_at("on_train_batch_begin", BrokenError())])
        diary.entries.clear()
        fit(model, [diary])
        check_grammar(diary.hooks)
        assert diary.run.outcome == "completed"

    def test_logs_of_what_is_cut_off(self):
        ends = {}
        callback = on(
            on_epoch_end=lambda self, epoch, logs: ends.update(epoch=dict(logs)),
            on_train_end=lambda self, logs: ends.update(train=dict(logs), outcome=self.run.outcome),
        )
        with pytest.raises(BrokenError):
            fit(make_model(), [callback, raise_at("on_train_batch_begin", BrokenError(), at=2)])
        assert sorted(ends["epoch"]) == ["accuracy", "loss"]
        assert ends["train"] == ends["epoch"]
        assert ends["outcome"] == "failed"


class TestInterruption:
    @pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_test_begin"])
    def test_in_a_hook(self, hook):
        diary = Diary()
        model = make_model()
        with pytest.raises(KeyboardInterrupt):
            fit(model, [diary, raise_at(hook, KeyboardInterrupt())], validation_data=(X, Y))
        check_grammar(diary.hooks)
        assert diary.run.outcome == "interrupted"
        assert diary.run.reason == "KeyboardInterrupt"
        assert is_untouched(model)

    @pytest.mark.parametrize("where", ["step", "data", "validation data"])
    def test_in_what_keras_calls(self, where):
        class Data(keras.utils.PyDataset):
            def __len__(self):
                return 3

            def __getitem__(self, index):
                if index == 1:
                    raise KeyboardInterrupt
                return X[:8], Y[:8]

        diary = Diary()
        model = make_model()
        if where == "step":
            model.make_train_function()
            inner, calls = model.train_function, []

            def interrupted(*arguments):
                calls.append(1)
                if len(calls) == 2:
                    raise KeyboardInterrupt
                return inner(*arguments)

            model.train_function = interrupted
        arguments = {
            "step": {"x": X, "y": Y, "batch_size": 8},
            "data": {"x": Data()},
            "validation data": {"x": X, "y": Y, "validation_data": Data()},
        }
        with pytest.raises(KeyboardInterrupt):
            model.fit(**arguments[where], verbose=0, callbacks=[diary])
        check_grammar(diary.hooks)
        assert diary.run.outcome == "interrupted"
        assert is_untouched(model)

    def test_between_two_lines_of_keras(self):
        """On JAX `fit` shows it in its `finally`. Elsewhere it is found when the callback is used again."""
        diary = Diary()
        model = make_model()

        def interrupted():
            if diary.hooks.count("on_epoch_end"):
                del model.__dict__["reset_metrics"]
                raise KeyboardInterrupt

        model.__dict__["reset_metrics"] = interrupted
        with pytest.raises(KeyboardInterrupt):
            fit(model, [diary])
        run = diary.run
        if BACKEND == "jax":
            check_grammar(diary.hooks)
        else:
            assert run.is_live
        fit(model, [diary], epochs=1)
        check_grammar(diary.hooks[: diary.hooks.index("on_train_end") + 1])
        assert (run.outcome, diary.run.outcome) == ("interrupted", "completed")
        assert diary.hooks.count("on_train_end") == 2
        assert is_untouched(model)

    def test_is_found_too_when_only_the_model_is_used_again(self):
        diary = Diary()
        model = make_model()
        model.__dict__["reset_metrics"] = interrupt
        with pytest.raises(KeyboardInterrupt):
            fit(model, [diary])
        del model.__dict__["reset_metrics"]
        fit(model, [Diary()], epochs=1)
        assert diary.run.outcome == "interrupted"
        assert diary.hooks == ["on_train_begin", "on_train_end"]
        assert is_untouched(model)

    def test_in_what_a_validation_does_by_itself(self):
        diary = Diary()
        model = make_model()
        fit(model, [], epochs=1)
        model.__dict__["make_test_function"] = interrupt
        with pytest.raises(KeyboardInterrupt):
            fit(model, [diary], validation_data=(X, Y))
        del model.__dict__["make_test_function"]
        check_grammar(diary.hooks)
        assert diary.run.outcome == "interrupted"

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform == "win32", reason="signals come otherwise there")
    def test_by_a_signal_at_random_moments(self):
        """Never is a training left open; nearly always it is closed before `fit` has raised."""
        command = [sys.executable, "-m", "tests.unit.hosts.keras_interrupted"]
        root = Path(__file__).parents[3]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        attempts, at_once = map(int, done.stdout.split()[-2:])
        assert attempts >= 8
        assert at_once >= 0.6 * attempts


class TestTwoTrainings:
    def test_one_instance_in_two_live_ones_is_refused(self):
        diary = Diary()
        other = make_model(number=1)

        def start(self, epoch, logs):
            fit(other, [diary])

        with pytest.raises(ol.OnlookerError, match="already in a run that is under way") as caught:
            fit(make_model(), [diary, on(on_epoch_end=start)])
        assert isinstance(caught.value, TypeError)
        check_grammar(diary.hooks)
        assert diary.hooks.count("on_train_begin") == 1

    def test_another_training_within_a_hook(self):
        inner, outer = Diary(), Diary()
        other = make_model(number=1)

        def start(self, epoch, logs):
            fit(other, [inner])

        fit(make_model(), [outer, on(on_epoch_end=start)])
        check_grammar(outer.hooks)
        assert inner.hooks.count("on_train_end") == 2
        assert inner.run.outcome == outer.run.outcome == "completed"
        assert (inner.model, outer.model is inner.model) == (other, False)

    def test_one_after_the_other_and_two_models(self):
        diary = Diary()
        first, second = make_model(), make_model(number=1)
        fit(first, [diary])
        run = diary.run
        assert diary.model is first
        fit(second, [diary])
        assert diary.model is second
        assert diary.run is not run
        check_grammar(diary.hooks[: len(diary.hooks) // 2])
        assert run.outcome == diary.run.outcome == "completed"
