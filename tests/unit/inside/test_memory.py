"""Many pieces of memory gone over together: cut and shared as one likes, the numbers are those of each piece alone."""

import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from onlooker.inside import Look, memory, summarise, torch_team
from onlooker.inside.numpy import plain_pass

SIZES = (1, 3, 70_000, 5, 300_000, 64, 131_072, 40_000)


@pytest.fixture
def short_rows(monkeypatch):
    monkeypatch.setattr(memory, "ROW", 65_536)
    monkeypatch.setattr(memory, "MUCH", 10_000)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def arrays(seed=0, sizes=SIZES):
    random = np.random.default_rng(seed)
    return [(random.standard_normal(size) * 10 ** random.uniform(-9, 2)).astype("float32") for size in sizes]


def addresses(some):
    return [one.ctypes.data for one in some]


def lengths(some):
    return [one.size for one in some]


def plain(found):
    return [(numbers, bins.tolist()) for numbers, bins in found]


def same(found, expected):
    for (numbers, bins), (other_numbers, other_bins) in zip(found, expected, strict=True):
        assert list(bins) == list(other_bins)
        assert numbers[:2] == other_numbers[:2]
        assert numbers[2] == pytest.approx(other_numbers[2], rel=1e-9, abs=1e-9)
        assert numbers[3] == pytest.approx(other_numbers[3], rel=1e-12)
        assert numbers[4:] == other_numbers[4:]


@pytest.mark.parametrize("count", [1, 2, 5, 50])
def test_the_numbers_of_each_piece(short_rows, count):
    some = arrays()
    some[2][::7] = 0
    some[4][5], some[4][-5] = np.nan, np.inf
    found = memory.go_over(addresses(some), lengths(some), threads=count)
    same(found, [plain_pass(one) for one in some])
    alone = memory.go_over(addresses(some), lengths(some))
    assert plain(found) == plain(alone), "with one thread they are the same to the last bit"


def test_a_row_without_a_finite_number(short_rows):
    (one,) = arrays(sizes=(200_000,))
    one[:65_536] = np.nan
    ((numbers, _),) = memory.go_over(addresses([one]), [one.size], threads=3)
    assert numbers[:2] == [one[65_536:].min(), one[65_536:].max()]
    assert numbers[5:] == [65_536, 0]


@pytest.mark.parametrize("count", [1, 4])
def test_differences(short_rows, count):
    some, others = arrays(), arrays(1)
    expected = [plain_pass(one - other) for one, other in zip(some, others, strict=True)]
    found = memory.go_over(addresses(some), lengths(some), addresses(others), threads=count)
    same(found, expected)


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("offset", [0, 1, 3], ids="{} elements off the line".format)
def test_what_is_copied_meanwhile(short_rows, count, offset):
    some, others = arrays(), arrays(1)
    some[2][:] = np.nan  # a block in which nothing is counted
    some[4][5], some[4][-5] = np.nan, np.inf
    others[4][7] = np.nan
    rooms = [np.full(size + 16, 7.0, dtype="float32") for size in SIZES]
    begins = [one.ctypes.data // 4 % 8 for one in rooms]  # the next line is 8 elements less that many away
    copies = [one[8 - begin + offset :][:size] for one, begin, size in zip(rooms, begins, SIZES, strict=True)]
    sources, targets = addresses(others), addresses(copies)
    sources[6] = targets[6] = 0  # nothing is copied beside this one
    found = memory.go_over(addresses(some), lengths(some), sources, targets, threads=count)
    same(found[:2] + found[3:], [plain_pass(one) for one in some[:2] + some[3:]])
    assert found[2][0][4:] == [0, SIZES[2], 0]
    for place, (copy, other) in enumerate(zip(copies, others, strict=True)):
        assert np.array_equal(copy, np.full_like(copy, 7.0) if place == 6 else other, equal_nan=True)
        assert (rooms[place] == 7.0).sum() == len(rooms[place]) - (0 if place == 6 else SIZES[place]), "nothing around"


def names_of_threads_that_work(job):
    """Return the threads of this process that have a share in what is done again and again for 0.2 seconds.

    Without Python's others, those of whoever runs the tests, and without those of other libraries that only wake up now
    and then: they take microseconds, and a share is tens of milliseconds.
    """

    def spent_ns():
        return {one.name: int((one / "schedstat").read_text().split()[0]) for one in Path("/proc/self/task").iterdir()}

    job()
    before = spent_ns()
    end = time.monotonic() + 0.2  # the system counts by ticks
    while time.monotonic() < end:
        job()
    pythons = {str(one.native_id) for one in threading.enumerate() if one is not threading.current_thread()}
    return {name for name, spent in spent_ns().items() if spent - before.get(name, 0) > 2_000_000} - pythons


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell what threads spend")
def test_pytorchs_own_threads_do_work(two_threads):
    (one,) = arrays(sizes=(3_000_000,))
    tensor = torch.zeros(3_000_000)
    pytorchs = names_of_threads_that_work(lambda: tensor.add_(1))
    found = names_of_threads_that_work(lambda: memory.go_over([one.ctypes.data], [one.size], threads=2))
    assert len(found) == 2
    assert found == pytorchs


def test_little_is_not_shared(monkeypatch):
    monkeypatch.setattr(torch_team, "_find_start", lambda: pytest.fail("other threads are asked for"))
    some = arrays(sizes=(1000, 2000))
    same(memory.go_over(addresses(some), lengths(some), threads=2), [plain_pass(one) for one in some])


def test_where_pytorch_has_no_team(short_rows, monkeypatch):
    monkeypatch.setattr(torch_team, "_find_start", lambda: None)
    some = arrays()
    same(memory.go_over(addresses(some), lengths(some), threads=4), [plain_pass(one) for one in some])


def test_without_openmp_there_is_no_team(monkeypatch):
    monkeypatch.setattr(torch.backends.openmp, "is_available", lambda: False)
    assert torch_team._find_start.__wrapped__() is None


def _look_in_another_process(queue):
    some = arrays()
    queue.put(memory.go_over(addresses(some), lengths(some), threads=4))


@pytest.mark.filterwarnings("ignore:.*fork.*")  # that is what is tried here
def test_in_a_process_that_was_forked(short_rows):
    some = arrays()
    here = memory.go_over(addresses(some), lengths(some), threads=4)
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    process = fork.Process(target=_look_in_another_process, args=(queue,))
    process.start()
    assert plain(queue.get(timeout=60)) == plain(here)
    process.join()


def test_torchs_tensors_together():
    tensors = {
        "plain": torch.randn(100, 30),
        "transposed": torch.randn(100, 30).T,
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "every second": torch.randn(100)[::2],
        "expanded": torch.randn(1).expand(50),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.0),
        "bfloat16": torch.randn(9).bfloat16(),
        "parameter": torch.nn.Parameter(torch.randn(7)),
        "negated": torch.randn(5, dtype=torch.complex64).conj().imag,
    }
    look = Look()
    assert not look.add_all(tensors)
    found = look.fetch()
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        alone = summarise(tensor.detach().resolve_neg().contiguous().clone())
        assert (found[name].shape, found[name].dtype, found[name].bins) == (alone.shape, alone.dtype, alone.bins)
        assert repr((found[name].min, found[name].max)) == repr((alone.min, alone.max))


def test_one_that_cannot_be_looked_at_does_not_stop_the_others():
    look = Look()
    errors = look.add_all({"meta": torch.empty(3, device="meta"), "text": "text", "good": torch.ones(3)})
    assert list(errors) == ["meta", "text"]
    assert list(look.fetch()) == ["good"]
