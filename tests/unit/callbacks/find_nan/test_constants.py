"""Constants that are not finite: named where they are written; and masks of attention, which are as they should be."""

import math

import numpy as np
import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, Middle, batches, find, loop, mean_square
from torch import nn

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")

INF, NAN = math.inf, math.nan


def assigned(x):
    x = x.clone()
    x[0, 0] = NAN
    return x


CONSTANTS = {
    "times": (lambda x: x * NAN, "mul"),
    "times infinity": (lambda x: x * INF, "mul"),
    "plus": (lambda x: x + NAN, "add"),
    "a tensor": (lambda x: x + torch.tensor(NAN), "tensor"),
    "a tensor of several": (lambda x: x * torch.tensor([1.0, NAN] * 4), "tensor"),
    "masked_fill": (lambda x: x.masked_fill(x > 0, NAN), "masked_fill"),
    "full": (lambda x: x + torch.full((8,), NAN), "full"),
    "full_like": (lambda x: x + torch.full_like(x, NAN), "full_like"),
    "where": (lambda x: torch.where(x > 0, x, NAN), "where"),
    "where with a tensor": (lambda x: torch.where(x > 0, x, torch.tensor(NAN)), "tensor"),
    "np.nan": (lambda x: x + torch.as_tensor(np.nan), "tensor"),
    "NumPy": (lambda x: x + torch.tensor(np.full(8, np.nan, "float32")), "tensor"),
    "fill_": (lambda x: x * torch.empty(8).fill_(NAN), "fill"),
    "an assignment": (assigned, "assignment"),
    "a power": (lambda x: x**NAN, "pow"),
    "clamp": (lambda x: x.clamp(min=NAN), "clamp"),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_is_named_with_its_line(name):
    spoil, operation = CONSTANTS[name]
    finding = find(spoil=spoil)
    assert (finding.phase, finding.module, finding.operation) == ("forward", "middle", operation)
    assert finding.batch == SICK
    assert "constant" in finding.why
    code = assigned.__code__ if spoil is assigned else spoil.__code__
    line = code.co_firstlineno + (2 if spoil is assigned else 0)
    assert finding.line == f"test_constants.py:{line}, in {code.co_name}"


def test_a_constant_in_the_loss():
    def loss(outputs, targets):
        return mean_square(outputs, targets) * (NAN if Middle.is_on else 1.0)

    finding = find(loss=loss)
    assert (finding.phase, finding.module, finding.operation) == ("forward", "", "mul")
    assert finding.why.startswith("nan goes in there as a constant")
    assert finding.line.endswith("in loss")


class Turns(torch.autograd.Function):
    """A user's own function, whose backward pass has a constant in it."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * NAN


class OfNumpy(Turns):
    """The same, without an operation of PyTorch's."""

    @staticmethod
    def backward(context, gradient):
        return torch.from_numpy(np.full(gradient.shape, np.nan, "float32"))


@pytest.mark.parametrize("function", [Turns, OfNumpy])
def test_a_constant_in_a_backward_pass(function):
    finding = find(spoil=function.apply)
    assert (finding.phase, finding.module) == ("backward", "middle")
    assert finding.operation.endswith(f"in the derivative of {function.__name__}")
    assert "constant" in finding.why


def test_a_number_that_was_read_is_no_constant():
    """It comes from the operation that had made it."""
    finding = find(spoil=lambda x: x * torch.log(x * 0 - 1).sum().item())
    assert (finding.module, finding.operation) == ("middle", "log")
    assert "the logarithm of a negative number" in finding.why


def test_a_number_that_was_read_is_not_every_constant():
    """Infinity that a search began with is not what a NaN that is written comes from."""

    def spoil(x):
        best = torch.full((2,), INF).min().item()
        return x.clamp(max=best) * NAN

    assert find(spoil=spoil).operation == "mul"


def test_a_number_of_the_batch_is_no_constant():
    data = [(x, (y, NAN if number == SICK else 1.0)) for number, (x, y) in enumerate(batches())]
    finding = find(data=data, loss=lambda outputs, targets: mean_square(outputs, targets[0]) * targets[1])
    assert finding.phase == "data"
    assert list(finding.origin.inputs) == ["part 2 of the batch"]


HEALTHY = {
    "nan as a mark": lambda x: torch.nan_to_num(torch.where(x > 0, x, NAN)),
    "the smallest so far": lambda x: torch.minimum(x, torch.tensor(INF)),
    "a mask": lambda x: torch.softmax(x.masked_fill(x > x.mean(), -INF), 1),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_constants_that_are_taken_away_blame_nobody(name):
    find_nan = FindNaN()
    loop([find_nan], spoil=HEALTHY[name])
    assert find_nan.finding is None
    finding = find(spoil=lambda x: HEALTHY[name](x) + torch.log(x * 0 - 1))
    assert (finding.module, finding.operation) == ("middle", "log")


def test_a_constant_beside_what_is_infinite_is_not_blamed():
    """Within `logdet`, NaN stands by for determinants below 0. That of zeros is 0, and its logarithm infinite."""
    finding = find(spoil=lambda x: x * torch.logdet(x.T @ x * 0))
    assert (finding.module, finding.operation) == ("middle", "linalg_slogdet")
    assert "the determinant is 0" in finding.why


# Masks of attention: the softmax is named, and who made the infinities.


def added(scores, allowed):
    return scores + torch.zeros(16, 16).masked_fill(~allowed, -INF)


def assigned_mask(scores, allowed):
    scores = scores.clone()
    scores[~allowed] = -INF
    return scores


MASKS = {
    "masked_fill": (lambda scores, allowed: scores.masked_fill(~allowed, -INF), "masked_fill"),
    "added": (added, "masked_fill"),
    "where": (lambda scores, allowed: torch.where(allowed, scores, -INF), "where"),
    "assigned": (assigned_mask, "assignment"),
}


class Attends(nn.Module):
    """Attention with a causal mask, in which a whole row is masked by mistake in the sick batch."""

    def __init__(self, spoil, mask=added, softmax=torch.softmax):
        super().__init__()
        self.own, self.last, self.middle = nn.Linear(4, 8), nn.Linear(8, 1), Middle(spoil)
        self.mask, self.softmax = mask, softmax

    def forward(self, x):
        allowed = torch.ones(16, 16).tril().bool()
        if Middle.is_on and self.middle.spoil is None:
            allowed[3] = False
        hidden = self.middle(self.own(x))
        return self.last(self.softmax(self.mask(hidden @ hidden.T, allowed), -1).clamp(min=-9) @ self.own(x))


@pytest.mark.parametrize("softmax", [torch.softmax, torch.log_softmax])
@pytest.mark.parametrize("name", MASKS)
def test_a_whole_row_is_masked(name, softmax):
    mask, maker = MASKS[name]
    finding = find(make_model=lambda spoil: Attends(spoil, mask, softmax))
    assert (finding.phase, finding.operation, finding.batch) == ("forward", softmax.__name__, SICK)
    assert finding.line.endswith("in forward")
    assert finding.why.startswith(
        "all of a row is -inf, a mask leaves nothing to attend to: 1 of 16 rows, the first at [3]; "
        f"the infinities were made by {maker} (test_constants.py:"
    )


@pytest.mark.parametrize("name", MASKS)
def test_a_healthy_mask_is_not_blamed(name):
    finding = find(make_model=lambda spoil: Attends(spoil, MASKS[name][0]), spoil=lambda x: (x - 99).log())
    assert (finding.module, finding.operation) == ("middle", "log")


def test_a_mask_that_is_a_buffer():
    class Buffered(Attends):
        def __init__(self, spoil):
            super().__init__(spoil, lambda scores, allowed: self.causal.masked_fill(~allowed, -INF) + scores)
            self.register_buffer("causal", torch.full((16, 16), -INF).triu(1))

    finding = find(make_model=Buffered)
    assert finding.operation == "softmax"
    assert "1 of 16 rows" in finding.why
    finding = find(make_model=Buffered, spoil=lambda x: (x - 99).log())
    assert (finding.module, finding.operation) == ("middle", "log"), "NaN goes before the mask's infinities"


def test_a_mask_that_comes_with_the_data():
    class Given(nn.Module):
        def __init__(self, spoil):
            super().__init__()
            self.own, self.last = nn.Linear(4, 8), nn.Linear(8, 1)

        def forward(self, given):
            hidden = self.own(given[0])
            return self.last(torch.softmax(hidden @ hidden.T + given[1], -1) @ hidden)

    def data(sick):
        masks = [torch.full((16, 16), -INF).triu(1) for _ in range(9)]
        if sick:
            masks[SICK][4] = -INF
        return [((x, mask), y) for (x, y), mask in zip(batches(), masks, strict=True)]

    finding = find(make_model=Given, data=data(sick=True))
    assert (finding.phase, finding.operation) == ("forward", "softmax")
    assert finding.why.endswith("the first at [4]; the infinities came with the data, in part 1 of the batch")
    find_nan = FindNaN()
    loop([find_nan], make_model=Given, data=data(sick=False))
    assert find_nan.finding is None


def test_infinities_in_the_data_are_no_mask_where_there_is_no_softmax():
    """As in the logarithm of a silent spectrum."""
    data = batches()
    data[SICK][0][3, 2] = -INF
    finding = find(data=data)
    assert (finding.phase, finding.origin.numbers["first_sample"]) == ("data", 3)


def test_of_two_that_meet_the_one_is_blamed_that_nobody_wants():
    finding = find(spoil=lambda x: x.masked_fill(x >= 0, -INF) + torch.exp(x + 100))
    assert finding.operation == "exp"
    finding = find(spoil=lambda x: torch.log(x * 0) + torch.sqrt(x * 0 - 1))
    assert finding.operation == "sqrt", "NaN in the sum is that of the root, with or without the infinities"


def test_infinities_of_a_constant_that_become_nan():
    finding = find(spoil=lambda x: x.masked_fill(x > 0, -INF) * 0)
    assert finding.operation == "mul"
    assert "0 times infinity" in finding.why
    assert "the infinities were made by masked_fill (test_constants.py:" in finding.why


def test_the_derivative_of_a_softmax_is_given_no_axis():
    torch.manual_seed(0)
    model, find_nan = nn.Linear(4, 3), FindNaN()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as loop:
        for x in loop.train([torch.randn(8, 4) for _ in range(5)]):
            optimizer.zero_grad()
            loss = torch.softmax(model(x) * 1e4, 1).log().mean()
            loss.backward()
            optimizer.step()
            loop.log(loss=loss)
    assert find_nan.finding.operation == "log"
    assert "failed midway" not in str(find_nan.finding)
