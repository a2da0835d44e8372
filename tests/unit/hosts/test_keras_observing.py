"""Observing changes nothing in Keras, and what a hook starts leaves no trace."""

import random

import keras
import numpy as np
import pytest
from tests.unit.hosts.keras_models import BACKEND, Diary, X, Y, fit, is_same, make_model, on, optimizer_of, weights_of

import onlooker as ol
from onlooker.core.errors import AttachError
from onlooker.core.hooks import HOOKS, check_grammar

HOOKS_OF_FIT = [hook for hook, scope in HOOKS.items() if scope.stage != "predict"]


def outcome_of(callbacks, **arguments):
    """Everything that a training leaves behind."""
    model = make_model()
    history = fit(model, callbacks, validation_data=(X, Y), **arguments).history
    seeds = [keras.ops.convert_to_numpy(v).copy() for v in model.variables if "seed" in v.path]
    left = [*weights_of(model), *optimizer_of(model), *seeds, np.random.get_state()[1], random.getstate()[1]]
    if BACKEND == "torch":
        import torch

        left += [torch.get_rng_state().numpy(), [module.training for module in model.modules()]]
    return [*left, *(history[name] for name in sorted(history))]


@pytest.fixture(scope="module")
def plain():
    return outcome_of([])


def use(model, x=X):
    """Use a model in every way that changes something."""
    model(x, training=True)
    model.predict(x, verbose=0)
    model.evaluate(x, Y[: len(x)], verbose=0)
    keras.random.normal((3,))
    np.random.rand()
    random.random()
    if BACKEND == "torch":
        import torch

        torch.rand(3)


class TestObserving:
    @pytest.mark.parametrize("hook", HOOKS_OF_FIT)
    def test_anything_within_leaves_no_trace(self, plain, hook):
        def look(self, *given):
            with self.run.observing():
                use(self.model)

        assert is_same(plain, outcome_of([on(**{hook: look})]))

    def test_without_it_something_does_change(self, plain):
        def look(self, epoch, logs):
            use(self.model)

        assert not is_same(plain, outcome_of([on(on_epoch_begin=look)]))

    def test_a_seed_draws_the_same_each_time(self, plain):
        drawn = []

        def look(self, *given):
            with self.run.observing(seed=5):
                noise = np.array(keras.ops.convert_to_numpy(keras.random.normal((2, 4))))
                outputs = keras.ops.convert_to_numpy(self.model(X, training=True))
                drawn.append((noise, np.random.rand(), random.random(), np.array(outputs)))

        assert is_same(plain, outcome_of([on(on_epoch_begin=look, on_train_batch_begin=look)]))
        assert all(np.array_equal(drawn[0][0], other[0]) and drawn[0][1:3] == other[1:3] for other in drawn)
        assert np.array_equal(drawn[0][3], drawn[1][3])  # before the first batch: the same weights
        assert not np.array_equal(drawn[0][3], drawn[2][3])

    def test_an_error_within_leaves_no_trace_either(self, plain):
        def look(self, epoch, logs):
            observing = self.run.observing()
            observing.__enter__()
            use(self.model)
            assert not observing.__exit__(ZeroDivisionError, ZeroDivisionError(), None)

        assert is_same(plain, outcome_of([on(on_epoch_end=look)]))

    def test_without_a_global_generator_none_is_left(self):
        from onlooker.views.keras_random import global_generator

        def look(self, epoch, logs):
            assert global_generator() is None
            with self.run.observing():
                keras.random.normal((3,))
                assert global_generator() is not None
            assert global_generator() is None

        fit(make_model(), [on(on_epoch_begin=look)], epochs=1)

    @pytest.mark.skipif(BACKEND != "torch", reason="only there are modes and gradients")
    def test_modes_and_gradients_of_torch(self):
        import torch

        seen = []

        def look(self, batch, logs):
            before = {name: value.clone() for name, value in self.run.gradients().items()}
            with self.run.observing():
                seen.append((self.model.training, torch.is_grad_enabled()))
            with self.run.observing(gradients=True):
                self.model(X).sum().backward()
            seen.append((self.model.training, torch.is_grad_enabled()))
            after = self.run.gradients()
            assert all(torch.equal(before[name], after[name]) for name in before)

        fit(make_model(), [on(on_train_batch_end=look)], epochs=1)
        assert seen == [(False, False), (True, True)] * 3

    def test_every_look_at_once_changes_nothing(self, plain):
        def look(self, *given):
            run = self.run
            logs = given[-1]
            dict(logs)
            dict(logs.batch)
            run.weights()
            run.learning_rate  # noqa: B018
            run.record(ol.Scalars({"a": 1.0}))
            self.model  # noqa: B018

        assert is_same(plain, outcome_of([on(**dict.fromkeys(HOOKS_OF_FIT, look))]))


class TestNestedStages:
    @pytest.mark.parametrize("hook", HOOKS_OF_FIT)
    @pytest.mark.parametrize("with_self", [False, True])
    def test_evaluate_and_predict_leave_no_trace_and_are_silent(self, plain, hook, with_self):
        results, diary = [], Diary()

        def look(self, *given):
            callbacks = [self, diary, Diary()] if with_self else None
            params = self.params
            result = self.model.evaluate(X[:6], Y[:6], verbose=0, callbacks=callbacks, return_dict=True)
            results.append(result)
            self.model.predict(X[:6], verbose=0, callbacks=callbacks)
            assert self.params is params
            assert self.run.is_live

        looking = on(**{hook: look})
        assert is_same(plain, outcome_of([looking, diary]))
        check_grammar(diary.hooks)
        assert diary.hooks.count("on_predict_begin") == 0
        assert diary.hooks.count("on_test_begin") == 2
        assert all(sorted(result) == ["accuracy", "loss"] for result in results)
        assert results

    def test_the_result_is_right(self):
        found, expected = [], []

        def look(self, epoch, logs):
            found.append(self.model.evaluate(X, Y, verbose=0))
            expected.append([logs["val_loss"], logs["val_accuracy"]])

        fit(make_model(), [on(on_epoch_end=look)], validation_data=(X, Y), batch_size=32)
        assert found == expected

    def test_callbacks_of_keras_in_a_nested_stage_are_still_called(self):
        heard = []

        class OfKeras(keras.callbacks.Callback):
            def on_test_batch_end(self, batch, logs=None):
                heard.append(batch)

        def look(self, epoch, logs):
            self.model.evaluate(X, Y, verbose=0, callbacks=[self, OfKeras()])

        fit(make_model(), [on(on_epoch_end=look)], epochs=1)
        assert heard == [0]

    def test_another_model_within_a_hook_has_hooks(self):
        other, diary = make_model(number=1), Diary()

        def look(self, epoch, logs):
            other.evaluate(X, Y, verbose=0, callbacks=[diary])

        fit(make_model(), [on(on_epoch_end=look)])
        assert diary.hooks.count("on_test_end") == 2
        check_grammar(diary.hooks)

    def test_what_a_callback_of_keras_starts_is_its_own_affair(self):
        """The weights are those that Keras would have come to without us."""

        class OfKeras(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.evaluate(X, Y, verbose=0)

        alone = outcome_of([OfKeras()])
        assert is_same(alone, outcome_of([OfKeras(), Diary()]))
        assert is_same(alone, outcome_of([Diary(), OfKeras(), Diary()]))

    def test_within_an_evaluation(self):
        results = []

        def look(self, batch, logs):
            results.append(self.model.evaluate(X[:6], Y[:6], verbose=0))

        model = make_model()
        plain = model.evaluate(X, Y, batch_size=8, verbose=0)
        assert model.evaluate(X, Y, batch_size=8, verbose=0, callbacks=[on(on_test_batch_end=look)]) == plain
        assert results[0] == results[1] == results[2] == model.evaluate(X[:6], Y[:6], verbose=0)


class TestRefusals:
    def test_bad_callbacks_are_refused_before_anything_happens(self):
        class Misspelled(ol.Callback):
            def on_epoch_ends(self, epoch, logs=None):
                pass

        class Policy(ol.Callback):
            on_error = "ignore"

        class Arity(ol.Callback):
            def on_epoch_end(self, logs=None):
                pass

        diary = Diary()
        for bad, message in [(Misspelled(), "did you mean on_epoch_end"), (Policy(), "on_error"), (Arity(), "too few")]:
            model = make_model()
            before = weights_of(model)
            with pytest.raises(AttachError, match=message):
                fit(model, [diary, bad])
            assert diary.hooks == []
            assert is_same(before, weights_of(model))
            fit(model, [Diary()], epochs=1)

    def test_the_same_instance_twice(self):
        diary = Diary()
        with pytest.raises(AttachError, match="the same instance of Diary was passed twice"):
            fit(make_model(), [diary, diary])

    def test_set_model_outside_a_list(self):
        with pytest.raises(AttachError, match="is in no list of Keras' callbacks"):
            Diary().set_model(make_model())
