"""A look at a Keras model, with no training around it."""

import os
import random

import keras
import numpy as np
import pytest

from onlooker.core.errors import AbsentError, DataError
from onlooker.views.keras import KerasView
from onlooker.views.keras_random import load_random_state, random_state

BACKEND = keras.backend.backend()
X = np.random.default_rng(1).normal(size=(12, 3)).astype("float32")
Y = X.sum(axis=1)


def make_model(seed=1, optimizer=None):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.layers.Input((3,)),
            keras.layers.Dense(4, name="first"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dropout(0.5, name="drop"),
            keras.layers.Dense(1, name="last"),
        ]
    )
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss="mse")
    return model


def trained(**arguments):
    model = make_model(**arguments)
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def arrays(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def is_same(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


class TestWeights:
    def test_are_named_by_path_and_chosen_by_pattern(self):
        view = KerasView(make_model())
        names = ["first/kernel", "first/bias", "norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance"]
        assert [name.partition("/")[2] if name.startswith("seq") else name for name in view.weights()] == [
            *names,
            "last/kernel",
            "last/bias",
        ]
        assert len(view.weights("*kernel")) == 2
        assert view.weights("nothing") == {}

    def test_of_layers_that_share_a_name(self):
        keras.utils.set_random_seed(1)
        first, second = (keras.Sequential([keras.layers.Dense(2, name="same")], name="part") for _ in range(2))
        inputs = keras.layers.Input((3,))
        values = first(inputs), second(inputs)
        both = type("Both", (), {"weights": [*first.weights, *second.weights]})()
        view = KerasView(both)
        assert list(view.weights()) == [
            *["part/same/kernel", "part/same/bias", "part/same/kernel#2", "part/same/bias#2"],
        ]
        assert values

    def test_are_no_part_of_a_graph(self):
        if BACKEND != "torch":
            pytest.skip("only torch has graphs")
        assert not any(value.requires_grad for value in KerasView(make_model()).weights().values())


class TestLearningRate:
    def test_read_set_scale(self):
        view = KerasView(make_model())
        assert view.get_learning_rate() == pytest.approx(0.01)
        view.set_learning_rate(0.5)
        view.scale_learning_rate(0.1)
        assert view.get_learning_rate() == pytest.approx(0.05)

    def test_of_several_optimizers(self):
        model = make_model()
        model.second_optimizer = keras.optimizers.SGD(0.01)
        view = KerasView(model)
        assert view.get_learning_rate() == pytest.approx(0.01)
        view.set_learning_rate({"optimizer": 0.25})
        assert view.get_learning_rate() == {"optimizer": 0.25, "second_optimizer": pytest.approx(0.01)}
        with pytest.raises(ValueError, match=r"optimizer: 0.25, second_optimizer: 0.01\), so one number"):
            view.set_learning_rate(0.1)
        view.scale_learning_rate(2.0)
        assert view.get_learning_rate() == {"optimizer": 0.5, "second_optimizer": pytest.approx(0.02)}

    @pytest.mark.parametrize("value", [None, "a", [0.1, 0.2]])
    @pytest.mark.parametrize("form", [lambda value: value, lambda value: {"optimizer": value}], ids=["one", "named"])
    def test_what_is_no_number_is_not_blamed_on_a_schedule(self, value, form):
        view = KerasView(make_model())
        with pytest.raises(TypeError, match=r"^a learning rate must be a number, not "):
            view.set_learning_rate(form(value))
        assert view.get_learning_rate() == pytest.approx(0.01)

    def test_an_unknown_name_is_answered_with_those_there_are(self):
        view = KerasView(make_model())
        with pytest.raises(ValueError, match=r"^no learning rate is called 'x'; known: optimizer$"):
            view.set_learning_rate({"optimizer": 0.5, "x": 1})
        assert view.get_learning_rate() == pytest.approx(0.01)

    def test_within_a_loss_scale(self):
        view = KerasView(make_model(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.125))))
        assert view.get_learning_rate() == 0.125
        view.set_learning_rate(0.25)
        assert view.get_learning_rate() == 0.25

    @pytest.mark.parametrize(
        "rate", [keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5), lambda: 0.5], ids=["schedule", "function"]
    )
    def test_of_a_schedule_cannot_be_set(self, rate):
        view = KerasView(make_model(optimizer=keras.optimizers.SGD(rate)))
        assert view.get_learning_rate() == 0.5
        with pytest.raises(AbsentError, match=r"SGD follows a schedule.*SGD\(learning_rate=0.001\)"):
            view.set_learning_rate(0.1)

    def test_without_an_optimizer(self):
        keras.utils.set_random_seed(1)
        view = KerasView(keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)]))
        with pytest.raises(AbsentError, match="Sequential: it has no optimizer"):
            view.get_learning_rate()


class TestGradients:
    def test_come_on_torch_and_are_absent_elsewhere(self):
        view = KerasView(trained())
        if BACKEND == "torch":
            assert [name.rpartition("/")[2] for name in view.gradients("*last/*")] == ["kernel", "bias"]
        else:
            with pytest.raises(AbsentError, match=r"gradients cannot be had .* compiled"):
                view.gradients()


class TestRandomStates:
    def draw(self, model):
        drawn = [random.random(), np.random.rand(), arrays([keras.random.normal((2,))])[0].tolist()]
        return [*drawn, arrays([model(X, training=True)])[0].tolist()]

    def test_come_back(self):
        model = make_model()
        keras.random.normal((2,))
        state = random_state(model)
        statistics = arrays(model.get_layer("norm").variables)
        first = self.draw(model)
        for variable, value in zip(model.get_layer("norm").variables, statistics, strict=True):
            variable.assign(value)
        assert self.draw(model) != first
        for variable, value in zip(model.get_layer("norm").variables, statistics, strict=True):
            variable.assign(value)
        load_random_state(model, state)
        assert self.draw(model) == first

    def test_of_another_model_leave_its_layers_alone(self):
        state = random_state(make_model())
        keras.utils.set_random_seed(4)
        other = keras.Sequential([keras.layers.Input((3,)), *[keras.layers.Dropout(0.5) for _ in range(3)]])
        load_random_state(other, state)

    def test_names_of_later_layers_stay_what_they_were(self):
        keras.utils.clear_session()
        model = make_model()
        with KerasView(model).observing(seed=3):
            pass
        assert keras.layers.Dropout(0.1).seed_generator.name == "seed_generator_1"


class TestEvaluating:
    def test_on_torch(self):
        if BACKEND != "torch":
            pytest.skip("elsewhere there are no modes")
        import torch

        model = make_model()
        model.train()
        with KerasView(model).evaluating():
            assert (model.training, torch.is_grad_enabled()) == (False, False)
        assert (model.training, torch.is_grad_enabled()) == (True, True)

    def test_elsewhere_changes_nothing(self):
        model = make_model()
        before = arrays(model.variables)
        with KerasView(model).evaluating():
            model(X)
        assert is_same(before, arrays(model.variables))


class TestState:
    def test_round_trip(self):
        model = trained()
        state = KerasView(model).state_dict()
        other = make_model(seed=2)
        KerasView(other).load_state_dict(state)
        assert is_same(arrays(model.variables), arrays(other.variables))
        assert is_same(arrays(model.optimizer.variables), arrays(other.optimizer.variables))
        model.fit(X, Y, verbose=0)
        assert not is_same(arrays(model.weights), state["weights"])  # a copy, not a view

    def test_of_another_model_is_refused(self):
        keras.utils.set_random_seed(1)
        small = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
        with pytest.raises(DataError, match="has 8 variables, the model 2"):
            KerasView(small).load_state_dict(KerasView(make_model()).state_dict())


class TestFiles:
    @pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
    def test_round_trip(self, tmp_path, name):
        path = str(tmp_path / name)
        model = trained()
        KerasView(model).save(path, {"epoch": 3, "array": np.arange(3)})
        other = make_model(seed=2)
        extra = KerasView(other).load(path)
        assert extra["epoch"] == 3
        assert np.array_equal(extra["array"], np.arange(3))
        assert is_same(arrays(model.variables), arrays(other.variables))
        assert is_same(arrays(model.optimizer.variables), arrays(other.optimizer.variables))
        assert sorted(os.listdir(tmp_path)) == [name, f"{name}.run.h5"]

    def test_what_fails_leaves_the_old_files(self, tmp_path):
        path = str(tmp_path / "a.keras")
        view = KerasView(trained())
        view.save(path, {"epoch": 1})
        before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
        with pytest.raises(DataError):
            view.save(path, {"epoch": object()})
        assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before

    def test_what_cannot_be_written_is_said_by_the_path_that_was_given(self, tmp_path):
        view = KerasView(make_model())
        (tmp_path / "taken").touch()
        (tmp_path / "folder.keras").mkdir()
        (tmp_path / "loop").symlink_to("loop")
        for name, kind in (
            ("taken/a.keras", NotADirectoryError),
            ("folder.keras", IsADirectoryError),
            ("loop/deep/a.weights.h5", OSError),
        ):
            path = str(tmp_path / name)
            with pytest.raises(kind) as caught:
                view.save(path, {})
            assert (caught.value.filename, caught.value.filename2) == (path, None)
        assert sorted(os.listdir(tmp_path)) == ["folder.keras", "loop", "taken"], "nothing half-written is left"

    def test_wrong_paths(self, tmp_path):
        view = KerasView(make_model())
        for path in ("a.pt", "a.h5", "a"):
            with pytest.raises(DataError, match=r"'.keras' .* or '.weights.h5'"):
                view.save(str(tmp_path / path), {})
            with pytest.raises(DataError, match=r"'.keras' .* or '.weights.h5'"):
                view.load(str(tmp_path / path))
        with pytest.raises(DataError, match=r"is missing: run.save writes it"):
            view.load(str(tmp_path / "a.keras"))
