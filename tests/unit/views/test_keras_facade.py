"""What a Keras callback may ask of a model that is not Keras' own, beyond what Keras' own callbacks ask."""

import keras
import numpy as np
import pytest
import torch
from tests.unit.views.keras_twins import Data, fit_loop, make_keras, make_torch

import onlooker as ol
from onlooker.core.errors import AbsentError, DataError
from onlooker.core.run import Run
from onlooker.views import find_view
from onlooker.views.keras_facade import REFUSED, KerasFacade, facade_of, load_weights


class Noisy(torch.nn.Module):
    """A module with all kinds of weights, and names of its own."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.dropout = torch.nn.Dropout(0.5)
        self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
        self.thirds = torch.nn.Parameter(torch.arange(5).bfloat16() / 3)
        self.beta = 1.0

    def forward(self, x):
        return self.dropout(self.norm(self.first(x)))

    def describe(self):
        return "mine"


def facade_for(model, optimizer=None):
    return facade_of(Run(model, view=find_view(model, optimizer)))


def test_weights_are_copies_and_go_back_exactly():
    module = Noisy()
    facade = facade_for(module)
    kept = facade.get_weights()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        for value in module.state_dict().values():
            value.add_(1)
    module(torch.ones(7, 3))
    facade.set_weights(kept)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert value.dtype == before[name].dtype


def test_setting_weights_checks_all_before_it_sets_any():
    module = Noisy()
    facade = facade_for(module)
    kept, first = facade.get_weights(), module.first.weight.clone()
    kept[0] = kept[0] + 1
    with pytest.raises(ValueError, match=f"expected {len(kept)} weights, but was given {len(kept) - 1}"):
        facade.set_weights(kept[:-1])
    kept[1] = kept[1][:2]
    with pytest.raises(ValueError, match=r"thirds has shape \(5,\), but was given shape \(2,\)"):
        facade.set_weights(kept)
    assert torch.equal(module.first.weight, first)
    assert module.frozen.sum() == 2


def test_what_a_module_keeps_beside_its_weights_is_no_weight(tmp_path):
    class Counts(torch.nn.Linear):
        calls = 3

        def get_extra_state(self):
            return {"calls": self.calls}

        def set_extra_state(self, state):
            self.calls = state["calls"]

    facade = facade_for(Counts(2, 1))
    assert [variable.path for variable in facade.variables] == ["weight", "bias"]
    facade.save_weights(tmp_path / "a.weights.h5")
    other = Counts(2, 1)
    other.calls = 0
    load_weights(tmp_path / "a.weights.h5", other)
    assert other.calls == 3


def test_variables():
    facade = facade_for(Noisy())
    trainable = [variable.path for variable in facade.trainable_variables]
    assert trainable == ["thirds", "first.weight", "first.bias", "norm.weight", "norm.bias"]
    others = [variable.path for variable in facade.non_trainable_variables]
    assert others == ["frozen", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"]
    weight = next(variable for variable in facade.weights if variable.path == "first.weight")
    assert (weight.name, weight.shape, weight.dtype) == ("weight", (4, 3), "float32")
    weight.assign(np.ones((4, 3)))
    assert np.asarray(weight).sum() == 12
    assert keras.ops.convert_to_numpy(weight).shape == (4, 3)
    assert np.asarray(weight, dtype="float64").dtype == np.float64
    weight.assign(facade_for(Noisy()).weights[2])
    with pytest.raises(ValueError, match=r"first\.weight has shape \(4, 3\), but was given shape \(2,\)"):
        weight.assign([1, 2])
    assert facade.count_params() == 2 + 5 + 12 + 4 + 4 * 4 + 1


def test_layers():
    module = Noisy()
    layers = {layer.name: layer for layer in facade_for(module).layers}
    assert list(layers) == ["Noisy", "first", "norm"]
    assert [weight.path for weight in layers["first"].weights] == ["first.weight", "first.bias"]
    assert [weight.path for weight in layers["Noisy"].weights] == ["frozen", "thirds"]
    assert [weight.path for weight in layers["Noisy"].trainable_weights] == ["thirds"]
    assert layers["first"].module is module.first
    kept = layers["first"].get_weights()
    layers["first"].set_weights([weight * 2 for weight in kept])
    np.testing.assert_array_equal(module.first.bias.detach().numpy(), kept[1] * 2)


def test_several_models():
    models = {"generator": torch.nn.Linear(2, 3), "discriminator": torch.nn.Linear(3, 1)}
    facade = facade_for(models)
    assert facade.generator is models["generator"]
    assert [weight.path for weight in facade.weights][::2] == ["generator.weight", "discriminator.weight"]
    assert [layer.name for layer in facade.layers] == ["generator", "discriminator"]
    with pytest.raises(AbsentError, match=r"call one of them: self\.model\.generator"):
        facade(torch.ones(1, 2))


def test_calling_evaluates_without_gradients():
    module = Noisy()
    facade = facade_for(module)
    x, mean = torch.randn(9, 3), module.norm.running_mean.clone()
    outputs = facade(x)
    assert torch.equal(outputs, facade(x)), "no dropout"
    assert not outputs.requires_grad
    assert torch.equal(module.norm.running_mean, mean)
    assert module.training
    assert facade(x, training=True).requires_grad
    assert not torch.equal(module.norm.running_mean, mean)


def test_names_of_the_users_own():
    module = Noisy()
    facade = facade_for(module)
    assert facade.describe() == "mine"
    facade.beta = 0.25
    assert module.beta == 0.25
    facade.note = "for the other callbacks"
    assert facade.note == "for the other callbacks"
    assert not hasattr(module, "note")
    module.history = "mine"
    facade.history = "Keras'"
    assert (facade.history, module.history) == ("Keras'", "mine")
    with pytest.raises(AttributeError, match=r"model\.nothing, but neither .* nor the Noisy itself has it"):
        facade.nothing  # noqa: B018
    assert not hasattr(facade, "jax_state_sync")
    assert not hasattr(facade, "metrics")


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_a_keras_model_has_is_refused(name):
    assert hasattr(make_keras(), name)
    facade = facade_for(Noisy())
    assert not hasattr(facade, name)
    with pytest.raises(AbsentError, match=rf"model\.{name}, which only a Keras model has; .*Noisy\. Instead: "):
        getattr(facade, name)


def test_a_method_of_the_users_own_is_not_refused():
    class Predicts(Noisy):
        def predict(self):
            return "own"

    facade = facade_for(Predicts())
    assert facade.predict() == "own"
    with pytest.raises(AbsentError):
        facade.compile()  # torch.nn.Module's own, which is something else


def test_one_facade_for_all_callbacks_of_a_run():
    class Sets(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.note = "hello"

    class Reads(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.note = self.model.note

    reads = Reads()
    fit_loop(*make_torch(), [Sets(), reads], 1)
    assert reads.note == "hello"
    fit_loop(*make_torch(), [Sets(), reads], 1)
    assert reads.model.module is not None


def test_the_facade_goes_with_its_run():
    import gc
    import weakref

    module, _ = make_torch()
    run = Run(module, view=find_view(module))
    facade = weakref.ref(facade_of(run))
    assert facade_of(run) is facade()
    del run
    gc.collect()
    assert facade() is None


class TestOptimizer:
    def test_one(self):
        module, optimizer = make_torch()
        facade = facade_for(module, optimizer)
        assert (facade.optimizer.name, facade.optimizer.learning_rate, facade.optimizer.iterations) == ("SGD", 0.5, 0)
        facade.optimizer.learning_rate = np.float32(0.25)
        assert optimizer.param_groups[0]["lr"] == 0.25
        facade.optimizer.learning_rate = torch.tensor(0.125)
        assert optimizer.param_groups[0]["lr"] == 0.125
        assert facade.optimizer is facade.optimizer
        assert facade.optimizer.built
        assert not facade.optimizer.use_ema
        assert not hasattr(facade.optimizer, "_model_variables_moving_average")
        assert not hasattr(facade.optimizer, "optimizers")
        assert not hasattr(facade.optimizer, "inner_optimizer")

    def test_a_rate_is_assigned_to_as_in_keras(self):
        module, optimizer = make_torch()
        facade = facade_for(module, optimizer)
        rate = facade.optimizer.learning_rate
        rate.assign(0.25)
        assert optimizer.param_groups[0]["lr"] == 0.25
        assert type(optimizer.param_groups[0]["lr"]) is float
        rate.assign_add(0.5)
        rate.assign_sub(np.float32(0.25))
        assert optimizer.param_groups[0]["lr"] == 0.5
        facade.optimizer.learning_rate = rate * 0.5
        assert optimizer.param_groups[0]["lr"] == 0.25
        rate.assign(facade.optimizer.learning_rate)
        assert (float(rate), rate.value, rate.name, rate.shape) == (0.25, 0.25, "learning_rate", ())

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
    def test_what_the_run_refuses_as_a_rate_is_refused_here(self, value):
        module, optimizer = make_torch()
        rate = facade_for(module, optimizer).optimizer.learning_rate
        with pytest.raises(ValueError, match="rate"):
            rate.assign(value)
        assert optimizer.param_groups[0]["lr"] == 0.5

    def test_a_rate_that_is_kept_shows_what_is_set_later(self):
        module, optimizer = make_torch()
        facade = facade_for(module, optimizer)
        rate = facade.optimizer.learning_rate
        optimizer.param_groups[0]["lr"] = 0.125
        assert float(rate) == rate.numpy() == np.asarray(rate) == keras.ops.convert_to_numpy(rate) == 0.125

    def test_a_rate_is_reckoned_with_like_a_number(self):
        module, optimizer = make_torch()
        rate = facade_for(module, optimizer).optimizer.learning_rate
        assert (rate * 2, 2 * rate, 1 - rate, rate / 2, rate**2, -rate) == (1.0, 1.0, 0.5, 0.25, 0.25, -0.5)
        assert rate == 0.5
        assert rate > 0.4
        assert min(rate, 0.1) == 0.1
        assert (round(rate, 2), f"{rate:.3f}", np.log2(rate), bool(rate)) == (0.5, "0.500", -1.0, True)
        assert (torch.ones(2) * rate).tolist() == (rate * torch.ones(2)).tolist() == [0.5, 0.5]
        assert keras.ops.convert_to_numpy(keras.ops.multiply(rate, 2.0)) == 1.0
        assert repr(rate) == "RateFacade(0.5)"

    def test_a_rate_in_the_logs_is_a_number_that_stays(self):
        class Halve(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                rate = self.model.optimizer.learning_rate
                logs["rate"] = rate
                rate.assign(rate / 2)

        history = ol.callbacks.History()
        fit_loop(*make_torch(), [Halve(), history], epochs=3)
        assert history.history["rate"] == [0.25, 0.125, 0.0625]

    def test_one_of_several_rates_is_assigned_to(self):
        models = {name: torch.nn.Linear(2, 3) for name in ("generator", "discriminator")}
        optimizers = {
            name: torch.optim.SGD(model.parameters(), rate)
            for (name, model), rate in zip(models.items(), (0.1, 0.4), strict=True)
        }
        generator, _ = facade_for(models, optimizers).optimizer.optimizers
        generator.learning_rate.assign(0.3)
        assert [one.param_groups[0]["lr"] for one in optimizers.values()] == [0.3, 0.4]

    def test_none(self):
        assert facade_for(make_torch()[0]).optimizer is None

    def test_several_groups_that_agree_are_one(self):
        module, _ = make_torch()
        groups = [{"params": [p]} for p in module.parameters()]
        facade = facade_for(module, torch.optim.SGD(groups, 0.5))
        assert facade.optimizer.learning_rate == 0.5
        facade.optimizer.learning_rate = 0.1
        assert facade.optimizer.learning_rate == 0.1

    def test_several(self):
        models = {"generator": torch.nn.Linear(2, 3), "discriminator": torch.nn.Linear(3, 1)}
        optimizers = {
            name: torch.optim.SGD(model.parameters(), rate)
            for (name, model), rate in zip(models.items(), (0.1, 0.4), strict=True)
        }
        facade = facade_for(models, optimizers)
        generator, discriminator = facade.optimizer.optimizers
        assert facade.optimizer is facade.optimizer
        assert (generator.name, discriminator.name) == ("generator", "discriminator")
        generator.learning_rate = 0.4
        assert optimizers["generator"].param_groups[0]["lr"] == 0.4
        assert facade.optimizer.optimizers == [generator, discriminator], "equal now, and still two"
        discriminator.learning_rate = 0.2
        assert (generator.learning_rate, discriminator.learning_rate) == (0.4, 0.2)
        with pytest.raises(ValueError, match=r"several learning rates.*read them from optimizer\.optimizers"):
            facade.optimizer.learning_rate  # noqa: B018

    def test_iterations_are_the_runs_steps(self):
        class Counts(keras.callbacks.Callback):
            seen = ()

            def on_train_batch_end(self, batch, logs=None):
                self.seen += (int(self.model.optimizer.iterations),)

        counts = Counts()
        fit_loop(*make_torch(), [counts], 1)
        assert counts.seen == (1, 2, 3)

    def test_iterations_are_a_variable_as_in_keras(self):
        module, optimizer = make_torch()
        run = Run(module, view=find_view(module, optimizer))
        steps = facade_of(run).optimizer.iterations
        run.step = 7
        assert int(steps) == steps.value == steps.numpy() == np.asarray(steps) == 7
        assert keras.ops.convert_to_numpy(steps) == keras.ops.convert_to_numpy(keras.ops.cast(steps, "float32")) == 7
        assert (steps + 1, 10 - steps, steps % 5, steps // 2, 20 // steps, 9 % steps) == (8, 3, 2, 3, 2, 2)
        assert (steps > 6, steps == 7, float(steps), f"{steps:03d}", list(range(9))[steps]) == (True, True, 7, "007", 7)
        assert (type(steps + 1), type(float(steps)), type(steps.value)) == (int, float, int)
        assert (steps.numpy().dtype, steps.dtype, steps.shape, steps.name) == ("int64", "int64", (), "iteration")
        assert repr(steps) == "StepsFacade(7)"
        for assign in (steps.assign, steps.assign_add, steps.assign_sub):
            with pytest.raises(AbsentError, match=r"^the optimizer's iterations are the steps of the run"):
                assign(0)
        assert run.step == 7


class TestWeightsFile:
    def test_there_and_back(self, tmp_path):
        module = Noisy()
        optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], 0.1)
        facade = facade_for(module, optimizer)
        for _ in range(3):
            loss = module(torch.randn(9, 3)).square().mean() + module.thirds.square().mean()
            loss.backward()
            optimizer.step()
        facade.save_weights(tmp_path / "a.weights.h5")
        other = Noisy()
        fresh = torch.optim.Adam([p for p in other.parameters() if p.requires_grad], 0.7)
        state = torch.get_rng_state()
        load_weights(tmp_path / "a.weights.h5", other, fresh)
        assert torch.equal(torch.get_rng_state(), state), "random states are for who resumes"
        for name, value in other.state_dict().items():
            assert torch.equal(value, module.state_dict()[name]), name
        assert fresh.param_groups[0]["lr"] == 0.1
        for index, kept in optimizer.state_dict()["state"].items():
            for name, value in kept.items():
                assert torch.equal(fresh.state_dict()["state"][index][name], value)

    def test_refusals(self, tmp_path):
        facade = facade_for(Noisy())
        with pytest.raises(ValueError, match=r"must end in '\.weights\.h5', but is 'a\.h5'"):
            facade.save_weights("a.h5")
        with pytest.raises(ValueError, match="max_shard_size"):
            facade.save_weights(tmp_path / "a.weights.h5", max_shard_size=1)
        facade.save_weights(tmp_path / "a.weights.h5")
        with pytest.raises(FileExistsError, match="pass overwrite=True"):
            facade.save_weights(tmp_path / "a.weights.h5", overwrite=False)
        facade.save_weights(tmp_path / "a.weights.h5", overwrite=True)
        with pytest.raises(ValueError, match="skip_mismatch"):
            facade.load_weights(tmp_path / "a.weights.h5", skip_mismatch=True)
        with pytest.raises(FileNotFoundError):
            facade.load_weights(tmp_path / "none.weights.h5")
        with pytest.raises(RuntimeError, match="Missing key"):
            load_weights(tmp_path / "a.weights.h5", torch.nn.Linear(1, 1))

    def test_a_keras_models_file_is_refused(self, tmp_path):
        make_keras().save_weights(tmp_path / "keras.weights.h5")
        with pytest.raises(DataError, match=r"was not written by Onlooker .*fits only that Keras model"):
            load_weights(tmp_path / "keras.weights.h5", make_torch()[0])

    def test_a_directory_is_refused_as_in_keras(self, tmp_path):
        (tmp_path / "taken.weights.h5").mkdir()
        checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "taken.weights.h5", save_weights_only=True)
        with pytest.raises(OSError, match="existing directory"):
            fit_loop(*make_torch(), [checkpoint], 1)


def test_a_monitor_of_a_gan_as_keras_documentation_has_it(tmp_path):
    """`self.model.generator(noise)` in a class written for a Keras model with a generator."""

    class Draws(keras.callbacks.Callback):
        drawn = None

        def on_epoch_end(self, epoch, logs=None):
            noise = torch.from_numpy(np.ones((2, 4), "float32"))
            self.drawn = self.model.generator(noise)
            self.seen = sorted(logs)

    models = {"generator": torch.nn.Linear(4, 3), "discriminator": torch.nn.Linear(3, 1)}
    optimizers = {name: torch.optim.SGD(model.parameters(), 0.1) for name, model in models.items()}
    draws = Draws()
    with ol.Loop(models, optimizers, callbacks=[draws]) as loop:
        for _ in loop.epochs(1):
            for _ in loop.train([1, 2]):
                loop.log(generator_loss=0.5, discriminator_loss=0.25)
    assert draws.drawn.shape == (2, 3)
    assert draws.seen == ["discriminator_loss", "generator_loss"]


def test_the_facade_is_made_without_keras():
    assert KerasFacade(Run(Noisy())).trainable_weights
    assert Data().x.dtype == np.float32
