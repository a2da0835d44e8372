"""`Summary`: what it says of a tensor, how two are added up, and how far its quantiles may be from the true ones."""

import json
import math
import pickle

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
from onlooker.core.summary import BINS, Summary, bin_bounds
from onlooker.inside import Look, summarise, torch_device, torch_groups
from onlooker.inside import jax as of_jax

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
ARRAYS = arrays.arrays(np.float32, st.integers(0, 60), elements=FLOATS)
FINITE = arrays.arrays(np.float32, st.integers(1, 60), elements=st.floats(-(2**20), 2**20, width=32))


def about(summary):
    """What two ways to the same summary agree in, but for rounding."""
    values = summary.as_dict()
    return {
        name: pytest.approx(value, rel=1e-9, abs=1e-30, nan_ok=True) if isinstance(value, float) else value
        for name, value in values.items()
        if name not in ("shape", "dtype")
    }


def test_what_it_says():
    summary = summarise(np.array([[1.0, -2.0], [0.0, math.nan], [math.inf, 4.0]], dtype="float32"))
    assert (summary.count, summary.shape, summary.dtype) == (6, (3, 2), "float32")
    assert (summary.min, summary.max, summary.mean) == (-2.0, 4.0, 0.75)
    assert summary.std == pytest.approx(np.std([1, -2, 0, 4]))
    assert summary.norm == pytest.approx(math.sqrt(21))
    assert summary.rms == pytest.approx(math.sqrt(21 / 4))
    assert (summary.zeros, summary.zero_share, summary.nan, summary.inf, summary.finite) == (1, 1 / 6, 1, 1, 4)
    assert sum(summary.bins) == 3
    assert repr(summary) == (
        "<Summary of 3×2 float32: -2 to 4, mean 0.75 ± 2.17, norm 4.58, 17% zero, 1 NaN, 1 infinite>"
    )


def test_bins_may_be_given_as_an_array_and_are_a_list_when_read():
    def made():
        bins = np.arange(BINS)
        return Summary(BINS, (BINS,), "float32", 0.0, 1.0, 2.0, 3.0, 4, 0, 0, bins)

    assert isinstance(made().given_bins, np.ndarray)
    for summary in (
        made(),
        pickle.loads(pickle.dumps(made())),
        Summary.from_dict(json.loads(json.dumps(made().as_dict()))),
    ):
        assert summary.bins == list(range(BINS))
        assert {type(one) for one in summary.bins} == {int}
        assert (summary.shape, summary) == ((BINS,), made())
    assert isinstance(pickle.loads(pickle.dumps(made())).given_bins, list)
    assert (made() + made()).bins == list(range(0, 2 * BINS, 2))


class Earlier:
    """A summary as it was pickled before the bins could be given as an array: the values of its slots."""

    def __init__(self, summary):
        self.values = {**summary.as_dict(), "shape": summary.shape}

    def __reduce__(self):
        return Summary.__new__, (Summary,), (None, self.values)


def test_pickles_of_earlier_versions_can_be_read():
    summary = summarise(np.array([[0.0, 3.0, -4.0, np.nan]], dtype="float32"))
    read = pickle.loads(pickle.dumps(Earlier(summary)))
    assert (type(read), read, read.shape, read.bins) == (Summary, summary, (1, 4), summary.bins)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 3), "float32"), "<Summary of 0×3 float32: empty>"),
        (np.array([math.nan, math.inf]), "<Summary of 2 float64: nothing finite, 1 NaN, 1 infinite>"),
        (np.float32(3), "<Summary of 1 float32: 3 to 3, mean 3 ± 0, norm 3, 0% zero>"),
        (np.array([True, False]), "<Summary of 2 bool: 0 to 1, mean 0.5 ± 0.5, norm 1, 50% zero>"),
        (np.array([-7, 7]), "<Summary of 2 int64: -7 to 7, mean 0 ± 7, norm 9.9, 0% zero>"),
        (
            np.array([3 + 4j, 0]),
            "<Summary of 2 complex128 by magnitude: 0 to 5, mean 2.5 ± 2.5, norm 5, 50% zero>",
        ),
    ],
    ids=["empty", "nothing finite", "a single number", "truth values", "integers", "complex"],
)
def test_what_it_says_of_other_kinds_of_numbers(array, words):
    assert repr(summarise(array)) == words


@pytest.fixture(
    params=[
        "compiled",
        "plain",
        "wide",
        "torch",
        "torch device",
        "without float64",
        "jax",
        "jax device",
        "keras",
        "difference",
    ]
)
def backend(request, monkeypatch):
    """Each way to a summary."""
    if request.param == "plain":
        monkeypatch.setattr(of_numpy, "_pass", of_numpy.plain_pass)
    if request.param == "without float64":
        monkeypatch.setattr(torch_groups, "has_float64", lambda device: False)
    return BACKENDS[request.param]


def _on_torch_device(array):
    return torch_device.finish([torch_device.Row(torch.from_numpy(array), "float32")])[0]


def _difference(array):
    look = Look()
    look.keep_all({"": np.zeros_like(array)}, kept := {})
    look.add_differences({"": array}, kept)
    return look.fetch()[""]


BACKENDS = {
    "compiled": summarise,
    "plain": summarise,
    "wide": lambda array: summarise(array.astype("float64")),
    "torch": lambda array: summarise(torch.from_numpy(array)),
    "torch device": _on_torch_device,
    "without float64": _on_torch_device,
    "jax": lambda array: summarise(jnp.asarray(array)),
    "jax device": lambda array: of_jax._of_row(jax.device_get(of_jax._row(jnp.asarray(array))), array.shape, "float32"),
    "keras": lambda array: summarise(keras.Variable(array)),
    "difference": _difference,
}


@pytest.mark.parametrize("count", [1000, 100_001])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 100.0, 1e4, 1e5, 1e6])
def test_how_right_the_spread_is_where_the_mean_dwarfs_it(backend, spread, count):
    array = np.random.default_rng(0).normal(1e6, spread, count).astype("float32")
    true, found = array.astype("float64").std(), backend(array)
    assert found.std**2 == pytest.approx(true**2, rel=2e-6, abs=1e-12 * found.rms**2)
    # What the documentation makes of it.
    if spread >= 100:
        assert found.std == pytest.approx(true, rel=1e-3)
    both = found + found
    assert both.std**2 == pytest.approx(true**2, rel=2e-6, abs=1e-12 * found.rms**2)


def test_a_constant_has_next_to_no_spread(backend):
    for value in (0.1, 1 / 3, 1e6 + 0.1, -7.7):
        found = backend(np.full(100_001, value, dtype="float32"))
        assert found.std <= 1e-6 * abs(value)


def test_the_bins_lie_side_by_side():
    bounds = [bin_bounds(index) for index in range(BINS)]
    assert bounds[0][0] == -math.inf
    assert bounds[-1][1] == math.inf
    assert [high for _, high in bounds[:-1]] == [low for low, _ in bounds[1:]]


@given(ARRAYS)
def test_each_number_is_in_its_bin(array):
    summary = summarise(array)
    numbers = array[np.isfinite(array) & (array != 0)].astype(float)
    for index, count in enumerate(summary.bins):
        low, high = bin_bounds(index)
        # Half open, away from zero.
        inside = (numbers >= low) & (numbers < high) if low >= 0 else (numbers > low) & (numbers <= high)
        assert count == np.count_nonzero(inside), (index, low, high)


@given(ARRAYS, ARRAYS)
def test_the_sum_of_two_is_the_summary_of_both(first, second):
    together = summarise(np.concatenate([first, second]))
    assert about(summarise(first) + summarise(second)) == {
        name: value for name, value in together.as_dict().items() if name not in ("shape", "dtype")
    }


def test_a_sum_of_several_shapes_and_types():
    summary = summarise(np.ones(3, "float32")) + summarise(np.ones((2, 2), "float64"))
    assert (summary.shape, summary.dtype, summary.count) == (None, "mixed", 7)
    same = summarise(np.ones(3, "float32")) + summarise(np.ones(3, "float32"))
    assert (same.shape, same.dtype) == ((3,), "float32")
    with pytest.raises(TypeError):
        same + 1


@given(FINITE, st.floats(0, 1))
def test_quantiles_are_right_up_to_a_factor_of_two(array, share):
    found = summarise(array).quantile(share)
    # Between the neighbours that may be meant: which of them a quantile is, is a matter of convention.
    ordered = np.sort(array.astype(float))
    at = share * len(ordered)
    low, high = ordered[max(math.ceil(at) - 1, 0)], ordered[min(math.ceil(at), len(ordered) - 1)]
    tiny = 2.0**-27
    lower = low / 2 if low > tiny else low * 2 - tiny
    upper = high * 2 if high > tiny else high / 2 + tiny
    if abs(low) >= 8 or abs(high) >= 8:  # beyond the bins it lies between the bin's bound and the extreme
        lower, upper = min(lower, float(array.min())), max(upper, float(array.max()))
    assert lower <= found <= upper


def test_the_ends_are_exact():
    summary = summarise(np.array([-3.7, 0.0, 0.1, 55.5], dtype="float32"))
    assert (summary.quantile(0), summary.quantile(1)) == (summary.min, summary.max)
    assert summary.quantile(0.5) == 0.0
    with pytest.raises(ValueError, match="share from 0 to 1"):
        summary.quantile(1.5)


@pytest.mark.parametrize("array", [np.zeros(0, "float32"), np.array([math.nan]), np.array([math.inf, -math.inf])])
def test_without_a_finite_number(array):
    summary = summarise(array)
    assert summary.count == len(array)
    for value in (
        summary.min,
        summary.max,
        summary.mean,
        summary.std,
        summary.norm,
        summary.rms,
        summary.quantile(0.5),
    ):
        assert math.isnan(value)
    assert sum(summary.bins) == 0
    assert summary == summarise(array)
    assert (summary + summarise(np.ones(1))).max == 1.0


@given(ARRAYS)
def test_as_plain_data_and_back(array):
    summary = summarise(array)
    text = json.dumps(summary.as_dict())
    back = Summary.from_dict(json.loads(text))
    assert back == summary
    assert back.shape == summary.shape
    assert summary != summarise(np.full(61, 3.0))


def test_numbers_whose_squares_are_too_large():
    summary = summarise(np.full(3, 1e200))
    assert (summary.std, summary.norm) == (math.inf, math.inf)
    assert "norm inf" in repr(summary)


def test_several_are_summed_up_as_numbers_are():
    parts = [summarise(np.arange(count, dtype="float32")) for count in (1, 2, 3)]
    assert sum(parts) == parts[0] + parts[1] + parts[2]
    with pytest.raises(TypeError):
        1 + parts[0]
