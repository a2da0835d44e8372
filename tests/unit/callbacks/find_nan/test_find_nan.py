"""Real trainings made sick in each way, each named rightly: by phase and operation. Other loops are in `test_loops`."""

import collections
import math

import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, Middle, Net, batches, find, mean_square
from torch import nn

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")


class Cube(torch.autograd.Function):
    """A user's own function, whose backward pass divides by its input."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient * 3 * x**3 / x


def log_of_zero(x):
    return torch.log(torch.relu(x - 1e9))


FORWARD = {
    "log(0)": (log_of_zero, "log", "the logarithm of 0"),
    "log(-1)": (lambda x: torch.log(x - 10), "log", "the logarithm of a negative number"),
    "a norm": (lambda x: x * 0 / (x * 0).norm(dim=1, keepdim=True), "div", "0 divided by 0"),
    "1 / 0": (lambda x: 1 / (x * 0), "reciprocal", "a division by 0"),
    "exp": (lambda x: torch.exp(x + 100), "exp", "exp overflows float32"),
    "a root": (lambda x: torch.sqrt(x - 10), "sqrt", "the root of a negative number"),
    "a mask": (lambda x: torch.log(x * 0) * 0, "log", "the logarithm of 0"),
    "all masked": (lambda x: torch.softmax(x.masked_fill(x == x, -math.inf), 1), "softmax", "all of a row is -inf"),
    "infinities": (lambda x: (x.masked_fill(x == x, math.inf)) * 0, "mul", "0 times infinity"),
    "spread": (lambda x: x * x[:1].std(0), "std", "the spread of one element"),
    "1 / 0 of Python": (lambda x: (x + 1) / 0.0, "div", "a division by 0; the divisor is a number of Python"),
    "a cosine": (lambda x: torch.acos(x + 2), "acos", "has to be between -1 and 1"),
    "a power": (lambda x: (-x - 1) ** 0.5, "pow", "a negative number to a power that is no whole number"),
    "a negative power": (lambda x: (x * 0) ** -1.5, "pow", "0 to a negative power"),
    "a product": (lambda x: torch.cumprod(x + 1e10, 1), "cumprod", "beyond what float32 can hold"),
    "no variance": (
        lambda x: nn.functional.layer_norm(x * 0, (8,), eps=0.0),
        "native_layer_norm",
        "the variance of what it normalises is 0",
    ),
    "all ignored": (
        lambda x: x * nn.functional.cross_entropy(x, torch.full((16,), -100)),
        "nll_loss_forward",
        "all are ignore_index",
    ),
    "squares": (lambda x: x * nn.functional.mse_loss(x + 1e25, x), "mse_loss", "squares of such numbers are beyond"),
    "no norm": (
        lambda x: torch._weight_norm(x * 0, torch.ones(16, 1), 0),
        "weight_norm_interface",
        "the norm of a row of the weight is 0",
    ),
    "long targets": (
        lambda x: x * nn.functional.ctc_loss(x.view(4, 4, 8), torch.ones(4, 4).long(), [4] * 4, [4] * 4),
        "ctc_loss",
        "a target is longer than its input",
    ),
}


@pytest.mark.parametrize("name", FORWARD)
def test_in_the_forward_pass(name):
    spoil, operation, why = FORWARD[name]
    finding = find(spoil=spoil)
    assert (finding.phase, finding.module, finding.operation) == ("forward", "middle", operation)
    assert (finding.epoch, finding.batch, finding.step) == (0, SICK, SICK)
    assert why in finding.why
    assert finding.line.startswith("test_find_nan.py:")
    assert finding.is_exact
    assert torch.equal(finding.data[0], batches()[SICK][0])
    assert all(summary.count == summary.finite for summary in finding.origin.module_inputs.values())
    assert any(summary.nan or summary.inf for summary in finding.origin.outputs.values())


def test_what_infinities_become_is_told():
    finding = find(spoil=FORWARD["a mask"][0])
    assert finding.origin.became.startswith("mul, in module 'middle'")
    assert "0 times infinity" in finding.origin.became


BACKWARD = {
    "sqrt": (lambda x: torch.sqrt(x * 0), "sqrt", "the derivative of sqrt is infinite at 0"),
    "norm": (lambda x: (x * 0).pow(0.5), "pow", "the derivative of a power"),
    "where": (lambda x: torch.where(x > 1e9, torch.sqrt(x * 0), x), "sqrt", "the derivative of sqrt"),
    "mask": (lambda x: torch.where(x > 1e9, torch.log(x * 0), x), "log", "where() and masks do not protect"),
    "svd": (lambda x: x + torch.linalg.svd(x.T @ x * 0)[0].sum(), "linalg_svd", "two singular values are equal"),
    "own": (lambda x: Cube.apply(x * 0), "Cube", ""),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_in_the_backward_pass(name):
    spoil, of, why = BACKWARD[name]
    finding = find(spoil=spoil)
    assert (finding.phase, finding.module, finding.batch) == ("backward", "middle", SICK)
    assert finding.operation.endswith(f"in the derivative of {of}")
    assert why in finding.why
    assert finding.line.startswith("test_find_nan.py:")
    assert finding.is_exact


def test_what_is_not_used_is_told_where_it_became_nan():
    """The infinity is that of the forward pass, and where() keeps it from the loss."""
    finding = find(spoil=lambda x: torch.where(x > 1e9, torch.exp(x + 100), x))
    assert (finding.phase, finding.operation) == ("forward", "exp")
    assert finding.origin.became.startswith("mul, in the derivative of exp, in module 'middle'")
    assert "where() and masks do not protect" in finding.origin.became
    finding = find(spoil=lambda x: torch.sqrt(x * 0))
    assert "where()" not in finding.origin.became, "there is none"
    finding = find(spoil=lambda x: x + torch.sqrt((x * 0).square().sum(1, keepdim=True)))
    assert finding.origin.became.startswith("mul, in the derivative of pow")
    assert "where()" not in finding.origin.became, "there is none"


def test_in_the_loss_function():
    def loss(outputs, targets):
        return -torch.log(outputs * 0 + (0.0 if Middle.is_on else 1.0)).mean() + mean_square(outputs, targets)

    finding = find(loss=loss)
    assert (finding.phase, finding.module, finding.operation) == ("forward", "", "log")
    assert finding.line.endswith("in loss")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_overflow_of_mixed_precision(dtype):
    big = 1e6 if dtype is torch.float16 else 3e38
    finding = find(spoil=lambda x: (x.float().abs() + 1) * big, autocast=dtype)
    assert finding.phase == "forward"
    assert finding.batch == SICK
    if dtype is torch.float16:
        assert (finding.module, finding.operation) == ("last", "to_copy")
        assert "beyond what float16 can hold (6.55e+04)" in finding.why


def test_nan_in_the_data():
    data = batches()
    data[SICK][0][3, 2] = math.nan
    data[SICK][0][7, 1] = math.inf
    finding = find(data=data)
    assert (finding.phase, finding.batch) == ("data", SICK)
    (place,) = finding.origin.inputs
    assert place == "part 0 of the batch"
    assert (finding.origin.inputs[place].nan, finding.origin.inputs[place].inf) == (1, 1)
    assert finding.origin.numbers == {"samples": 2, "first_sample": 3}
    assert "NaN or infinities came with the data of batch 5, epoch 0" in str(finding)


Pair = collections.namedtuple("Pair", ["image", "label"])
NAMED = {"batch['y']['of']": lambda x, y: {"x": x, "y": {"of": y}}, "batch.label": Pair}


@pytest.mark.parametrize("place", NAMED)
def test_nan_in_data_with_names(place):
    data = [NAMED[place](x, y) for x, y in batches()]
    (data[SICK].label if place == "batch.label" else data[SICK]["y"]["of"])[3] = math.nan
    find_nan, model = FindNaN(), nn.Linear(4, 1)
    with ol.Loop(model, callbacks=[find_nan]) as course:
        for one in course.train(data):
            x, y = one if place == "batch.label" else (one["x"], one["y"]["of"])
            course.log(loss=mean_square(model(x), y))
    assert (find_nan.finding.phase, list(find_nan.finding.origin.inputs)) == ("data", [place])


def test_an_exploding_learning_rate():
    finding = find(make_optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=1e25), make_model=Plain)
    assert finding.phase == "forward"
    assert finding.batch <= 2
    assert max(abs(one.max) for one in finding.origin.parameters.values()) > 1e15
    assert "the learning rate may be far too high" in str(finding)


class Plain(nn.Sequential):
    def __init__(self, spoil):
        super().__init__(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


class Divides(torch.optim.SGD):
    """An optimizer that divides by how large the gradient is; that of a weight that has none is 0."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if Middle.is_on and parameter.shape == (8, 4):
                    parameter.grad.mul_(0)
                parameter.sub_(group["lr"] * parameter.grad / parameter.grad.norm())


def test_in_the_optimizer():
    finding = find(make_optimizer=lambda model: Divides(model.parameters(), lr=0.01))
    assert (finding.phase, finding.parameter, finding.batch) == ("optimizer", "first.weight", SICK)
    assert finding.operation == "div"
    assert "0 divided by 0" in finding.why
    assert finding.origin.numbers["learning_rate"] == 0.01
    assert finding.origin.parameters["gradient"].count == 32
    assert finding.origin.parameters["weight before"].finite == 32
    assert finding.origin.parameters["weight after"].nan == 32
    assert finding.line.startswith("test_find_nan.py:")


def test_in_an_optimizer_of_pytorch():
    """Epsilon 0: where a gradient was 0 from the beginning, Adam divides 0 by 0."""
    finding = find(make_optimizer=lambda model: torch.optim.Adam([*model.parameters()], eps=0.0), make_model=Half)
    assert (finding.phase, finding.parameter, finding.batch) == ("optimizer", "unused.weight", 0)
    assert finding.origin.parameters["gradient"].zeros == 4
    assert {"weight before", "gradient", "weight after"} <= set(finding.origin.parameters)


class Half(nn.Module):
    def __init__(self, spoil):
        super().__init__()
        self.used, self.unused = nn.Linear(4, 1), nn.Linear(4, 1, bias=False)

    def forward(self, x):
        return self.used(x) + 0 * self.unused(x)


def test_weights_that_were_not_finite_from_the_beginning():
    class Bad(Plain):
        def __init__(self, spoil):
            super().__init__(spoil)
            with torch.no_grad():
                self[2].weight[0, 3] = math.nan

    finding = find(make_model=Bad, arguments={"then": "restore"})
    assert (finding.phase, finding.parameter, finding.batch) == ("weights", "2.weight", 0)
    assert "'2.weight' was not finite when batch 0 of epoch 0 began" in str(finding)
    assert "look where it is initialised or loaded" in finding.why


def test_in_place():
    class InPlace(Net):
        def forward(self, x):
            return super().forward(x) if not Middle.is_on else self.middle(self.first(x)).sum(1, keepdim=True)

    finding = find(make_model=InPlace, spoil=lambda x: x.clone().mul_(0).log_())
    assert (finding.module, finding.operation, list(finding.origin.outputs)) == ("middle", "log", ["output"])
    assert finding.origin.inputs["input"].zeros == 128
