"""Batches of other kinds than pairs: what came with NaN is named by its place, and they are run once more whole."""

import collections
import dataclasses
import math

import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, batches, mean_square
from torch import nn

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")


@dataclasses.dataclass
class Fields:
    image: torch.Tensor
    label: torch.Tensor
    name: str = "word"


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    image: torch.Tensor
    label: torch.Tensor


class Own:
    def __init__(self, image, label):
        self.image, self.label, self.of = image, label, "a loader"


class Closes(Own):
    """What a copy of it would close when it goes, nobody has told."""

    count = 0

    def __del__(self):
        type(self).count += 1


class Holds(Own):
    """Holds itself, as what belongs to a graph may."""

    def __init__(self, image, label):
        super().__init__(image, label)
        self.nodes = [image, self]


KINDS = [Fields, Frozen, Own, Closes, Holds]


def train(data, find_nan, spoil=lambda one: one):
    """Train on batches that have an image and a label; what the body does to them it does in place."""
    torch.manual_seed(0)
    model, losses = nn.Linear(4, 1), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[] if find_nan is None else [find_nan]) as course:
        for one in course.train(data):
            batch = one[0] if isinstance(one, tuple) else one
            batch.image.mul_(2).add_(1)
            loss = mean_square(model(batch.image), batch.label)
            if course.run.batch == SICK:
                loss = spoil(loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.log(loss=loss)
            losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_an_attribute(kind):
    data = [kind(x, y) for x, y in batches()]
    data[SICK].label[3] = math.nan
    find_nan = FindNaN()
    train(data, find_nan)
    assert (find_nan.finding.phase, find_nan.finding.batch) == ("data", SICK)
    assert list(find_nan.finding.origin.inputs) == ["batch.label"]
    assert find_nan.finding.origin.numbers["first_sample"] == 3


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_copy_is_kept_and_run_once_more(kind):
    """Each time from what the loader has yielded, whatever the body has made of it."""
    data, find_nan = [kind(x, y) for x, y in batches()], FindNaN()
    image = data[SICK].image
    losses = train(data, find_nan, spoil=lambda loss: loss * math.nan)
    finding = find_nan.finding
    assert (finding.phase, finding.operation, finding.is_exact, finding.notes) == ("forward", "mul", True, [])
    assert type(finding.data) is kind
    assert torch.equal(finding.data.image, batches()[SICK][0])
    assert torch.equal(finding.data.label, data[SICK].label)
    assert data[SICK].image is image, "the loader's own is left as it is"
    assert torch.equal(image, batches()[SICK][0] * 2 + 1)
    assert losses[:SICK] == train([kind(x, y) for x, y in batches()], None)[:SICK]


def test_what_closes_something_is_not_copied():
    data, find_nan = [Closes(x, y) for x, y in batches()], FindNaN()
    before = Closes.count
    train(data, find_nan)
    assert find_nan.finding is None
    assert Closes.count == before
    assert len(data) == 9


def test_memory_is_counted():
    sizes, find_nan = [], FindNaN()
    find_nan.on_train_batch_end = lambda batch, logs: sizes.append(find_nan._past.batches_bytes)
    train([Fields(x, y) for x, y in batches()], find_nan)
    assert sizes[:2] == [16 * 5 * 4, 2 * 16 * 5 * 4]


def test_a_dataclass_within_a_pair():
    data = [(Fields(x, y), "word") for x, y in batches()]
    data[SICK][0].image[2, 1] = math.inf
    find_nan = FindNaN()
    train(data, find_nan)
    assert list(find_nan.finding.origin.inputs) == ["batch[0].image"]


def test_a_dict_of_another_kind():
    """As tokenizers make them."""
    find_nan, model = FindNaN(), nn.Linear(4, 1)
    data = [collections.UserDict(image=x, label=y) for x, y in batches()]
    data[SICK]["label"][3] = math.nan
    with ol.Loop(model, callbacks=[find_nan]) as course:
        for one in course.train(data):
            course.log(loss=mean_square(model(one["image"]), one["label"]))
    assert list(find_nan.finding.origin.inputs) == ["batch['label']"]


def test_a_body_that_leaves_the_loop():
    """What is told without running anything once more is told of objects, too."""
    data = [Fields(x, y) for x, y in batches()]
    data[SICK].image[3, 2] = math.nan
    find_nan, model = FindNaN(), nn.Linear(4, 1)
    with ol.Loop(model, callbacks=[find_nan]) as course:
        for _ in course.epochs(2):
            for one in course.train(data):
                loss = mean_square(model(one.image), one.label)
                course.log(loss=loss)
                if not loss.isfinite():
                    break
    assert (find_nan.finding.phase, find_nan.finding.batch) == ("data", SICK)
    assert list(find_nan.finding.origin.inputs) == ["batch.image"]
