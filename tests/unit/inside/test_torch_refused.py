"""PyTorch's tensors that have no numbers to look at: refused with a word, where to read them may end the process."""

import pytest
import torch

import onlooker as ol
from onlooker.core.errors import LookError
from onlooker.inside import Look

FREED = "has no memory: its storage was freed"
TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64]


def freed(dtype=torch.float32, shape=(3, 4)):
    tensor = torch.ones(shape).to(dtype)
    tensor.untyped_storage().resize_(0)
    return tensor


def part_of_freed():
    whole = torch.ones(20)
    part = whole[8:]
    whole.untyped_storage().resize_(0)
    return part


@pytest.mark.parametrize("dtype", TYPES)
def test_what_was_freed_is_not_looked_at(dtype):
    look = Look()
    errors = look.add_all({"w": freed(dtype), "other": torch.ones(3)})
    assert list(errors) == ["w"]
    assert list(look.fetch()) == ["other"]
    with pytest.raises(LookError, match=f"^it {FREED}"):
        ol.summary(freed(dtype))


def test_neither_are_parts_and_parameters():
    for tensor in (part_of_freed(), torch.nn.Parameter(freed())):
        with pytest.raises(LookError, match=FREED):
            ol.summary(tensor)


def test_what_is_empty_was_not_freed():
    assert ol.summary(torch.ones(0, 3)).count == 0
    assert ol.summary(freed(shape=(0,))).count == 0


@pytest.mark.parametrize("meanwhile", [{}, {"g": torch.ones(3, 4)}, {"g": freed()}])
@pytest.mark.parametrize("dtype", TYPES)
def test_what_was_freed_is_not_kept(dtype, meanwhile):
    look, kept = Look(), {}
    errors = look.keep_all({"w": freed(dtype), "other": torch.ones(3, 4)}, kept, meanwhile)
    assert FREED in str(errors["w"])
    assert list(kept) == ["other"]
    assert errors.keys() == {"w", *(key for key, one in meanwhile.items() if not one.data_ptr())}


@pytest.mark.parametrize("dtype", TYPES)
def test_what_was_freed_since_has_no_difference(dtype):
    weights, kept, look = {"w": torch.ones(3, 4).to(dtype), "other": torch.zeros(2)}, {}, Look()
    assert not look.keep_all(weights, kept)
    weights["w"].untyped_storage().resize_(0)
    errors = look.add_differences(weights, kept)
    assert FREED in str(errors["w"])
    assert list(look.fetch()) == ["other"]


def test_within_a_transform_nothing_is_looked_at():
    errors = []

    def loss(x):
        for tensor in (x, torch.ones(3, dtype=torch.float64)):
            errors.extend(Look().add_all({"x": tensor}).values())
            errors.extend(Look().keep_all({"x": x}, {}).values())
        return x.sum()

    torch.func.vmap(torch.func.grad(loss))(torch.ones(2, 3))
    assert len(errors) == 4
    assert all("'x' is within a transform of torch.func" in str(error) for error in errors)


def test_nor_what_has_come_out_of_one_by_the_back_door():
    kept = []
    torch.func.grad(lambda x: (kept.append(x), x.sum())[1])(torch.ones(3))
    with pytest.raises(LookError, match="within a transform"):
        ol.summary(kept[0])


def test_another_order_in_memory_is_named():
    look, kept = Look(), {}
    look.keep_all({"w": torch.ones(3, 4)}, kept)
    errors = look.add_differences({"w": torch.ones(4, 3).T}, kept)
    assert "its shape, type or order in memory has changed" in str(errors["w"])
