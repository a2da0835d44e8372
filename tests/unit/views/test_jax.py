"""What is seen of a state of JAX: its parameters by name, its learning rates, and the file of run.save."""

import dataclasses
import json
import random
from typing import NamedTuple

import equinox
import flax.linen
import flax.struct
import flax.training.train_state
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from tests.unit.views.jax_states import ADAM, make_state

import onlooker as ol
from onlooker.core.errors import AbsentError, AttachError, DataError, LoopError
from onlooker.core.view import ModelView
from onlooker.views import find_view
from onlooker.views.jax import JaxView

KERNEL = jnp.ones((4, 1))


class Named(NamedTuple):
    params: dict
    opt_state: object
    epoch: int = 0


@flax.struct.dataclass
class Struct:
    params: dict
    statistics: dict


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Plain:
    params: dict
    key: jax.Array


class Carrier(equinox.Module):
    """A state of a user's that is an Equinox module."""

    model: equinox.Module
    opt_state: object


class Layer(equinox.Module):
    """A layer that happens to call one of its arrays so."""

    params: jax.Array
    bias: jax.Array


class WithStatistics(equinox.Module):
    """A layer whose running statistics are apart, in an `equinox.nn.State`."""

    norm: equinox.nn.BatchNorm

    def __init__(self):
        self.norm = equinox.nn.BatchNorm(4, "batch", mode="ema")


def linear():
    return equinox.nn.Linear(4, 1, key=jax.random.key(0))


def opt_state_of(params):
    return ADAM.init(equinox.filter(params, equinox.is_inexact_array))


PARAMS = {"layer1": {"kernel": KERNEL}}
STATES = {
    "params alone": (PARAMS, ["layer1.kernel"]),
    "a dict": ({"params": PARAMS, "opt_state": ADAM.init(PARAMS), "statistics": {"mean": KERNEL}}, ["layer1.kernel"]),
    "a named tuple": (Named(PARAMS, ADAM.init(PARAMS)), ["layer1.kernel"]),
    "flax.struct": (Struct(PARAMS, {"mean": KERNEL}), ["layer1.kernel"]),
    "a dataclass": (Plain(PARAMS, jax.random.key(0)), ["layer1.kernel"]),
    "TrainState": (
        flax.training.train_state.TrainState.create(apply_fn=print, params=PARAMS, tx=optax.adam(0.1)),
        ["layer1.kernel"],
    ),
    "an Equinox module": (linear(), ["weight", "bias"]),
    "an Equinox perceptron": (
        equinox.nn.MLP(4, 1, 2, 1, key=jax.random.key(0)),
        ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"],
    ),
    "a field called params": (Layer(KERNEL, jnp.zeros(1)), ["params", "bias"]),
    "a pair": ((linear(), opt_state_of(linear())), ["weight", "bias"]),
    "a carrier": (Carrier(linear(), opt_state_of(linear())), ["weight", "bias"]),
    "model in a dict": ({"model": linear(), "opt_state": opt_state_of(linear())}, ["weight", "bias"]),
    "several": (
        {"generator": {"params": PARAMS, "opt_state": ADAM.init(PARAMS)}, "critic": Named(PARAMS, ADAM.init(PARAMS))},
        ["generator.layer1.kernel", "critic.layer1.kernel"],
    ),
    "several modules": ({"a": linear(), "b": linear()}, ["a.weight", "a.bias", "b.weight", "b.bias"]),
    "two of one kind": ((KERNEL, KERNEL), ["0", "1"]),
    "integers and keys": ({"count": jnp.zeros((), int), "key": jax.random.key(0), "w": KERNEL}, ["w"]),
    "Equinox with statistics": (
        (*equinox.nn.make_with_state(WithStatistics)(), opt_state_of(linear())),
        ["norm.weight", "norm.bias"],
    ),
    "split": (nnx.split(nnx.Linear(4, 1, rngs=nnx.Rngs(0))), ["bias", "kernel"]),
    "one array": (KERNEL, [""]),
}


@pytest.mark.parametrize(("state", "names"), STATES.values(), ids=STATES.keys())
def test_parameters_by_name(state, names):
    view = find_view(state)
    assert isinstance(view, JaxView)
    assert set(view.weights()) == set(names)
    assert all(isinstance(array, jax.Array) for array in view.weights().values())


def test_parameters_by_pattern():
    view = find_view(make_state())
    assert list(view.weights("*.bias")) == ["layer1.bias"]
    assert view.weights("*.bias")["layer1.bias"] is view.model["params"]["layer1"]["bias"]


@pytest.mark.parametrize("model", [None, {}, {"a": 1.0}, [np.ones(3)], object(), {"w": np.ones(3)}])
def test_what_is_no_state_of_jax(model):
    assert type(find_view(model)) is ModelView


def test_an_optimizer_beside_a_state():
    for optimizer in (ADAM, ADAM.init(PARAMS)):
        with pytest.raises(TypeError, match=r"part of the state: Loop\(\{'params': params, 'opt_state'"):
            find_view(PARAMS, optimizer)


def test_learning_rates_of_a_train_state():
    state = flax.training.train_state.TrainState.create(apply_fn=print, params=PARAMS, tx=ADAM)
    view = find_view(state)
    view.set_learning_rate(0.5)
    assert view.get_learning_rate() == 0.5
    assert type(view.model) is type(state)
    several_steps = optax.MultiSteps(optax.inject_hyperparams(optax.adam)(learning_rate=0.25), 2)
    assert find_view({"params": PARAMS, "opt_state": several_steps.init(PARAMS)}).get_learning_rate() == 0.25


def test_objects_of_nnx_are_no_values():
    model = nnx.Linear(4, 1, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, ADAM, wrt=nnx.Param)
    for state in ([model], (model, optimizer), {"a": {"b": model}}, optimizer):
        with pytest.raises(TypeError, match=r"pass them by themselves: Loop\(model, optimizer\)"):
            find_view(state)


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(LoopError, match="2 processes train together"), ol.Loop(make_state()):
        pass


def test_a_module_of_linen_is_no_state():
    with pytest.raises(TypeError, match=r"linen\.Module holds no weights; pass the state"):
        find_view(flax.linen.Dense(3))


# Learning rates.


def several(first=0.1, second=0.2):
    inject = optax.inject_hyperparams(optax.sgd)
    return {
        "generator": {"params": PARAMS, "opt_state": optax.chain(optax.clip(1.0), inject(first)).init(PARAMS)},
        "critic": {"params": PARAMS, "opt_state": inject(second).init(PARAMS)},
    }


def test_one_learning_rate():
    view = find_view(make_state())
    before = view.model
    assert view.get_learning_rate() == pytest.approx(0.05)
    view.set_learning_rate(0.5)
    assert view.get_learning_rate() == 0.5
    view.scale_learning_rate(0.5)
    assert view.get_learning_rate() == 0.25
    assert float(before["opt_state"].hyperparams["learning_rate"]) == pytest.approx(0.05), "changed in place"
    assert view.model["params"] is not None
    assert view.weights()["layer1.kernel"] is before["params"]["layer1"]["kernel"]


@pytest.mark.parametrize("rate", [jnp.float32(0.1), jnp.asarray(0.1), 0.1], ids=["strong", "weak", "a float"])
def test_a_new_rate_compiles_no_new_step(rate):
    traced = []

    @jax.jit
    def step(state):
        traced.append(1)
        return jax.tree.map(lambda leaf: leaf + 1, state)

    state = make_state()
    state["opt_state"].hyperparams["learning_rate"] = rate
    view = find_view(state)
    step(view.model)
    view.set_learning_rate(0.5)
    step(view.model)
    assert len(traced) == 1
    assert view.get_learning_rate() == 0.5


def test_several_learning_rates():
    view = find_view(several())
    assert view.get_learning_rate() == pytest.approx({"generator.1": 0.1, "critic": 0.2})
    view.set_learning_rate({"critic": 0.5})
    view.scale_learning_rate(2)
    assert view.get_learning_rate() == pytest.approx({"generator.1": 0.2, "critic": 1.0})
    with pytest.raises(ValueError, match=r"the learning rates differ .*scale_learning_rate"):
        view.set_learning_rate(0.1)
    with pytest.raises(ValueError, match=r"no learning rate is called 'actor'; known: critic, generator\.1"):
        view.set_learning_rate({"actor": 0.1})
    same = find_view(several(0.1, 0.1))
    assert same.get_learning_rate() == pytest.approx(0.1)
    same.set_learning_rate(0.3)
    assert same.get_learning_rate() == pytest.approx(0.3)


def test_a_schedule_can_be_read_but_not_set():
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=optax.linear_schedule(1.0, 0.0, 10))
    view = find_view({"params": PARAMS, "opt_state": tx.init(PARAMS)})
    assert view.get_learning_rate() == 1.0
    for change in (lambda: view.set_learning_rate(0.5), lambda: view.scale_learning_rate(0.5)):
        with pytest.raises(AbsentError, match="follows a schedule"):
            change()


def test_without_a_learning_rate_in_the_state():
    state = {"params": PARAMS, "opt_state": optax.adam(0.1).init(PARAMS)}
    view = find_view(state)
    for ask in (view.get_learning_rate, lambda: view.set_learning_rate(1.0), lambda: view.scale_learning_rate(1.0)):
        with pytest.raises(
            AbsentError, match=r"write optax\.inject_hyperparams\(optax\.adam\)\(learning_rate=0\.001\)"
        ):
            ask()

    class Needs(ol.Callback):
        needs = ("set_learning_rate",)

    with pytest.raises(AttachError, match=r"Needs needs 'set_learning_rate'.*optax\.inject_hyperparams"):
        ol.Loop(state, callbacks=[Needs()])
    ol.Loop(make_state(), callbacks=[Needs()])


# Files.


def leaves_of(state):
    return [leaf for leaf in jax.tree_util.tree_leaves(state) if not callable(leaf)]


def rich_state(number):
    return {
        "params": {"bfloat16": jnp.full((3,), number, jnp.bfloat16), "float8": jnp.full(2, number, jnp.float8_e4m3fn)},
        "key": jax.random.key(number),
        "keys": jax.random.split(jax.random.key(number, impl="rbg"), 3),
        "old_key": jax.random.PRNGKey(number),
        "weak": jnp.asarray(float(number)),
        "strong": jnp.float32(number),
        "int4": jnp.full(3, number, jnp.int4),
        "flag": jnp.array(number > 1),
        "complex": jnp.full(2, number * 1j),
        "numpy": np.full((2, 2), number, "float64"),
        "number": number,
        "real": float(number),
        "truth": number > 1,
        "empty": jnp.zeros((0, 3)),
        "function": jax.nn.relu,
        "word": "relu",
        "nothing": None,
    }


def test_what_comes_back_from_a_file(tmp_path):
    path = str(tmp_path / "state.npz")
    view = find_view(rich_state(3))
    view.save(path, {"next_epoch": 2})
    other = find_view(rich_state(1))
    assert other.load(path) == {"next_epoch": 2}
    assert jax.tree_util.tree_structure(other.model) == jax.tree_util.tree_structure(view.model)
    for name, leaf in view.model.items():
        loaded = other.model[name]
        if name == "params":
            continue
        assert type(loaded) is type(leaf), name
        if not isinstance(leaf, jax.Array):
            assert np.all(loaded == leaf), name
            continue
        assert (loaded.dtype, loaded.shape) == (leaf.dtype, leaf.shape), name
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            assert jax.random.key_impl(loaded) == jax.random.key_impl(leaf)
            leaf, loaded = jax.random.key_data(leaf), jax.random.key_data(loaded)
        else:
            assert loaded.weak_type == leaf.weak_type, name
        assert np.array_equal(loaded, leaf), name
    for name, leaf in view.model["params"].items():
        assert other.model["params"][name].dtype == leaf.dtype
        assert np.array_equal(other.model["params"][name], leaf)


def test_a_file_runs_no_code_and_holds_no_pickle(tmp_path):
    path = tmp_path / "state.npz"
    find_view(rich_state(3)).save(str(path), {"callbacks": {}})
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "biufc" for name in file.files)
        assert json.loads(file["index"].tobytes())["names"]


def test_random_states_come_back(tmp_path):
    torch = pytest.importorskip("torch")  # kept where it is loaded: a loader of PyTorch's draws from it
    path = str(tmp_path / "state.npz")
    view = find_view(make_state())
    view.save(path, {})
    drawn = random.random(), np.random.random(), float(torch.rand(()))
    view.load(path)
    assert (random.random(), np.random.random(), float(torch.rand(()))) == drawn


def test_what_callbacks_remember(tmp_path):
    path = str(tmp_path / "state.npz")
    view = find_view(make_state())
    extra = {
        "list": [1, 2.5, None, True, "word", float("inf")],
        "tuple": (1, (2, [3])),
        "set": {1, 2},
        "bytes": b"\x00\xff",
        "complex": 1j,
        "numbers as keys": {1: "one", (1, 2): "two"},
        "tagged": {"__onlooker__": "tuple"},
        "scalar": np.float32(0.5),
    }
    arrays = {
        "numpy": np.arange(6).reshape(2, 3),
        "jax": jnp.ones(3, jnp.bfloat16),
        "key": jax.random.key(1),
        "truth": np.array([True]),
    }
    view.save(path, {**extra, **arrays})
    loaded = view.load(path)
    for name, array in arrays.items():
        assert type(loaded[name]) is type(array)
        assert loaded[name].dtype == array.dtype
        assert np.all(loaded[name] == array)
    plain = {name: value for name, value in loaded.items() if name not in arrays}
    assert plain == {**extra, "scalar": 0.5}
    assert [type(plain[name]) for name in ("tuple", "set")] == [tuple, set]


def test_what_a_file_cannot_hold(tmp_path):
    path = tmp_path / "state.npz"
    with pytest.raises(DataError, match=r"the checkpoint\['callbacks'\]\['best'\] is of type object, .* cannot hold"):
        find_view(make_state()).save(str(path), {"callbacks": {"best": object()}})
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_state(tmp_path):
    path = str(tmp_path / "state.npz")
    find_view({"params": {"a": KERNEL, "b": KERNEL}}).save(path, {})
    with pytest.raises(DataError, match=r"it has params\.b, which the state lacks; it lacks params\.c"):
        find_view({"params": {"a": KERNEL, "c": KERNEL}}).load(path)
    with pytest.raises(
        DataError, match=r"params\.b is float32 of shape \(4, 1\) in the file, but float32 of shape \(3,\)"
    ):
        find_view({"params": {"a": KERNEL, "b": jnp.ones(3)}}).load(path)
    with pytest.raises(
        DataError, match=r"params\.b is float32 .* in the file, but bfloat16 of shape \(4, 1\) in the state"
    ):
        find_view({"params": {"a": KERNEL, "b": KERNEL.astype("bfloat16")}}).load(path)


@pytest.mark.parametrize("content", [b"", b"nothing of ours", None])
def test_a_file_that_is_none_of_ours(tmp_path, content):
    path = tmp_path / "state.npz"
    if content is None:
        np.savez(path, np.ones(3))
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as a file of run\.save on a JAX state"):
        find_view(make_state()).load(str(path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        find_view(make_state()).load(str(tmp_path / "state.npz"))


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    np.savez(path, index=np.array([object()], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        find_view(make_state()).load(str(path))


def test_state_dict():
    view, other = find_view(make_state()), find_view(make_state())
    view.set_learning_rate(0.5)
    other.load_state_dict(view.state_dict())
    assert other.model is view.model


# Observing.


def test_observing_keeps_the_state():
    view = find_view(make_state())
    before = view.model
    with view.observing():
        view.set_learning_rate(0.5)
    assert view.model is before
    assert view.get_learning_rate() == pytest.approx(0.05)


def test_leaves_stay_where_they_were_put(tmp_path):
    path = str(tmp_path / "state.npz")
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    state = {"params": {"a": jax.device_put(KERNEL, sharding), "b": KERNEL}}
    view = find_view(state)
    view.save(path, {})
    view.load(path)
    assert [view.model["params"][name].committed for name in ("a", "b")] == [True, KERNEL.committed]
