"""What was not finite when a batch began, or was given to the optimizer; and tensors that are hard to look at."""

import math

import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, Net, adam, batches, find, loop, mean_square
from torch import nn
from torch._subclasses import FakeTensorMode

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")

INF, NAN = math.inf, math.nan


# What was there when the batch began.


def test_a_buffer():
    class Weighs(Net):
        def __init__(self, spoil):
            super().__init__(spoil)
            self.register_buffer("weight", torch.tensor([1.0, NAN]))

        def forward(self, x):
            return super().forward(x) * self.weight.sum()

    finding = find(make_model=Weighs)
    assert (finding.phase, finding.parameter, finding.batch) == ("weights", "weight", 0)
    assert "a buffer of the model" in finding.why
    assert "'weight' was not finite when batch 0 of epoch 0 began" in str(finding)


@pytest.mark.parametrize("foreach", [False, True])
def test_a_state_of_the_optimizer_that_was_loaded(foreach):
    def make_optimizer(model):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, foreach=foreach)
        mean_square(*(part(one) for part, one in zip((model, torch.Tensor), batches()[0], strict=True))).backward()
        optimizer.step()
        optimizer.zero_grad()
        state = optimizer.state_dict()
        state["state"][0]["exp_avg_sq"][0, 0] = NAN
        optimizer.load_state_dict(state)
        return optimizer

    finding = find(make_optimizer=make_optimizer)
    assert (finding.phase, finding.parameter, finding.batch) == ("weights", "exp_avg_sq of first.weight", 0)
    assert "belongs to the optimizer" in finding.why


SGD, Adam, RMSprop = torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop
RATES = [(kind, rate) for kind in (SGD, Adam, RMSprop) for rate in (NAN, INF)]


@pytest.mark.parametrize(("kind", "rate"), [*RATES, (SGD, torch.tensor(NAN)), (Adam, torch.tensor(NAN))], ids=str)
def test_a_learning_rate(kind, rate):
    """As a schedule's mistake makes it."""
    find_nan = FindNaN()
    model = Net()
    optimizer = kind(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, y in course.train(batches()):
            optimizer.param_groups[0]["lr"] = rate if course.run.batch == SICK else 0.01
            loss = mean_square(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.log(loss=loss)
    finding = find_nan.finding
    assert (finding.phase, finding.parameter, finding.batch) == ("optimizer", "first.weight", SICK)
    assert finding.why.startswith(f"the learning rate is {float(rate):g}")
    assert not math.isfinite(finding.origin.numbers["learning_rate"])


def test_an_optimizer_without_an_epsilon():
    class Looks(nn.Module):
        def __init__(self, spoil):
            super().__init__()
            self.table, self.last = nn.Embedding(50, 4), nn.Linear(4, 1)

        def forward(self, x):
            return self.last(self.table((x[:, 0].abs() * 3).long()))

    for kind in (torch.optim.Adam, torch.optim.RMSprop):
        finding = find(make_model=Looks, make_optimizer=lambda model, kind=kind: kind(model.parameters(), eps=0.0))
        assert (finding.phase, finding.parameter) == ("optimizer", "table.weight")
        assert "the optimizer has eps=0" in finding.why


def test_weights_that_are_too_large_are_told_of_in_the_loss_too():
    finding = find(make_model=lambda spoil: nn.Linear(4, 1), make_optimizer=lambda model: sgd(model, 1e12))
    assert (finding.phase, finding.module) == ("forward", "")
    assert finding.origin.numbers["largest_weight"] > 1e8
    assert "the learning rate may be far too high" in str(finding)
    finding = find(make_optimizer=adam, spoil=lambda x: x * NAN)
    assert "learning rate" not in str(finding)


def sgd(model, rate):
    return torch.optim.SGD(model.parameters(), lr=rate)


# The search itself.


STRANGE = {
    "nested": lambda x: torch.nested.nested_tensor([x[0], x[1]]) * 2,
    "jagged": lambda x: torch.nested.nested_tensor([x[0], x[1]], layout=torch.jagged) * 2,
    "complex of halves": lambda x: torch.zeros(3, dtype=torch.complex32).clone(),
    "quantised": lambda x: torch.quantize_per_tensor(x.detach(), 0.1, 0, torch.quint8).dequantize(),
    "sparse rows": lambda x: x.detach().to_sparse_csr().to_dense(),
    "float8": lambda x: x.detach().to(torch.float8_e4m3fn).float(),
    "meta": lambda x: torch.zeros(3, device="meta") * 2,
    "fake": lambda x: without_numbers(),
    "mapped": lambda x: torch.vmap(lambda one: one * 2)(x),
}


def without_numbers():
    with FakeTensorMode():
        return torch.zeros(3) * 2


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.filterwarnings("ignore:.*(quantize_per_tensor|prototype|beta state|Sparse CSR)")
def test_tensors_of_other_kinds_are_no_hindrance(name):
    def spoil(x):
        STRANGE[name](x)
        return x * NAN

    assert find(spoil=spoil).operation == "mul"


def test_within_nested_tensors():
    def spoil(x):
        rows = torch.nested.nested_tensor([x[0], x[1] * 0 - 1], layout=torch.jagged)
        return x + torch.log(rows).values().sum()

    assert find(spoil=spoil).operation == "log"


class Refuses(torch.Tensor):
    """Numbers that nobody may look at."""

    @classmethod
    def __torch_dispatch__(cls, function, types, given=(), named=None):
        raise TypeError("no")


def test_an_error_in_the_watching_ends_no_training():
    """The step goes on, and the finding says what is not known, instead of blaming what comes later."""

    def spoil(x):
        refused = torch.Tensor._make_subclass(Refuses, torch.ones(3))
        try:
            refused + 1
        except TypeError:
            return x * NAN
        raise AssertionError("it has to refuse")

    find_nan = FindNaN(then="restore")
    loop([find_nan], spoil=spoil)
    assert find_nan.run.outcome == "completed"
    assert (find_nan.finding.phase, find_nan.finding.batch) == ("unknown", SICK)
    assert "watching the operations of batch 5 failed midway: TypeError('no')" in str(find_nan.finding)
