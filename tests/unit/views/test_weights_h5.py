"""The layout of `.weights.h5`: every tree comes back as it was, exactly, and nothing is half written."""

import math

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onlooker.core.errors import DataError
from onlooker.views.weights_h5 import read_weights, write_weights

plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text(max_size=5)
)
keys = st.one_of(st.integers(0, 9), st.text("ab/.µ", min_size=1, max_size=4))
trees = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, max_size=3),
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


@given(tree=st.dictionaries(st.text("abc", min_size=1), trees, max_size=3))
def test_plain_trees(tree, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("tree") / "a.weights.h5")
    write_weights(path, tree)
    assert read_weights(path) == tree


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64", "uint8", "bool", "complex64"])
def test_tensors(dtype, shape, tmp_path):
    tensor = (torch.randn(shape) * 3).to(getattr(torch, dtype))
    write_weights(str(tmp_path / "a.weights.h5"), {"x": tensor})
    back = read_weights(str(tmp_path / "a.weights.h5"))["x"]
    assert back.dtype == tensor.dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_tensors_of_eight_bits(dtype, tmp_path):
    tensor = torch.randn(6).to(getattr(torch, dtype))
    write_weights(str(tmp_path / "a.weights.h5"), {"x": tensor})
    back = read_weights(str(tmp_path / "a.weights.h5"))["x"]
    assert back.dtype == tensor.dtype
    assert torch.equal(back.view(torch.uint8), tensor.view(torch.uint8))


def test_arrays_of_numpy_and_jax(tmp_path):
    jax = pytest.importorskip("jax")
    tree = {
        "numpy": np.arange(6).reshape(2, 3)[:, ::2],
        "jax": jax.numpy.ones((2, 2), "bfloat16"),
        "number": np.float32(0.1),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    write_weights(str(tmp_path / "a.weights.h5"), tree)
    back = read_weights(str(tmp_path / "a.weights.h5"))
    np.testing.assert_array_equal(back["numpy"], tree["numpy"])
    assert isinstance(back["jax"], jax.Array)
    assert back["jax"].dtype == tree["jax"].dtype
    assert back["number"] == float(np.float32(0.1))
    assert type(back["number"]) is float
    assert torch.equal(back["parameter"], tree["parameter"].detach())


def test_not_a_number_and_infinity(tmp_path):
    write_weights(str(tmp_path / "a.weights.h5"), {"x": [float("nan"), float("inf")]})
    nan, inf = read_weights(str(tmp_path / "a.weights.h5"))["x"]
    assert math.isnan(nan)
    assert inf == math.inf


def test_one_part_alone(tmp_path):
    write_weights(str(tmp_path / "a.weights.h5"), {"one": torch.ones(1), "two": {"x": 2}})
    assert read_weights(str(tmp_path / "a.weights.h5"), only="two") == {"two": {"x": 2}}


def test_names_that_read_the_same_do_not_meet(tmp_path):
    tree = {"a/b": torch.ones(1), "a": {"b": torch.zeros(1)}, "c": {0: torch.ones(2), "0": torch.zeros(2)}}
    tree |= {"f": torch.ones(5), "f/g": torch.zeros(5)}
    tree |= {"d": {"": {"e": torch.ones(3)}, "e": torch.zeros(3)}, ".": torch.ones(4)}
    write_weights(str(tmp_path / "a.weights.h5"), tree)
    back = read_weights(str(tmp_path / "a.weights.h5"))
    assert str(back) == str(tree)


def test_what_cannot_be_kept_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.weights.h5"
    write_weights(str(path), {"x": 1})
    for bad, problem in (
        ({"x": {1.5: 2}}, r"x has the key 1\.5"),
        ({"x": {"y": object()}}, "x/y is a object, which a"),
        ({"x": np.array(["word"])}, "array of type <U4"),
    ):
        with pytest.raises(DataError, match=problem):
            write_weights(str(path), bad)
    assert read_weights(str(path)) == {"x": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.weights.h5"]


def test_another_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["layers"] = 1
    with pytest.raises(DataError, match=r"was not written by Onlooker \(it holds layers\)"):
        read_weights(str(tmp_path / "a.weights.h5"))
    (tmp_path / "b.weights.h5").write_bytes(b"damaged")
    with pytest.raises(OSError, match="file signature"):
        read_weights(str(tmp_path / "b.weights.h5"))
