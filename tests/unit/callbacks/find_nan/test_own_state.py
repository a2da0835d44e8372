"""What is in no snapshot: NaN that the body keeps itself, weights that come with a batch. Nothing is made up then."""

import math

import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, Middle, batches, find, is_finite, mean_square
from torch import nn

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")

INF, NAN = math.inf, math.nan


class Carries(nn.Module):
    """A recurrent cell whose hidden state the loop's body carries from batch to batch."""

    def __init__(self):
        super().__init__()
        self.cell, self.last = nn.GRUCell(4, 8), nn.Linear(8, 1)

    def forward(self, x, hidden):
        hidden = self.cell(x, hidden)
        return self.last(hidden), hidden


def train_carrying(find_nan, data):
    torch.manual_seed(0)
    model, hidden = Carries(), torch.zeros(16, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, y in course.train(data):
            outputs, hidden = model(x, hidden.detach())
            loss = mean_square(outputs, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.log(loss=loss)
    return model


@pytest.mark.parametrize("then", ["stop", "restore"])
def test_a_hidden_state_that_has_kept_nan(then):
    """Run once more, the first batch begins with it; it is not to blame, and no weight is."""
    data = batches()
    data[SICK][0][3, 2] = NAN
    find_nan = FindNaN(then=then)
    model = train_carrying(find_nan, data)
    finding = find_nan.finding
    assert (finding.phase, finding.batch, finding.is_exact, finding.is_restored) == ("data", SICK, False, False)
    assert "batch 0 has a loss that is not finite, as it had not the first time" in str(finding)
    assert find_nan.run.outcome == "stopped"
    assert is_finite(model)


def test_where_the_data_do_not_tell_it_is_not_known():
    kept, find_nan = [], FindNaN()
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, _ in course.train(batches()):
            kept.append(x / (0 if course.run.batch == SICK else 1))
            loss = model(torch.cat(kept[-3:])).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.log(loss=loss)
    finding = find_nan.finding
    assert (finding.phase, finding.origin, finding.parameter) == ("unknown", None, "")
    assert finding.batch == SICK, "the first with a loss that was not finite"
    assert "where it began cannot be seen" in str(finding)
    assert is_finite(model)


def train_lazily(sick, **arguments):
    torch.manual_seed(0)
    model = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyLinear(1))
    find_nan = FindNaN(**arguments)
    data = batches()
    data[sick][0][3, 2] = NAN
    with ol.Loop(model, callbacks=[find_nan]) as course:
        for x, y in course.train(data):
            course.log(loss=mean_square(torch.nan_to_num(model(x)), y))
    return find_nan.finding


def test_weights_that_come_with_a_sick_batch():
    """What they were before it, nobody can say; that they were not finite then is not so."""
    finding = train_lazily(0)
    assert (finding.phase, finding.is_restored) == ("unknown", False)
    assert finding.noticed == "NaN or infinities in buffers: 1.running_mean, 1.running_var"
    assert "before it there is nothing to go back to" in str(finding)


@pytest.mark.parametrize("sick", [1, SICK])
def test_weights_that_came_with_a_batch_before(sick):
    """A new snapshot is made as soon as they are there."""
    finding = train_lazily(sick)
    assert (finding.phase, finding.batch, finding.is_exact, finding.is_restored) == ("data", sick, True, True)


def test_a_running_variance_that_is_negative():
    """The training has made it so, and evaluation takes its root."""
    torch.manual_seed(0)
    model, find_nan = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, momentum=2.0), nn.Linear(8, 1)), FindNaN()
    with ol.Loop(model, callbacks=[find_nan]) as course:
        for x, y in course.train(batches()):
            model.train(course.run.batch < SICK)
            course.log(loss=mean_square(model(x), y))
    finding = find_nan.finding
    assert (finding.phase, finding.module, finding.operation) == ("forward", "1", "native_batch_norm")
    assert finding.why == "its running variance is negative: the momentum is 2, not 0 to 1"


@pytest.mark.filterwarnings("ignore:.*(quantize_per_tensor|prototype|beta state|Sparse CSR)")
def test_buffers_of_other_kinds_are_no_hindrance():
    class Holds(nn.Module):
        def __init__(self, spoil):
            super().__init__()
            self.last, self.spoil = nn.Linear(4, 1), spoil
            self.register_buffer("rows", torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]))
            self.register_buffer("sparse", torch.eye(3).to_sparse())
            self.register_buffer("small", torch.ones(3).to(torch.float8_e4m3fn))
            self.register_buffer("shape", torch.ones(3, device="meta"))
            self.register_buffer("quantised", torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8))

        def forward(self, x):
            return self.last(self.spoil(x) if Middle.is_on else x)

    finding = find(make_model=Holds, spoil=lambda x: x.log())
    assert (finding.operation, finding.batch, finding.is_exact) == ("log", SICK, True)
