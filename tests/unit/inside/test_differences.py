"""What a tensor is now less what was kept of it: the same numbers in every way, and copies that are never stale."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import onlooker.inside.numpy as of_numpy
import onlooker.inside.torch as of_torch
from onlooker.core.errors import LookError
from onlooker.inside import Look, summarise
from onlooker.inside.kernel import compiled_pass

SIZES = st.one_of(st.integers(0, 40), st.sampled_from([4095, 4097, 16383, 16384, 20480, 20487, 65545]))


@st.composite
def pairs(draw):
    size = draw(SIZES)
    numbers = arrays.arrays(np.float32, size, elements=st.floats(width=32), fill=st.just(0.5))
    return draw(numbers), draw(numbers)


def difference(now, before):
    look, kept = Look(), {}
    assert not look.keep_all({"": before}, kept)
    assert not look.add_differences({"": now}, kept)
    return look.fetch()[""]


def alike(one, other):
    for name, value in other.as_dict().items():
        if name in ("total", "squares"):
            assert getattr(one, name) == pytest.approx(value, rel=1e-12, nan_ok=True, abs=1e-9 * other.squares**0.5)
        else:
            assert repr(one.as_dict()[name]) == repr(value), name


@given(pairs())
def test_compiled_plain_and_naive_are_the_same(pair):
    now, before = pair
    with np.errstate(all="ignore"):
        naive = summarise(now - before)
    for go_over in (compiled_pass, of_numpy.plain_pass):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(of_numpy, "_pass", go_over)
            alike(difference(now, before), naive)


@given(pairs())
def test_in_torchs_memory_they_are_the_same(pair):
    now, before = pair
    with np.errstate(all="ignore"):
        naive = summarise(now - before)
    alike(difference(torch.from_numpy(now), torch.from_numpy(before)), naive)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "float8_e4m3fn", "complex64"])
def test_every_kind_of_number(dtype):
    values = torch.tensor([[0.0, 1.5, -0.25], [100.0, 7.0, 2.0]])
    before, now = values.to(getattr(torch, dtype)), (values / 2).to(getattr(torch, dtype))
    found = difference(now, before)
    assert (found.dtype, found.shape) == (dtype, (2, 3))
    wide = torch.complex64 if dtype == "complex64" else torch.float64
    expected = now.to(wide) - before.to(wide)
    if dtype != "complex64":
        assert found.min == pytest.approx(float(expected.min()), rel=0.01)
    assert found.norm == pytest.approx(float(expected.abs().square().sum().sqrt()), rel=0.01)


@pytest.mark.parametrize(
    "make", [jnp.asarray, torch.tensor, keras.Variable, np.asarray], ids=["jax", "torch", "keras", "numpy"]
)
def test_every_library(make):
    before, now = np.array([1.0, 2.0, 3.0], "float32"), np.array([1.5, 2.0, 2.0], "float32")
    found = difference(make(now), make(before))
    alike(found, summarise(now - before))


def test_where_it_does_not_lie_in_one_piece():
    before = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    found = difference(before * 2, before)
    alike(found, summarise(before))


def look_twice(make, change):
    """Keep a tensor and look at its difference; change it; keep and look again."""
    look, tensor, kept = Look(), make(), {}
    look.keep_all({"": tensor}, kept)
    tensor += 1
    look.add_differences({"": tensor}, kept)
    first = kept[""]
    change(tensor)
    look.keep_all({"": tensor}, kept)
    assert kept[""] is first, "the memory is used again"
    tensor += 1
    look.add_differences({"": tensor}, kept)
    return look.fetch()[""]


CHANGES = {
    "none": lambda tensor: None,
    "in place": lambda tensor: tensor.fill_(2),
    "data": lambda tensor: tensor.data.fill_(2),
    "one element": lambda tensor: tensor.__setitem__(777, 2),
    "one element of data": lambda tensor: tensor.data.__setitem__(777, 2),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("has_numba", [True, False], ids=["compiled", "plain"])
def test_what_happens_between_two_looks_is_no_difference(change, has_numba, monkeypatch):
    if not has_numba:
        monkeypatch.setattr(of_torch, "_get_memory", lambda: None)
        monkeypatch.setattr(of_numpy, "_pass", of_numpy.plain_pass)
    found = look_twice(lambda: torch.zeros(100_000), CHANGES[change])
    assert (found.min, found.max, found.count) == (1, 1, 100_000)


@pytest.mark.parametrize("has_numba", [True, False], ids=["compiled", "plain"])
def test_others_are_looked_at_while_copies_are_made(has_numba, monkeypatch):
    if not has_numba:
        monkeypatch.setattr(of_torch, "_get_memory", lambda: None)
        monkeypatch.setattr(of_numpy, "_pass", of_numpy.plain_pass)
    torch.manual_seed(0)
    sizes = {"large": 40_000, "like it": 40_000, "alone": 30_000, "small": 5, "empty": 0}
    weights = {name: torch.randn(size) for name, size in sizes.items()}
    weights |= {"int": torch.arange(3), "half": torch.randn(4).half(), "complex": torch.ones(2, dtype=torch.complex64)}
    gradients = {("gradient", name): torch.randn(size) for name, size in sizes.items() if name != "alone"}
    gradients[("gradient", "other length")] = torch.randn(50_000)
    gradients[("gradient", "strided")] = torch.randn(80_000)[::2]
    expected = {key: summarise(tensor) for key, tensor in gradients.items()}
    look, kept = Look(), {}
    assert not look.keep_all(weights, kept, gradients)
    before = {name: tensor.clone() for name, tensor in weights.items()}
    for tensor in weights.values():
        tensor += 1
    assert not look.add_differences(weights, kept)
    found = look.fetch()
    for key, summary in expected.items():
        assert found[key] == summary
    for name, tensor in weights.items():
        alike(found[name], summarise(tensor - before[name]))


@pytest.mark.parametrize("make", [np.ones, jnp.ones, torch.ones], ids=["numpy", "jax", "torch"])
def test_what_cannot_be_looked_at_or_copied_meanwhile_is_told(make):
    look, kept = Look(), {}
    errors = look.keep_all({"w": make(3), "bad": "text"}, kept, {"g": make(4), "worse": object()})
    assert errors.keys() == {"bad", "worse"}
    assert all(isinstance(error, LookError) for error in errors.values())
    assert kept.keys() == {"w"}
    assert look.fetch().keys() == {"g"}


def test_another_shape_is_told_and_another_copy_made():
    for make in (torch.zeros, jnp.zeros, np.zeros):
        look, kept = Look(), {}
        look.keep_all({"w": make(3)}, kept)
        first = kept["w"]
        (error,) = look.add_differences({"w": make(4)}, kept).values()
        assert isinstance(error, LookError)
        assert "no longer" in str(error)
        look.keep_all({"w": make(4)}, kept)
        assert kept["w"] is not first


def test_another_order_in_memory():
    before = torch.arange(24.0).reshape(1, 2, 3, 4)
    look, kept = Look(), {}
    look.keep_all({"w": before}, kept)
    other = before.to(memory_format=torch.channels_last)
    assert look.add_differences({"w": other}, kept), "what is kept lies in another order"
    look.keep_all({"w": other}, kept)
    assert not look.add_differences({"w": other}, kept)
    assert look.fetch()["w"].zero_share == 1


def test_no_difference_of_truth_values():
    for one in (torch.tensor([True]), np.array([True])):
        look, kept = Look(), {}
        look.keep_all({"w": one}, kept)
        assert isinstance(look.add_differences({"w": one}, kept)["w"], LookError)


def test_one_that_cannot_be_kept_does_not_stop_the_others():
    look, kept = Look(), {"text": 1}
    errors = look.keep_all({"text": "no tensor", "weight": torch.zeros(2)}, kept)
    assert list(errors) == ["text"]
    assert list(kept) == ["weight"]


def test_of_complex_numbers_it_is_the_magnitude_of_the_difference():
    for make in (torch.tensor, np.asarray):
        found = difference(make([1j, 2.0 + 0j]), make([1.0 + 0j, 2j]))
        assert (found.min, found.max) == (pytest.approx(2**0.5), pytest.approx(8**0.5))
