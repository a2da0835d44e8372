"""PyTorch's tensors on a device, on the CPU: the same numbers, a few operations for all, and nothing that waits."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import onlooker.inside.torch as of_torch
from onlooker.core.errors import LookError
from onlooker.inside import Look, summarise, torch_groups, torch_tables

SIZES = [(64, 3, 7, 7), (64,), (64, 64), (), (0,), (1000, 5), (3, 1, 2), (1025,), (1024,), (7, 4096)]
KINDS = ["float64", "without float64"]


class OnDevice(torch.Tensor):
    """A tensor that says it is on a device, and counts how often its numbers are fetched."""

    fetched = 0

    @property
    def is_cpu(self):
        return False

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), named=None):
        if function in (torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.numpy):
            OnDevice.fetched += 1
        return super().__torch_function__(function, types, arguments, named or {})


class Operations(TorchDispatchMode):
    """Counts what a device would have to be told: all operations but those that make another view."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        results = function._schema.returns
        if not any(result.alias_info and not result.alias_info.is_write for result in results):
            self.names[str(function)] += 1
        return function(*arguments, **(named or {}))


def on_device(tensor):
    return tensor.as_subclass(OnDevice)


def tensors(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {number: on_device(torch.randn(SIZES[number % 10], generator=generator)) for number in range(count)}


def look_at(some):
    look = Look()
    assert not look.add_all(some)
    return look.fetch()


def differences(now, before):
    look, kept = Look(), {}
    assert not look.keep_all(before, kept)
    assert not look.add_differences(now, kept)
    return look.fetch()


def same(found, expected, is_wide=True):
    """All is the same but the last digits of sums; without float64, whose digits are those of float32."""
    for name, value in expected.as_dict().items():
        is_sum = name in ("total", "squares")
        if is_sum:
            scale = expected.squares if name == "squares" else (expected.squares * expected.finite) ** 0.5
            bound = (1e-12 if is_wide else 2e-6) * scale + 1e-300
            assert getattr(found, name) == pytest.approx(value, rel=1e-12, abs=bound), name
        else:
            assert repr(found.as_dict()[name]) == repr(value), name


@pytest.fixture(params=KINDS)
def is_wide(request, monkeypatch):
    if request.param == "without float64":
        monkeypatch.setattr(torch_groups, "has_float64", lambda device: False)
    return request.param == "float64"


def cut_short(monkeypatch, row, rows, joined):
    monkeypatch.setattr(torch_groups, "ROW", row)
    monkeypatch.setattr(torch_groups, "ROWS", rows)
    monkeypatch.setattr(torch_groups, "_JOINED", joined)


@pytest.fixture
def few(monkeypatch):
    """Groups so short that there are many, cut in every way."""
    cut_short(monkeypatch, 64, 12, 24)


SOME = st.lists(arrays.arrays(np.float32, st.integers(0, 60), elements=st.floats(width=32)), max_size=12)


@given(SOME, st.booleans())
def test_each_of_many_is_what_it_is_alone(some, is_cut):
    with pytest.MonkeyPatch.context() as patch:
        if is_cut:
            cut_short(patch, 4, 6, 8)
        found = look_at({number: on_device(torch.from_numpy(one)) for number, one in enumerate(some)})
    for number, one in enumerate(some):
        same(found[number], summarise(one))


def test_each_size(is_wide):
    some = tensors(30)
    some[0][0, 0, 0, :3] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    some[1].fill_(torch.nan)
    some[2][:, 3] = 0
    some[5].abs_()
    for number, summary in look_at(some).items():
        same(summary, summarise(some[number].numpy()), is_wide)


def test_cut_in_every_way(is_wide, few):
    some = tensors(30)
    found = look_at(some)
    for number, summary in found.items():
        same(summary, summarise(some[number].numpy()), is_wide)


def test_differences_in_every_way(is_wide, few):
    now, before = tensors(30), tensors(30, seed=1)
    before[0] = on_device(torch.Tensor(before[0].contiguous(memory_format=torch.channels_last)))
    for number, summary in differences(now, before).items():
        same(summary, summarise((now[number] - before[number]).numpy()), is_wide)


@pytest.mark.parametrize("turned", [lambda one: one.T, lambda one: one[:, ::2], lambda one: one[1:]])
def test_where_it_does_not_lie_in_one_piece(turned):
    now, before = (turned(torch.randn(40, 50)) for _ in range(2))
    others = {"other": on_device(torch.ones(3))}
    expected = summarise((now - before).numpy())
    same(differences({"": on_device(now), **others}, {"": on_device(before), **others})[""], expected)
    same(differences({"": on_device(now), **others}, {"": on_device(before.contiguous()), **others})[""], expected)
    same(look_at({"": on_device(now), **others})[""], summarise(now.numpy()))


def test_the_last_channel_first_is_not_moved():
    one = on_device(torch.randn(2, 8, 30, 40).to(memory_format=torch.channels_last))
    some = {"one": one, "other": on_device(torch.ones(3))}
    look_at(some)
    with Operations() as operations:
        look_at(some)
    assert not operations.names["aten.clone.default"]
    same(look_at(some)["one"], summarise(one.numpy()))


DTYPES = ["float16", "bfloat16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool", "float8_e4m3fn"]


@pytest.mark.parametrize("dtype", [*DTYPES, "complex64"])
def test_every_kind_of_number_among_others(dtype):
    values = torch.tensor([[0.0, 1.5, -0.25], [100.0, 7.0, 2.0]])
    one = values.abs() if dtype in ("uint8", "complex64") else values
    one, before = one.to(getattr(torch, dtype)), (one / 2).to(getattr(torch, dtype))
    found = look_at({"one": on_device(one), **tensors(12)})["one"]
    assert (found.dtype, found.shape) == (dtype, (2, 3))
    same(found, summarise(one))
    same(look_at({"one": on_device(one)})["one"], summarise(one))
    if dtype != "bool":
        now = {"one": on_device(one), **tensors(12)}
        same(differences(now, {"one": on_device(before), **tensors(12)})["one"], differences({0: one}, {0: before})[0])


def test_large_integers_are_exact():
    one = torch.tensor([2**40 + 1, -(2**50) + 3, 5])
    found = look_at({"one": on_device(one)})["one"]
    assert (found.min, found.max) == (-(2**50) + 3, 2**40 + 1)


def test_without_float64_what_is_too_large_to_be_added_up_is_infinite(monkeypatch):
    monkeypatch.setattr(torch_groups, "has_float64", lambda device: False)
    found = look_at({"large": on_device(torch.full((9,), 3e38)), **tensors(3)})["large"]
    assert (found.max, found.finite, found.mean, found.norm) == (float(np.float32(3e38)), 9, np.inf, np.inf)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.conj(torch.tensor([1 + 1j])).imag,
        lambda: torch.quantize_per_tensor(torch.tensor([0.5, -0.5, 0.0]), 0.5, 0, torch.qint8),
    ],
    ids=["negated", "quantised"],
)
def test_what_is_not_plain(make):
    dense = make().dequantize() if make().is_quantized else make().resolve_neg()
    found = look_at({"one": on_device(make()), **tensors(3)})["one"]
    assert found.bins == summarise(dense.numpy()).bins


def test_one_that_cannot_be_looked_at_does_not_stop_the_others():
    some = {"meta": torch.empty(2, device="meta"), **tensors(12), "lazy": torch.nn.LazyLinear(2).weight}
    look, kept = Look(), {}
    assert {key: type(error) for key, error in look.add_all(some).items()} == {"meta": LookError, "lazy": LookError}
    assert list(look.fetch()) == list(range(12))
    look.keep_all(tensors(4), kept)
    errors = Look().add_differences({0: on_device(torch.ones(5)), **{key: tensors(4)[key] for key in (1, 2, 3)}}, kept)
    assert list(errors) == [0]


def test_where_all_together_fail_each_is_tried(monkeypatch):
    go_over = torch_groups.go_over

    def fail_of_many(flats, *given):
        if len(flats) > 1:
            raise torch.OutOfMemoryError("no")
        return go_over(flats, *given)

    monkeypatch.setattr("onlooker.inside.torch_device.go_over", fail_of_many)
    monkeypatch.setattr("onlooker.inside.torch_device.LITTLE", 0)
    found = look_at({0: on_device(torch.ones(3)), 1: on_device(torch.ones(4))})
    assert [summary.count for summary in found.values()] == [3, 4]
    found = differences(
        {0: on_device(torch.ones(3)), 1: on_device(torch.ones(4))},
        {0: on_device(torch.ones(3)), 1: on_device(torch.zeros(4))},
    )
    assert [summary.max for summary in found.values()] == [0, 1]


def test_what_failed_is_not_taken_for_empty_the_next_time(monkeypatch):
    def fail(*given):
        raise torch.OutOfMemoryError("no")

    look = Look()
    look.add("one", on_device(torch.ones(3)))
    with monkeypatch.context() as patch:
        patch.setattr("onlooker.inside.torch_device.go_over", fail)
        with pytest.raises(torch.OutOfMemoryError):
            look.fetch()
    assert look.fetch()["one"].total == 3


def test_bins_count_beyond_what_float32_can():
    """Counted in float32, one more than 2**24 is 2**24 again."""
    count = 2**24 + 5
    found = look_at({"one": on_device(torch.full((count,), 1.5))})["one"]
    assert (sum(found.bins), found.bins[60], found.finite) == (count, count, count)
    assert found.total == 1.5 * count


def operations_of_a_look(some, kept):
    """Look at tensors and at their differences; return how many operations each part takes."""
    look = Look()
    with Operations() as looking:
        assert not look.add_all(some)
    with Operations() as keeping:
        assert not look.keep_all(some, kept)
    with Operations() as differing:
        assert not look.add_differences(some, kept)
    with Operations() as fetching:
        look.fetch()
    return [one.names.total() for one in (looking, keeping, differing, fetching)]


def test_many_take_as_many_operations_as_few():
    found = []
    for count in (10, 100, 300):
        some, kept = [{name: one for name, one in tensors(count).items() if name % 10 != 9}, {}]
        operations_of_a_look(some, kept)  # the first time, tables are made
        found.append(operations_of_a_look(some, kept))
    assert found[0] == found[1] == found[2]
    looking, keeping, differing, fetching = found[0]
    assert (looking < 30, keeping, differing < 35, fetching < 10) == (True, 1, True, True)


def test_a_large_one_takes_a_few_more_for_each_part(few):
    def operations_of(length):
        look = Look()
        with Operations() as operations:
            look.add_all({0: on_device(torch.ones(length)), 1: on_device(torch.ones(1))})
        return operations.names.total()

    operations_of(768)
    assert 0 < operations_of(1536) - operations_of(768) == operations_of(2304) - operations_of(1536) < 30


def test_those_that_come_one_by_one_are_copied_and_looked_at_together():
    def look_one_by_one(count):
        look, some = Look(), tensors(count)
        with Operations() as operations:
            for name, tensor in some.items():
                look.add(name, tensor)
                tensor.zero_()  # the tensor is the training's again
            found = look.fetch()
        assert found[0].std > 0.9
        return operations.names.total() - 2 * count

    look_one_by_one(10)
    assert look_one_by_one(100) == look_one_by_one(10) < 40


def test_what_is_changed_afterwards_was_looked_at():
    look, some = Look(), tensors(20)
    expected = {name: summarise(tensor.numpy()) for name, tensor in some.items()}
    assert not look.add_all(some)
    kept = {}
    look.keep_all({("before", name): tensor for name, tensor in some.items()}, kept)
    for tensor in some.values():
        tensor += 1
    look.add_differences({("before", name): tensor for name, tensor in some.items()}, kept)
    for tensor in [*some.values(), *kept.values()]:
        tensor.fill_(7)
    found = look.fetch()
    for name, summary in expected.items():
        same(found[name], summary)
        if summary.count:
            assert (found["before", name].mean, found["before", name].std) == pytest.approx((1, 0), abs=1e-6)


def test_numbers_are_fetched_once_for_all_and_not_before():
    look, some = Look(), tensors(20)
    OnDevice.fetched = 0
    look.add_all(some)
    look.add("large", on_device(torch.ones(100_000)))
    look.add("little", on_device(torch.ones(3)))
    look.keep_all(some, kept := {})
    look.add_differences(some, kept)
    assert OnDevice.fetched == 0
    with Operations() as operations:
        look.fetch()
    assert OnDevice.fetched <= 5, "once to the CPU, and from there into Python in four pieces"
    assert operations.names["aten.cat.default"] <= 5


@pytest.fixture
def no_memories(monkeypatch):
    monkeypatch.setattr(torch_tables, "_remembered", {})


def test_no_more_tables_are_remembered_than_may_be(no_memories, monkeypatch):
    monkeypatch.setattr(torch_tables, "_REMEMBERED", 5)
    for count in range(1, 30):
        found = look_at({number: on_device(torch.ones(2000)) for number in range(count)})
        assert [summary.total for summary in found.values()] == [2000] * count
    assert len(torch_tables._remembered) == 5


def test_nothing_waits_for_a_gpu(no_memories, monkeypatch):
    """Tensors of a GPU without numbers: what would have to wait for one fails, and so does one on the wrong device.

    Only to send tables there needs a real one.
    """
    monkeypatch.setattr(torch_tables, "_sent", lambda here, device: torch.empty_like(here, device=device))
    with FakeTensorMode():
        some = {number: torch.empty(size, device="cuda") for number, size in enumerate([*SIZES, (3000, 3000)])}
        more = {
            "half": torch.empty(5, 5, device="cuda", dtype=torch.bfloat16),
            "int": torch.ones(3, device="cuda").int(),
        }
        look, kept = Look(), {}
        assert not look.add_all({**some, **more})
        look.add("little", some[0])
        look.add("large", some[10])
        assert not look.keep_all({**some, **more}, kept)
        assert not look.add_differences(
            {("updates", key): one for key, one in {**some, **more}.items()},
            {("updates", key): one for key, one in kept.items()},
        )
        assert {one.device.type for one in kept.values()} == {"cuda"}
        with pytest.raises(DataDependentOutputException):
            look.fetch()  # which is where to wait


def test_earlier_copies_are_used_again():
    kept, some = {}, tensors(10)
    Look().keep_all(some, kept)
    first = dict(kept)
    Look().keep_all(some, kept)
    assert all(kept[name] is first[name] for name in some)
    Look().keep_all({0: on_device(torch.ones(5))}, kept)
    assert torch.equal(kept[0], torch.ones(5))
    assert isinstance(of_torch.begin_difference("", some[1], kept[1]).shape, tuple)
