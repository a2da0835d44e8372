"""The same numbers from every array library, for every kind of number, and by both passes."""

import math
import subprocess
import sys

import jax
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
from onlooker.inside import Look, summarise, summarise_all, torch_device
from onlooker.inside import jax as of_jax
from onlooker.inside.kernel import compiled_pass

LENGTHS = st.one_of(st.integers(0, 40), st.sampled_from([16383, 16384, 32767, 32768, 32775, 65545]))
"""On both sides of where the pass works differently."""

ARRAYS = arrays.arrays(np.float32, LENGTHS, elements=st.floats(width=32), fill=st.just(0.5))
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1e-38, 3.4e38, -3.4e38, 2**-28, 2**-27, 7.999, 8.0, -8.0], dtype="float32"
)


def numbers(summary, rel=1e-12):
    """All that it says, sums up to rounding."""
    return {
        name: pytest.approx(value, rel=rel, abs=1e-300, nan_ok=True) if name in ("total", "squares") else value
        for name, value in summary.as_dict().items()
        if value == value
    }


@given(ARRAYS)
def test_both_passes_are_the_same_and_those_of_float64_too(array):
    of_numpy._pass = of_numpy.plain_pass
    try:
        plain = summarise(array)
    finally:
        of_numpy._pass = None
    compiled = summarise(array)
    assert of_numpy.get_pass() is compiled_pass
    assert plain.as_dict().keys() >= numbers(compiled).keys()
    wide = of_numpy._of_float64(array.astype("float64"), array.shape, "float32")
    # Where sums cancel, what is left depends on the order of adding.
    scale = float(np.abs(array[np.isfinite(array)].astype("float64")).sum())
    for other in (plain, wide):
        for name, value in compiled.as_dict().items():
            if name in ("total", "squares"):
                bound = 1e-12 * (scale if name == "total" else compiled.squares)
                assert getattr(other, name) == pytest.approx(value, abs=bound + 1e-300), name
            else:
                assert repr(getattr(other, name)) == repr(getattr(compiled, name)), name


@pytest.mark.parametrize("go_over", [compiled_pass, of_numpy.plain_pass], ids=["compiled", "plain"])
def test_special_numbers(go_over, monkeypatch):
    monkeypatch.setattr(of_numpy, "_pass", go_over)
    summary = summarise(SPECIAL)
    assert (summary.zeros, sum(summary.bins)) == (2, 12)
    assert (summary.min, summary.max) == (-np.float32(3.4e38), np.float32(3.4e38))
    assert summary.bins[32] == 3, "1e-45, 1e-38 and 2**-28"
    assert summary.bins[31] == 1, "-1e-45"
    assert summary.bins[33] == 1, "2**-27"
    assert (summary.bins[62], summary.bins[63], summary.bins[0]) == (1, 2, 2)


def test_where_an_array_does_not_lie_in_one_piece():
    array = np.arange(24, dtype="float32").reshape(4, 6)
    assert numbers(summarise(array.T[::2])) == numbers(summarise(array.T[::2].copy()))
    tensor = torch.arange(24.0).reshape(4, 6)
    assert numbers(summarise(tensor.T[1:])) == numbers(summarise(tensor.T[1:].clone()))


SAME = np.array([[0.0, 1.5, -0.25], [100.0, -0.0, 2.0**-20]], dtype="float32")
DTYPES = ["float16", "bfloat16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_of_number(dtype):
    tensor = torch.tensor(SAME).to(getattr(torch, dtype))
    summary = summarise(tensor)
    assert (summary.dtype, summary.shape) == (dtype, (2, 3))
    expected = summarise(tensor.to(torch.float32).numpy())
    assert numbers(summary) | {"dtype": "float32"} == numbers(expected)
    array = jnp.asarray(SAME).astype(getattr(jnp, "bool_" if dtype == "bool" else dtype))
    if str(array.dtype) == dtype:  # without its own switch, JAX has no 64 bits
        assert numbers(summarise(array)) == numbers(summary)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_eight_bits(dtype):
    values = torch.tensor([0.0, 1.5, -0.25, 24.0])
    for tensor in (values.to(getattr(torch, dtype)), jnp.asarray(values.numpy()).astype(getattr(jnp, dtype))):
        summary = summarise(tensor)
        assert summary.dtype == dtype
        assert (summary.min, summary.max, summary.zeros) == (-0.25, 24.0, 1)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.tensor([3 + 4j, 0j]), [5.0, 0.0]),
        (torch.tensor([[0.0, 2.0], [0.0, 0.0]]).to_sparse(), [0.0, 2.0, 0.0, 0.0]),
        (torch.quantize_per_tensor(torch.tensor([0.5, -0.5, 0.0]), 0.5, 0, torch.qint8), [0.5, -0.5, 0.0]),
        (torch.tensor(3.0), [3.0]),
        (torch.tensor([]), []),
        (torch.tensor([1.0, 2.0], requires_grad=True), [1.0, 2.0]),
        (torch.nn.Parameter(torch.tensor([1.0])), [1.0]),
        (torch.conj(torch.tensor([1 + 1j])).imag, [-1.0]),
        (keras.Variable(np.array([1.0, 2.0], "float32")), [1.0, 2.0]),
        (2.5, [2.5]),
        ([[1, 2], [3, 4]], [1, 2, 3, 4]),
    ],
    ids=["complex", "sparse", "quantised", "0-d", "empty", "graph", "parameter", "negated", "keras", "number", "list"],
)
def test_every_kind_of_tensor(tensor, expected):
    found, wanted = summarise(tensor), summarise(np.array(expected, dtype="float32"))
    assert numbers(found, rel=1e-6) | {"shape": 0, "dtype": 0} == numbers(wanted) | {"shape": 0, "dtype": 0}


@given(ARRAYS)
def test_the_pass_on_a_device(array):
    """The way of an accelerator, on the CPU: the same numbers, as far as its sums are in float32."""
    expected = summarise(array)
    (of_device,) = torch_device.finish([torch_device.Row(torch.from_numpy(array.copy()), "float32")])
    in_jax = (
        of_jax._of_row(jax.device_get(of_jax._row(jnp.asarray(array))), array.shape, "float32") if len(array) else None
    )
    scale = float(np.abs(array[np.isfinite(array)].astype("float64")).sum())
    is_tiny = bool(np.any((np.abs(array) < 2**-126) & (array != 0)))
    for found in (of_device, in_jax):
        if found is None or (found is in_jax and (is_tiny or scale > 1e18)):
            continue  # JAX takes what is too small for an exponent for zero, and adds up squares in float32
        assert (found.count, found.zeros, found.nan, found.inf) == (
            expected.count,
            expected.zeros,
            expected.nan,
            expected.inf,
        )
        assert list(found.bins) == list(expected.bins)
        assert repr(found.min) == repr(expected.min) or found.min == expected.min
        assert found.total == pytest.approx(expected.total, abs=1e-5 * scale + 1e-30)
        assert found.squares == pytest.approx(expected.squares, rel=1e-4, abs=1e-30)


def test_several_at_once_keep_their_names():
    found = summarise_all({"b": torch.ones(2), "a": jnp.zeros(3), "c": np.full(4, 2.0)})
    assert list(found) == ["b", "a", "c"]
    assert [summary.max for summary in found.values()] == [1.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ("words", "is a str; expected a tensor"),
        (object(), "expected a tensor of PyTorch, JAX or NumPy"),
        (np.array(["a"]), "holds no numbers"),
        (torch.empty(2, device="meta"), "has no memory"),
        (jax.random.key(0), "keys of a random generator"),
        (torch.nn.LazyLinear(2).weight, "has no values yet: it belongs to a lazy module"),
        (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "is a nested tensor"),
        ([[1, 2], [3]], "the lists cannot be made an array of numbers"),
        (np.ma.masked_equal([1, 2, 3], 2), r"is a masked array; look at its \.compressed\(\) numbers"),
    ],
    ids=["a word", "an object", "words", "meta", "keys", "lazy", "nested", "ragged lists", "masked"],
)
def test_what_cannot_be_looked_at(thing, message):
    with pytest.raises(LookError, match=message):
        summarise(thing)


def test_within_a_compiled_function():
    with pytest.raises(LookError, match="tracer"):
        jax.jit(lambda array: summarise(array).max)(jnp.ones(2))


def test_nothing_is_changed():
    tensor = torch.randn(100, requires_grad=True)
    before, version = tensor.detach().clone(), tensor._version
    summarise(tensor)
    assert torch.equal(tensor, before)
    assert tensor._version == version
    assert tensor.grad is None


def test_without_numba_the_numbers_are_the_same():
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy, onlooker.inside.numpy as of_numpy\n"
        "from onlooker.inside import summarise\n"
        "print(summarise(numpy.arange(-5, 5, dtype='float32')), of_numpy.get_pass().__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("> ") == [str(summarise(np.arange(-5, 5, dtype="float32")))[:-1], "plain_pass\n"]


@pytest.mark.slow
def test_where_nothing_compiled_can_be_kept_on_the_disk():
    program = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy, onlooker.inside.numpy as of_numpy\n"
        "from onlooker.inside import summarise\n"
        "print(summarise(numpy.arange(-5, 5, dtype='float32')).max, of_numpy.get_pass().__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "4.0 compiled_pass\n"


def test_it_loads_only_what_it_is_given():
    program = (
        "import sys, numpy, onlooker.inside as inside\n"
        "inside.summarise(numpy.ones(3))\n"
        "print([name for name in ('torch', 'jax', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_nan_is_told_apart_from_infinite():
    summary = summarise(torch.tensor([math.nan, math.inf, -math.inf, math.nan, math.nan, 1.0]))
    assert (summary.nan, summary.inf, summary.finite, summary.max) == (3, 2, 1, 1.0)


def test_a_look_keeps_what_was_there_when_it_was_added():
    look, tensor = Look(), torch.ones(3)
    look.add("a", tensor)
    tensor.zero_()
    look.add(("b", 1), jnp.full(2, 5.0))
    assert {key: summary.max for key, summary in look.fetch().items()} == {"a": 1.0, ("b", 1): 5.0}


def test_an_array_that_was_donated():
    array = jnp.ones(3)
    array.delete()
    with pytest.raises(LookError, match="was donated"):
        summarise(array)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            np.ma.masked_array([1.0]),
            "it is a masked array; look at its .compressed() numbers, or at its .filled() ones",
        ),
        (torch.empty(2, device="meta"), "it has no memory (device 'meta'), so there is nothing to look at"),
        ("a", "'a' is a str; expected a tensor of PyTorch, JAX or NumPy"),
    ],
)
def test_what_cannot_be_summarised_by_itself_has_no_name(given, words):
    with pytest.raises(LookError) as caught:
        summarise(given)
    assert str(caught.value) == words
