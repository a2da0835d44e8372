"""Weights as callbacks ask for them: of each library NumPy's arrays or its own, views or copies."""

import os
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

from onlooker.arrays.handed_out import handed_out
from onlooker.core.errors import LookError

MAKERS = {"torch": torch.tensor, "numpy": np.array, "jax": jnp.array}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def given(array, numpy=True, copy=False):
    return handed_out({"layer.weight": array}, numpy, copy)["layer.weight"]


def address(array):
    """Return where an array's memory begins."""
    if isinstance(array, torch.Tensor):
        return array.data_ptr()
    return array.ctypes.data if isinstance(array, np.ndarray) else array.unsafe_buffer_pointer()


def test_a_view_shares_the_memory_and_a_copy_does_not(make):
    array = make([[1.0, -2.0], [0.0, 3.0]])
    view, copy = given(array), given(array, copy=True)
    for one in (view, copy):
        assert isinstance(one, np.ndarray)
        assert one.tolist() == [[1.0, -2.0], [0.0, 3.0]]
    assert str(view.dtype) == str(copy.dtype) == str(array.dtype).removeprefix("torch.")
    assert address(view) == address(array) != address(copy)
    copy[0, 0] = 7.0
    assert float(array[0, 0]) == 1.0


def test_a_copy_of_the_librarys_own_kind(make):
    array = make([[1.0, -2.0], [0.0, 3.0]])
    copy = given(array, numpy=False, copy=True)
    assert type(copy) is type(array)
    assert copy.dtype == array.dtype
    assert np.asarray(copy).tolist() == [[1.0, -2.0], [0.0, 3.0]]
    assert address(copy) != address(array)


@pytest.mark.parametrize("change", ["in place", "donated"])
def test_a_copy_stays_as_it_is_and_a_view_in_place_does_not(change):
    if change == "in place":
        for array in (torch.zeros(3), np.zeros(3)):
            own, numpys, view = given(array, False, True), given(array, True, True), given(array)
            array += 1
            assert (own.tolist(), numpys.tolist(), view.tolist()) == ([0.0] * 3, [0.0] * 3, [1.0] * 3)
        return
    step = jax.jit(lambda array: array + 1, donate_argnums=0)
    array = jnp.zeros(3)
    own, numpys = given(array, False, True), given(array, True, True)
    after = step(array)
    assert (own.tolist(), numpys.tolist(), after.tolist()) == ([0.0] * 3, [0.0] * 3, [1.0] * 3)


def test_a_view_of_jax_is_read_only_and_outlives_a_donation():
    array = jnp.zeros(3)
    view = given(array)
    assert not view.flags.writeable
    jax.jit(lambda array: array + 1, donate_argnums=0)(array)
    assert view.tolist() == [0.0] * 3


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("library", MAKERS)
def test_types_that_numpy_does_not_know_become_float32(library, dtype, copy):
    dtypes = {"torch": torch, "jax": jnp, "numpy": ml_dtypes}[library]
    exact = [0.5, -1.5, 0.0, 2.0]
    array = {"torch": torch.tensor, "jax": jnp.array, "numpy": np.array}[library](exact, dtype=getattr(dtypes, dtype))
    found = given(array, copy=copy)
    assert found.dtype == np.float32
    assert found.tolist() == exact
    own = given(array, numpy=False, copy=True)
    assert own.dtype == array.dtype


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "int64", "bool", "complex64"])
def test_types_that_numpy_knows_stay(make, dtype):
    with jax.enable_x64(True):
        kinds = torch if make is torch.tensor else np
        array = make([1, 0, 1], dtype=getattr(kinds, dtype))
        found = given(array)
        assert found.dtype == dtype
        assert address(found) == address(array)


SPARSE = torch.tensor([[0.0, 2.0], [0.0, -1.0]])


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize(
    ("tensor", "numbers"),
    [
        (lambda: SPARSE.to_sparse(), [[0.0, 2.0], [0.0, -1.0]]),
        (lambda: SPARSE.to_sparse_csr(), [[0.0, 2.0], [0.0, -1.0]]),
        (lambda: SPARSE.bfloat16().to_sparse(), [[0.0, 2.0], [0.0, -1.0]]),
        (lambda: torch.quantize_per_tensor(torch.tensor([0.5, -0.5]), 0.5, 0, torch.qint8), [0.5, -0.5]),
        (lambda: torch.tensor([1 + 2j]).conj(), [1 - 2j]),
        (lambda: torch.tensor([1 + 2j], dtype=torch.complex32), [1 + 2j]),
        (lambda: torch.ones(2)._neg_view(), [-1.0, -1.0]),
        (lambda: torch.ones(2, requires_grad=True), [1.0, 1.0]),
        (lambda: torch.nn.Parameter(torch.ones(2)), [1.0, 1.0]),
        (lambda: torch.tensor(2.0), 2.0),
        (lambda: torch.empty(0, 3), []),
        (lambda: torch.arange(4.0).reshape(2, 2).T, [[0.0, 2.0], [1.0, 3.0]]),
    ],
    ids=[
        "coo",
        "csr",
        "coo bfloat16",
        "quantised",
        "conj",
        "complex32",
        "neg",
        "graph",
        "parameter",
        "0-d",
        "empty",
        "T",
    ],
)
@pytest.mark.filterwarnings("ignore:.*quantize.*:UserWarning", "ignore:Sparse CSR:UserWarning")
@pytest.mark.filterwarnings("ignore:ComplexHalf:UserWarning", "ignore:Sparse:UserWarning")
def test_kinds_of_tensors(tensor, numbers, copy):
    tensor = tensor()
    found = given(tensor, copy=copy)
    assert type(found) is np.ndarray
    assert found.tolist() == numbers
    own = given(tensor, numpy=False, copy=True)
    assert (own.layout, own.dtype, own.requires_grad) == (tensor.layout, tensor.dtype, False)


def test_a_scalar_of_numpy_becomes_an_array():
    assert isinstance(given(np.float64(2.0)), np.ndarray)


class Elsewhere(torch.Tensor):
    """A tensor whose numbers are somewhere else."""

    @staticmethod
    def __new__(cls):
        return torch.Tensor._make_wrapper_subclass(cls, (2,))

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), named=None):
        return arguments[0]


def donated():
    array = jnp.ones(3)
    jax.jit(lambda array: array + 1, donate_argnums=0)(array)
    return array


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize(
    ("make_one", "words"),
    [
        (lambda: torch.empty(2, device="meta"), "cannot be had as an array of NumPy: it has no memory (device 'meta')"),
        (lambda: torch.empty(2, device="meta").bfloat16(), "it has no memory (device 'meta')"),
        (
            lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]),
            "it is a nested tensor, whose rows differ",
        ),
        (Elsewhere, "it is a Elsewhere: "),
        (donated, "it was donated to a compiled function, and its memory is gone"),
        (lambda: "a word", "is a str; expected a tensor of PyTorch, JAX or NumPy"),
    ],
    ids=["meta", "meta bfloat16", "nested", "elsewhere", "donated", "word"],
)
def test_what_cannot_be_an_array_is_refused_by_name(make_one, words):
    with pytest.raises(LookError) as caught:
        handed_out({"good": np.ones(2), "layer.weight": make_one()}, True, False)
    assert str(caught.value).startswith("'layer.weight' ")
    assert words in str(caught.value)


@pytest.mark.parametrize("copy", [False, True])
def test_of_a_distributed_tensor_it_is_the_part_in_this_process(copy):
    distributed = pytest.importorskip("torch.distributed.tensor", reason="older versions have it elsewhere")
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
        tensor = distributed.distribute_tensor(torch.arange(4.0), mesh)
        found = given(tensor, copy=copy)
        assert type(found) is np.ndarray
        assert found.tolist() == [0.0, 1.0, 2.0, 3.0]
        assert (address(found) == tensor.to_local().data_ptr()) is not copy
        assert type(given(tensor, numpy=False, copy=True)) is type(tensor)
    finally:
        torch.distributed.destroy_process_group()


PROCESS = """
import sys
import jax, numpy
from onlooker.arrays.handed_out import handed_out
from onlooker.core.errors import LookError

jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
mesh = jax.sharding.Mesh(numpy.array(jax.devices()), ("x",))
for axes in ((), ("x",)):
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
    array = jax.make_array_from_process_local_data(sharding, numpy.ones(2), global_shape=(2 + 2 * len(axes),))
    try:
        print(handed_out({"layer.weight": array}, numpy=True, copy=False)["layer.weight"].tolist())
    except LookError as error:
        print(error)
"""


def test_an_array_of_jax_in_several_processes():
    """One that each process has whole can be had; one of which each has a part is refused."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{found.getsockname()[1]}"
    command, environment = [sys.executable, "-c", PROCESS, place], {**os.environ, "JAX_PLATFORMS": "cpu"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    processes = [subprocess.Popen([*command, str(rank)], **pipes) for rank in range(2)]
    for process in processes:
        told, errors = process.communicate(timeout=120)
        assert told.splitlines() == [
            "[1.0, 1.0]",
            "'layer.weight' cannot be had as an array of NumPy: other processes have parts of it",
        ], errors


def test_a_weight_without_memory_has_copies_without_memory():
    assert given(torch.empty(2, device="meta"), numpy=False, copy=True).is_meta
