"""The hooks and the logs that a callback gets in Keras' fit, evaluate and predict."""

import threading

import keras
import numpy as np
import pytest
from tests.unit.hosts.keras_models import BACKEND, Diary, KerasDiary, X, Y, fit, make_model, on

from onlooker.core.hooks import HOOKS, check_grammar
from onlooker.core.logs import LazyLogs, Logs

jax_only = pytest.mark.skipif(BACKEND != "jax", reason="the other backends refuse it")


class TestHooks:
    def test_fit_comes_in_the_order_of_the_grammar(self):
        diary = Diary()
        fit(make_model(), [diary], validation_data=(X, Y))
        check_grammar(diary.hooks)
        batch = ["on_train_batch_begin", "on_train_batch_end"]
        test = ["on_test_begin", *["on_test_batch_begin", "on_test_batch_end"] * 3, "on_test_end"]
        epoch = ["on_epoch_begin", *batch * 3, *test, "on_epoch_end"]
        assert diary.hooks == ["on_train_begin", *epoch, *epoch, "on_train_end"]

    def test_indices_and_names_are_those_that_keras_gives_its_own(self):
        ours, theirs = Diary(), KerasDiary()
        model = make_model()
        fit(model, [ours, theirs], validation_data=(X, Y))
        # What we carry to the end of the training is ours alone; here there is nothing to carry.
        assert ours.entries == theirs.entries

    @pytest.mark.parametrize("place", [0, 1])
    def test_hooks_that_one_of_kerass_own_sets_on_itself_late(self, place):
        """Keras looks a hook up each time. That one of ours is in the list must not change that."""

        class Late(keras.callbacks.Callback):
            def on_train_begin(self, logs=None):
                self.seen = []
                for hook, scope in HOOKS.items():
                    if scope.stage == "train" and hook != "on_train_begin":
                        setattr(self, hook, lambda *given, hook=hook, **named: self.seen.append(hook))
                self.on_test_begin = self.set_on_test_end

            def set_on_test_end(self, logs=None):
                self.on_test_end = lambda logs=None: self.seen.append("on_test_end")

        alone, late, ours = Late(), Late(), Diary()
        model = make_model()
        fit(model, [alone], validation_data=(X, Y))
        for _ in range(2):
            callbacks = [ours]
            callbacks.insert(place, late)
            fit(model, callbacks, validation_data=(X, Y))
            assert sorted(late.seen) == sorted(alone.seen)  # alone, Keras calls the ends of batches in a thread
            assert late.seen[-2:] == ["on_epoch_end", "on_train_end"]
        assert late.seen.count("on_test_end") == 2

    @pytest.mark.parametrize("stage", ["evaluate", "predict"])
    def test_evaluate_and_predict_stand_alone(self, stage):
        ours, theirs = Diary(), KerasDiary()
        arguments = {"batch_size": 8, "verbose": 0, "callbacks": [ours, theirs]}
        model = make_model()
        if stage == "evaluate":
            model.evaluate(X, Y, **arguments)
        else:
            model.predict(X, **arguments)
        check_grammar(ours.hooks)
        assert ours.entries == theirs.entries
        assert len(ours.entries) == 8

    def test_a_loader_without_a_length(self):
        def batches():
            for start in (0, 8, 16):
                yield X[start : start + 8], Y[start : start + 8]

        diary = Diary()
        model = make_model()
        with pytest.warns(UserWarning, match="ran out of data"):
            model.fit(batches(), epochs=1, verbose=0, callbacks=[diary])
        batch = ["on_train_batch_begin", "on_train_batch_end"]
        assert diary.hooks == ["on_train_begin", "on_epoch_begin", *batch * 3, "on_epoch_end", "on_train_end"]
        assert diary.logs[-1]["loss"] == model.history.history["loss"][0]

    @jax_only
    def test_several_batches_in_one_execution(self):
        seen = []
        callback = on(
            on_train_batch_begin=lambda self, batch, logs: seen.append(("begin", batch)),
            on_train_batch_end=lambda self, batch, logs: seen.append(("end", batch, self.run.batch, self.run.step)),
        )
        model = make_model(steps_per_execution=3)
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=[callback])
        # Five batches. Keras itself says 5 for the last index.
        assert seen == [("begin", 0), ("end", 2, 2, 3), ("begin", 3), ("end", 4, 4, 5)]

    def test_batch_hooks_run_in_the_main_thread_and_keep_the_fast_path(self):
        threads = []
        callback = on(on_train_batch_end=lambda self, batch, logs: threads.append(threading.current_thread()))
        members = [callback]
        made = keras.callbacks.CallbackList(members, model=make_model())
        assert made._async_train
        fit(make_model(), [callback])
        assert set(threads) == {threading.main_thread()}

    def test_nobody_at_a_batch_leaves_it_to_keras(self, monkeypatch):
        """Then Keras' own may be called from its thread pool, and nothing of ours makes logs."""
        from onlooker.hosts.keras import running_logs

        monkeypatch.setattr(running_logs.RunningLogs, "take", lambda *_: pytest.fail("nobody listens"))
        threads = []

        class OfKeras(keras.callbacks.Callback):
            async_safe = True

            def on_train_batch_end(self, batch, logs=None):
                threads.append(threading.current_thread())

        epochs = []
        fit(make_model(), [on(on_epoch_end=lambda self, epoch, logs: epochs.append(epoch)), OfKeras()])
        assert epochs == [0, 1]
        assert len(threads) == 6
        assert threading.main_thread() not in threads


class TestLogs:
    def test_are_never_none_and_real_dicts(self):
        diary = Diary()
        model = make_model()
        fit(model, [diary], validation_data=(X, Y))
        model.predict(X, verbose=0, callbacks=[diary])
        assert all(isinstance(logs, Logs) for logs in diary.logs)
        logs = diary.logs[diary.hooks.index("on_train_batch_end")]
        assert dict(logs) == {**logs} == dict(logs.items())
        assert all(type(value) is float for value in logs.values())

    def test_are_the_running_values_of_keras(self):
        ours, theirs = [], []

        class OfKeras(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                theirs.append(dict(logs))

            on_test_batch_end = on_train_batch_end

        callback = on(
            on_train_batch_end=lambda self, batch, logs: ours.append(dict(logs)),
            on_test_batch_end=lambda self, batch, logs: ours.append(dict(logs)),
        )
        fit(make_model(metrics=["accuracy", keras.metrics.AUC()][:1]), [callback, OfKeras()], validation_data=(X, Y))
        assert ours == theirs
        assert len(ours) == 12

    def test_a_kept_one_is_a_snapshot(self):
        kept, read = [], []

        def look(self, batch, logs):
            kept.append(logs)
            read.append(dict(logs.copy()))

        fit(make_model(), [on(on_train_batch_end=look)])
        assert [dict(logs) for logs in kept] == read
        unread = []
        fit(make_model(), [on(on_train_batch_end=lambda self, batch, logs: unread.append(logs))])
        assert all(type(logs) is LazyLogs for logs in unread)
        assert [dict(logs) for logs in unread] == read

    def test_batch_has_this_batch_alone(self):
        """With a learning rate of zero and no dropout each batch's loss can be had again."""
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), loss="mse", metrics=["mae"])
        found = []
        callback = on(on_train_batch_end=lambda self, batch, logs: found.append(dict(logs.batch)))
        model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
        expected = [
            dict(zip(["loss", "mae"], model.evaluate(X[at : at + 8], Y[at : at + 8], verbose=0), strict=True))
            for at in (0, 8, 16)
        ]
        for ours, right in zip(found, expected * 2, strict=True):
            assert ours == pytest.approx(right, rel=1e-5)

    def test_batch_follows_the_sample_weights(self):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), loss="mse", weighted_metrics=["mae"])
        weights = np.linspace(0.0, 3.0, 20).astype("float32")
        found = []
        callback = on(on_train_batch_end=lambda self, batch, logs: found.append(logs.batch["mae"]))
        model.fit(X, Y, 8, sample_weight=weights, shuffle=False, verbose=0, callbacks=[callback])
        errors = np.abs(model.predict(X, verbose=0)[:, 0] - Y)
        expected = [np.average(errors[at : at + 8], weights=weights[at : at + 8]) for at in (0, 8, 16)]
        assert found == pytest.approx(expected, rel=1e-4)

    def test_batch_leaves_out_what_is_no_mean(self):
        names = []
        callback = on(on_train_batch_end=lambda self, batch, logs: names.append((sorted(logs), sorted(logs.batch))))
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
        metrics = [keras.metrics.AUC(name="auc"), keras.metrics.RootMeanSquaredError(name="rmse"), "mae"]
        model.compile("sgd", loss="mse", metrics=metrics)
        model.fit(X, Y, verbose=0, callbacks=[callback])
        assert names == [(["auc", "loss", "mae", "rmse"], ["loss", "mae"])]

    def test_batch_is_empty_elsewhere(self):
        diary = Diary()
        fit(make_model(), [diary])
        for hook, logs in zip(diary.hooks, diary.logs, strict=True):
            assert bool(logs.batch) == (hook == "on_train_batch_end")

    def test_unread_ones_are_never_fetched(self, monkeypatch):
        from keras.src import backend

        fetched = []
        native = backend.convert_to_numpy  # whoever fetches ends up here, Keras and we
        monkeypatch.setattr(backend, "convert_to_numpy", lambda value: fetched.append(value) or native(value))
        counts = []

        def count(self, batch, logs):
            counts.append(len(fetched))

        def count_and_read(self, batch, logs):
            before = len(fetched)
            assert logs["loss"] > 0
            assert logs.batch["accuracy"] >= 0
            counts.append(len(fetched) - before)

        fit(make_model(), [on(on_train_batch_begin=count, on_train_batch_end=count)], epochs=1)
        assert len(set(counts)) == 1
        counts.clear()
        fit(make_model(), [on(on_train_batch_end=count_and_read)], epochs=1)
        assert counts == [1, 1, 1]  # everything together


class TestWhatCallbacksAssign:
    def test_is_seen_by_those_that_come_later(self):
        seen = {}

        class OfKeras(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                seen["keras"] = logs["extra"]
                logs["of keras"] = 2.0

            def on_train_batch_end(self, batch, logs=None):
                seen["keras batch"] = logs["extra"]
                logs["of keras"] = 2.0

        def assign(self, index, logs):
            logs["extra"] = 1.0

        def look(self, index, logs):
            seen["ours"] = (logs["extra"], logs["of keras"])

        def look_at_end(self, logs):
            seen["end"] = (logs["extra"], logs["of keras"])

        first = on(on_epoch_end=assign, on_train_batch_end=assign)
        second = on(on_train_end=look_at_end, on_epoch_end=look, on_train_batch_end=look)
        history = fit(make_model(), [first, OfKeras(), second], epochs=1)
        assert seen == {"keras batch": 1.0, "ours": (1.0, 2.0), "keras": 1.0, "end": (1.0, 2.0)}
        assert history.history["extra"] == [1.0]
        assert history.history["of keras"] == [2.0]

    def test_reaches_callbacks_of_keras_that_come_after_all_of_ours(self):
        seen = []

        class OfKeras(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append((logs["extra"], type(logs["loss"])))

        def assign(self, batch, logs):
            logs["extra"] = float(batch)

        fit(make_model(), [on(on_train_batch_end=assign), OfKeras()], epochs=1)
        assert seen == [(0.0, float), (1.0, float), (2.0, float)]

    def test_does_not_change_what_keras_makes_of_the_epoch(self):
        def assign(self, batch, logs):
            logs["loss"] = -1.0
            logs["extra"] = -1.0

        plain = fit(make_model(), []).history
        assert fit(make_model(), [on(on_train_batch_end=assign)]).history == plain

    def test_goes_from_a_validation_into_the_epoch(self):
        ends = []

        def assign(self, logs):
            logs["extra"] = 3.0

        callback = on(on_test_end=assign, on_train_end=lambda self, logs: ends.append(logs["val_extra"]))
        history = fit(make_model(), [callback], validation_data=(X, Y))
        assert history.history["val_extra"] == [3.0, 3.0]
        assert ends == [3.0]

    def test_does_not_change_what_evaluate_returns(self):
        def assign(self, logs):
            logs["extra"] = 3.0

        model = make_model()
        returned = model.evaluate(X, Y, verbose=0, callbacks=[on(on_test_end=assign)], return_dict=True)
        assert sorted(returned) == ["accuracy", "loss"]

    def test_stays_out_of_an_epoch_without_validation(self):
        def assign(self, logs):
            logs["extra"] = 3.0

        history = fit(make_model(), [on(on_test_end=assign)], epochs=3, validation_data=(X, Y), validation_freq=2)
        assert history.history["val_extra"] == [3.0]


class TestSpellings:
    def test_a_callback_that_is_no_list(self):
        diary = Diary()
        fit(make_model(), diary)
        check_grammar(diary.hooks)
        assert diary.hooks.count("on_train_batch_end") == 6

    def test_a_list_of_keras_made_beforehand(self):
        diary = Diary()
        model = make_model()
        made = keras.callbacks.CallbackList([diary], add_history=True, model=model, epochs=1, steps=3)
        for _ in range(2):
            fit(model, made, epochs=1)
        check_grammar(diary.hooks[: len(diary.hooks) // 2])
        check_grammar(diary.hooks[len(diary.hooks) // 2 :])
        assert diary.hooks.count("on_train_begin") == 2
        assert diary.params == {"epochs": 1, "steps": 3}

    def test_a_list_of_keras_with_hooks_of_its_own(self):
        heard = []

        class Own(keras.callbacks.CallbackList):
            def on_train_batch_end(self, batch, logs=None):
                heard.append(batch)
                super().on_train_batch_end(batch, logs)

            def on_epoch_end(self, epoch, logs=None):
                heard.append("epoch")
                super().on_epoch_end(epoch, logs)

        ours, theirs = Diary(), KerasDiary()
        model = make_model()
        fit(model, Own([ours, theirs], add_history=True, model=model), epochs=1)
        assert heard == [0, 1, 2, "epoch"]
        assert ours.entries == theirs.entries
        heard.clear()
        fit(model, Own([ours], add_history=True, model=model), epochs=1)
        assert heard == [0, 1, 2, "epoch"]

    def test_a_list_of_keras_used_for_another_model(self):
        diary = Diary()
        first, second = make_model(), make_model(number=1)
        made = keras.callbacks.CallbackList([diary], add_history=True, model=first)
        fit(first, made, epochs=1)
        made.set_model(second)
        fit(second, made, epochs=1)
        assert diary.model is second
        assert diary.hooks.count("on_train_batch_end") == 6

    def test_a_loop_of_ones_own(self):
        diary = Diary()
        model = make_model()
        made = keras.callbacks.CallbackList([diary], model=model, epochs=1)
        made.on_train_begin()
        made.on_epoch_begin(0)
        for batch in range(2):
            made.on_train_batch_begin(batch)
            made.on_train_batch_end(batch, model.train_on_batch(X, Y, return_dict=True))
        made.on_epoch_end(0, {"loss": 1.0})
        made.on_train_end({"loss": 1.0})
        check_grammar(diary.hooks)
        assert diary.entries[-1] == ("on_train_end", None, ["loss"])
        assert diary.run.outcome == "completed"

    def test_hooks_on_an_instance_aliases_and_logs_without_default(self):
        seen = []

        class Bare(Diary.__base__):
            def on_batch_end(self, batch, logs):
                seen.append("alias")

        callback = Bare()
        callback.on_epoch_end = lambda epoch, logs: seen.append("instance")
        fit(make_model(), [callback], epochs=1)
        assert seen == ["alias"] * 3 + ["instance"]

    def test_users_override_set_model_and_set_params(self):
        class Deep(Diary):
            def set_model(self, model):
                super().set_model(model)
                self.size = self.model.count_params()

            def set_params(self, params):
                super().set_params(params)
                self.total = self.params["epochs"]

        callback = Deep()
        model = make_model()
        fit(model, [callback])
        assert (callback.size, callback.total) == (model.count_params(), 2)

    def test_only_the_hooks_of_one_stage(self):
        for hook in HOOKS:
            seen = []
            callback = on(**{hook: lambda self, *given: seen.append(given)})  # noqa: B023
            model = make_model()
            fit(model, [callback], epochs=1, validation_data=(X, Y))
            model.predict(X, verbose=0, callbacks=[callback])
            assert seen, hook
