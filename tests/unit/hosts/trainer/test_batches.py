import dataclasses
import re
import types

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from onlooker.core.errors import DataError
from onlooker.hosts.trainer.batches import (
    Batches,
    apply,
    as_loader,
    split_off_inputs,
    split_pair,
    splits_to_pairs,
)


def sizes(loader):
    return [len(inputs) for inputs, _ in loader]


def test_loaders_are_taken_as_they_are():
    for loader in ([1, 2], iter([1]), DataLoader(TensorDataset(torch.zeros(2)))):
        assert as_loader(loader, 32, True) is loader


@pytest.mark.parametrize("kind", [torch.as_tensor, np.asarray])
def test_arrays_are_cut_into_batches(kind):
    x, y = kind(np.arange(10, dtype=np.float32)), kind(np.arange(10))
    loader = as_loader((x, y), 4, shuffle=False)
    assert len(loader) == 3
    assert [(inputs.tolist(), targets.tolist()) for inputs, targets in loader] == [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([4, 5, 6, 7], [4, 5, 6, 7]),
        ([8, 9], [8, 9]),
    ]


def test_shuffling_is_new_in_each_epoch_and_loses_nothing():
    x = torch.arange(100)
    loader = as_loader((x, -x), 32, shuffle=True)
    epochs = [[pair for inputs, targets in loader for pair in zip(inputs, targets, strict=True)] for _ in range(2)]
    orders = [[int(one) for one, _ in epoch] for epoch in epochs]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(100))
    assert all(int(one) == -int(other) for epoch in epochs for one, other in epoch)


def test_a_dataset_is_loaded():
    dataset = TensorDataset(torch.arange(10), torch.arange(10))
    assert sizes(as_loader(dataset, 4, shuffle=False)) == [4, 4, 2]


def test_a_stream_is_loaded_in_its_order():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter([(i, i) for i in range(5)])

    assert [inputs.tolist() for inputs, _ in as_loader(Stream(), 2, shuffle=True)] == [[0, 1], [2, 3], [4]]


def test_the_floats_of_numpy_become_those_of_torch():
    ((inputs, targets),) = as_loader((np.zeros((2, 3)), np.zeros(2, dtype=np.int32)), 4, shuffle=False)
    assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int32)
    ((inputs,),) = as_loader(torch.zeros(2, dtype=torch.float64), 4, shuffle=False)
    assert inputs.dtype is torch.float64  # somebody has chosen it


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "there is no data in None"),
        (3, "there is no data in 3"),
        ("images", "there is no data in 'images'"),
        ((torch.zeros(3), torch.zeros(4)), "the arrays have different lengths: [3, 4]; expected one row a sample"),
        ((torch.zeros(3), torch.tensor(1.0)), "there is an array of shape torch.Size([]) in it"),
        (torch.tensor(1.0), "there is an array of shape torch.Size([]) in it"),
        (((torch.zeros(3), torch.zeros(3)), torch.zeros(3)), "there is a tuple in it; pass batches as a list"),
        (([1, 2], [3, 4]), "there is a list in it"),
    ],
)
def test_what_is_no_data(data, message):
    with pytest.raises(DataError) as caught:
        as_loader(data, 32, shuffle=False)
    assert message in str(caught.value)


def test_a_bad_batch_size():
    with pytest.raises(ValueError, match="batch_size"):
        as_loader((torch.zeros(3), torch.zeros(3)), 0, shuffle=False)


# Batches.


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("has_length", [True, False])
def test_reading_ahead_knows_the_last(count, has_length):
    loader = [(number, number) for number in range(count)]
    batches = Batches(loader if has_length else iter(loader), split_pair, None, reads_ahead=True)
    for _ in range(2 if has_length else 1):
        seen = [(inputs, batches.is_last) for inputs, _ in batches]
        assert seen == [(number, number == count - 1) for number in range(count)]


def test_without_reading_ahead_nothing_is_fetched_early():
    fetched = []
    batches = Batches((fetched.append(number) or (number, number) for number in range(3)), split_pair, None)
    next(iter(batches))
    assert fetched == [0]


def test_length():
    assert len(Batches([1, 2, 3], split_pair, None)) == 3
    with pytest.raises(TypeError):
        len(Batches(iter([1]), split_pair, None))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("kind", [tuple, lambda arrays: TensorDataset(*arrays)])
def test_no_samples_are_told_in_one_way_however_they_come(kind, shuffle):
    empty = kind((torch.zeros(0, 3), torch.zeros(0, 1)))
    with pytest.raises(DataError, match=r"^data: the loader yielded no batch; check the data set's size"):
        list(Batches(as_loader(empty, 4, shuffle), split_pair, None))


def test_an_empty_tuple_is_no_data():
    message = r"^a tuple is taken for arrays \(inputs, targets\), but there is nothing in it"
    with pytest.raises(DataError, match=message):
        as_loader((), 4, shuffle=True)


@pytest.mark.parametrize(
    ("split", "what"),
    [
        (lambda batch: batch[0], r"a Tensor of shape \(2, 3\)"),  # its two rows are no inputs and targets
        (lambda batch: batch[0].numpy(), r"a ndarray of shape \(2, 3\)"),
        (lambda batch: 5, "a int"),
        (lambda batch: None, "a NoneType"),
        (lambda batch: (*batch, 1), "a tuple of 3"),
        (lambda batch: dict(zip("ab", batch, strict=True)), "a dict with a, b"),
        (lambda batch: "ab", "a str"),
    ],
)
def test_a_split_that_gives_no_pair_is_refused(split, what):
    message = (
        rf"^split must return a pair, a tuple \(inputs, targets\), but it returned {what} for a batch that is a list"
    )
    with pytest.raises(DataError, match=message):
        splits_to_pairs(split)([torch.zeros(2, 3), torch.zeros(2, 1)])


def test_a_split_may_give_a_tuple_or_a_list():
    assert splits_to_pairs(lambda batch: list(batch))((1, 2)) == splits_to_pairs(tuple)([1, 2]) == (1, 2)


def test_splitting():
    assert split_pair([1, 2]) == split_pair((1, 2)) == (1, 2)
    assert split_off_inputs([1]) == (1, None)
    assert split_off_inputs((1, 2)) == (1, 2)
    assert split_off_inputs((1, 2, 3)) == (1, None)
    assert split_off_inputs({"x": 1}) == ({"x": 1}, None)


@dataclasses.dataclass
class Fields:
    image: object
    label: object = None


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (Fields(1, 2), "a Fields with image, label; .*split=lambda batch: (batch.image, batch.label)"),
        (types.SimpleNamespace(x=torch.zeros(2)), "with x; .*split=lambda batch: (batch.x, batch.label)"),
        ({"x": 1, "y": 2}, "a dict with x, y; .*split=lambda batch: (batch['image'], batch['label'])"),
        (torch.zeros(2, 3), "a Tensor of shape (2, 3); .*split=lambda batch: (batch['image'], batch['label'])"),
    ],
)
def test_what_is_no_pair_is_refused_with_how_to_split_it(batch, message):
    message = re.escape(message).replace(re.escape(".*"), ".*")
    with pytest.raises(DataError, match=rf"^a batch must be a pair \(inputs, targets\), .*{message}\)$"):
        split_pair(batch)


def test_inputs_are_the_arguments_of_the_model():
    class Model(torch.nn.Module):
        def forward(self, *arguments, **named):
            return arguments, named

    model = Model()
    assert apply(model, 1) == ((1,), {})
    assert apply(model, (1, 2)) == apply(model, [1, 2]) == ((1, 2), {})
    assert apply(model, {"x": 1}) == ((), {"x": 1})
