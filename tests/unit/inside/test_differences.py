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
from onlooker.core.errors import LookError
from onlooker.inside import Look, summarise

SIZES = st.one_of(st.integers(0, 40), st.integers(8190, 8200))


@st.composite
def pairs(draw):
    size = draw(SIZES)
    numbers = arrays.arrays(np.float32, size, elements=st.floats(width=32), fill=st.just(0.5))
    return draw(numbers), draw(numbers)


def difference(now, before):
    look = Look()
    look.add_difference("", now, kept := look.keep(before))
    return look.fetch()[""], kept


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
    compiled, kept = difference(now, before)
    assert np.array_equal(kept, now, equal_nan=True), "the copy is the tensor of now"
    alike(compiled, naive)
    usual, of_numpy._difference_pass = of_numpy._difference_pass, None
    try:
        lacks_numba = pytest.MonkeyPatch()
        lacks_numba.setattr(of_numpy, "_get_difference_pass", lambda: None)
        plain, kept = difference(now, before)
        lacks_numba.undo()
    finally:
        of_numpy._difference_pass = usual
    assert np.array_equal(kept, now, equal_nan=True)
    alike(plain, naive)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "float8_e4m3fn", "complex64"])
def test_every_kind_of_number(dtype):
    values = torch.tensor([[0.0, 1.5, -0.25], [100.0, 7.0, 2.0]])
    before, now = values.to(getattr(torch, dtype)), (values / 2).to(getattr(torch, dtype))
    found, _ = difference(now, before)
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
    found, _ = difference(make(now), make(before))
    alike(found, summarise(now - before))


def test_where_it_does_not_lie_in_one_piece():
    before = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    found, _ = difference(before * 2, before)
    alike(found, summarise(before))


def test_a_copy_that_is_still_right_is_not_made_again():
    look, tensor = Look(), torch.zeros(1000)
    kept = look.keep(tensor)
    tensor += 1
    look.add_difference("", tensor, kept)
    kept.array[1] = 7  # what would be overwritten if it was
    assert look.keep(tensor, kept) is kept
    assert kept.array[:3].tolist() == [1, 7, 1]


@pytest.mark.parametrize("change", ["in place", "data", "one element in place"])
def test_a_copy_is_refreshed_after_a_change(change):
    look, tensor = Look(), torch.zeros(1000)
    kept = look.keep(tensor)
    if change == "data":
        tensor.data.fill_(2)
    elif change == "in place":
        tensor.fill_(2)
    else:
        tensor[7] = 2
    look.add_difference("", tensor, look.keep(tensor, kept))
    assert look.fetch()[""].zero_share == 1


def test_another_shape():
    look = Look()
    kept = look.keep(torch.zeros(3))
    with pytest.raises(LookError, match="no longer the tensor"):
        look.add_difference("w", torch.zeros(4), kept)
    with pytest.raises(LookError):
        look.add_difference("w", jnp.zeros(4), look.keep(jnp.zeros(3)))
    assert look.keep(torch.zeros(4), kept) is not kept


def test_no_difference_of_truth_values():
    look = Look()
    for one in (torch.tensor([True]), np.array([True])):
        with pytest.raises(LookError):
            look.add_difference("w", one, look.keep(one))
