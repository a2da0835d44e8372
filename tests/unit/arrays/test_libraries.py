"""What `Logs` needs of each array library: numbers, snapshots, sums, and one transfer."""

import math
import types

import jax
import jax.numpy
import numpy as np
import pytest
import torch
from tests.names import without_address

from onlooker.arrays import find_library
from onlooker.arrays import jax as jax_arrays
from onlooker.arrays import numpy as numpy_arrays
from onlooker.arrays import torch as torch_arrays
from onlooker.core.errors import LogError
from onlooker.core.numbers import Numbers

LIBRARIES = {
    "torch": (torch_arrays, torch.tensor),
    "numpy": (numpy_arrays, np.array),
    "jax": (jax_arrays, jax.numpy.array),
}


@pytest.fixture(params=LIBRARIES)
def kind(request):
    return LIBRARIES[request.param]


@pytest.fixture
def library(kind):
    return kind[0]


@pytest.fixture
def array(kind):
    return kind[1]


def number_of(library, array):
    return library.fetch([array])[0]


def test_it_is_found_by_the_values_type(library, array):
    assert find_library(type(array(1.0))) is library
    assert library.has_type(type(array(1.0)))
    assert not library.has_type(float)


@pytest.mark.parametrize(
    "value", [1.0, 1, "a", None, [1.0], object(), types.SimpleNamespace(shape=())], ids=without_address
)
def test_what_is_no_array(value):
    assert find_library(type(value)) is None


def test_subclasses_and_scalars_are_found_too():
    assert find_library(torch.nn.Parameter) is torch_arrays
    assert find_library(np.float32) is numpy_arrays
    assert find_library(type("Mine", (np.ndarray,), {})) is numpy_arrays


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_a_snapshot_has_no_shape(library, array, shape):
    snapshot = library.snapshot(array(0.5).reshape(shape))
    assert tuple(snapshot.shape) == ()
    assert number_of(library, snapshot) == 0.5


def test_sums_are_taken_in_float32_or_wider(kind, library):
    """A thousand times 0.1 in half precision is not 100: from 256 on, adding 0.1 changes nothing."""
    dtypes = {"torch": torch.bfloat16, "numpy": np.float16, "jax": jax.numpy.bfloat16}
    dtype = next(dtypes[name] for name, entry in LIBRARIES.items() if entry is kind)
    total = None
    for _ in range(4000):
        value = library.snapshot(kind[1](0.125, dtype=dtype))
        total = library.add_all(0.0 if total is None else total, [value], [1.0])
    assert number_of(library, total) == 500.0


def test_integers_and_bools_become_numbers(library, array):
    for value, expected in ((3, 1.5), (True, 0.5)):
        assert number_of(library, library.add_all(0.0, [library.snapshot(array(value))], [0.5])) == expected


def test_sums_and_products_are_new_arrays(library, array):
    value = library.snapshot(array(2.0))
    total = library.add_all(0.0, [value], [3.0])
    assert number_of(library, total) == 6.0
    assert number_of(library, library.add(total, value, 0.5)) == 7.0
    assert (number_of(library, value), number_of(library, total)) == (2.0, 6.0)


@pytest.mark.parametrize("start", [0.0, 0.3])
@pytest.mark.parametrize("count", [1, 4, 5, 32, 33, 70])
def test_many_are_added_as_if_one_by_one(library, array, count, start):
    values = [library.snapshot(array(1 / (number + 3))) for number in range(count)]
    weights = [float(1 + number % 7) for number in range(count)]
    total = start
    for value, weight in zip(values, weights, strict=True):
        total = library.add_all(total, [value], [weight])
    found = number_of(library, library.add_all(start, values, weights))
    assert found == number_of(library, total)
    assert found == pytest.approx(start + sum(w / (n + 3) for n, w in enumerate(weights)), rel=1e-5)


@pytest.mark.parametrize("place", [0, 6])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_among_many_stays_what_it_is(library, array, place, value):
    values = [library.snapshot(array(value if number == place else 1.0)) for number in range(7)]
    assert str(number_of(library, library.add_all(0.0, values, [2.0] * 7))) == str(value)
    assert number_of(library, library.add_all(0.0, values[1:6], [1.0] * 5)) == 5.0


def test_only_arrays_of_jax_stay_where_they_are():
    for value in (torch.tensor(1.0), np.array(1.0), np.float64(1.0)):
        assert not find_library(type(value)).can_stay(value)
        assert not find_library(type(value)).is_gone(value)
    value = jax.numpy.float32(1.0)
    assert jax_arrays.can_stay(value)
    for other in (value.reshape(1), jax.numpy.int32(1), jax.numpy.bfloat16(1.0), jax.numpy.complex64(1.0)):
        assert not jax_arrays.can_stay(other)  # its snapshot is another one
    assert not jax_arrays.is_gone(value)
    value.delete()
    assert jax_arrays.is_gone(value)


def test_several_come_together_in_order(library, array):
    values = [library.snapshot(array(float(number))) for number in range(5)]
    assert len({library.device(value) for value in values}) == 1
    fetched = library.fetch(values)
    assert fetched == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert {type(number) for number in fetched} == {float}
    assert library.fetch(values[3:4]) == [3.0]


def test_nan_and_infinity_come_through(library, array):
    fetched = library.fetch([library.snapshot(array(number)) for number in (math.nan, math.inf, -math.inf)])
    assert math.isnan(fetched[0])
    assert fetched[1:] == [math.inf, -math.inf]


def test_an_array_of_several_is_no_number(library, array):
    for value in (array([1.0, 2.0]), array([])):
        with pytest.raises(LogError, match=r"'loss' was logged as an array of shape \([02],\)"):
            Numbers(find_library).read("loss", value)


def test_what_is_no_real_number_is_none():
    for value in (torch.tensor(1j), np.array(1j), np.array("text"), np.str_("text"), np.array(None)):
        with pytest.raises(LogError, match=r"'loss' was logged as an array of shape \(\)"):
            Numbers(find_library).read("loss", value)


def test_numbers_that_are_here_are_read_at_once():
    for value in (torch.tensor(0.5), torch.tensor([0.5], requires_grad=True), np.float32(0.5), np.array([[0.5]])):
        number = Numbers(find_library).read("loss", value)
        assert type(number) is float
        assert number == 0.5


def test_tensors_keep_a_snapshot_without_a_graph():
    value = torch.tensor(1.0, requires_grad=True)
    logged = (value * 2).clone()
    snapshot = torch_arrays.snapshot(logged)
    with torch.no_grad():
        logged.add_(1)
    assert snapshot.item() == 2.0
    assert snapshot.dtype is torch.float64
    assert snapshot.grad_fn is None
    assert not snapshot.requires_grad


def test_a_numpy_snapshot_is_a_copy():
    value = np.array([1.0])
    snapshot = numpy_arrays.snapshot(value)
    value[0] = 5.0
    assert snapshot == 1.0


def test_in_float64_jax_adds_many_with_weights_in_float64():
    with jax.enable_x64(True):
        arrays, weights = [jax.numpy.float64(1 / (number + 3)) for number in range(40)], [0.1, 2**24 + 1] * 20
        found = float(jax_arrays.add_all(0.0, arrays, weights))
        expected = sum(float(array) * weight for array, weight in zip(arrays, weights, strict=True))
    assert found == pytest.approx(expected, rel=1e-14)
