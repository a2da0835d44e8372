"""What a body does by hand to weights, gradients, optimizers and numbers: named with the line, no more than known."""

import math

import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, Middle, Net, batches, find, loop, mean_square
from torch import nn
from torch.func import functional_call, grad, vmap

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")]

INF, NAN = math.inf, math.nan


def train(*, before=None, after=None, optimizer=None, data=None, loss=mean_square, model=None, steps_back=50):
    """Train with something that is done by hand in the sick batch, before or after the optimizer's step."""
    torch.manual_seed(0)
    model = model or nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = (optimizer or (lambda own: torch.optim.SGD(own, lr=0.01, momentum=0.9)))(model.parameters())
    find_nan = FindNaN(steps_back=steps_back)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, y in course.train(batches() if data is None else data):
            Middle.is_on = course.run.batch == SICK
            value = loss(model(x), y)
            optimizer.zero_grad()
            value.backward()
            if before is not None and Middle.is_on:
                before(model, optimizer)
            optimizer.step()
            if after is not None and Middle.is_on:
                after(model, optimizer)
            course.log(loss=value)
    return find_nan.finding


@torch.no_grad()
def normalise(model, optimizer):
    model[0].bias.zero_()
    model[0].bias.div_(model[0].bias.norm())


BROKEN = {name: torch.full_like(one, NAN) for name, one in nn.Linear(8, 1).state_dict().items()}


def load(model, optimizer):
    model[2].load_state_dict(BROKEN)


@pytest.mark.parametrize(("change", "weight"), [(normalise, "0.bias"), (load, "2.weight")])
def test_a_weight_that_is_written_to(change, weight):
    """In no forward pass, which is not claimed."""
    finding = train(after=change)
    assert (finding.phase, finding.parameter, finding.batch) == ("forward", weight, SICK)
    assert finding.line.endswith(f"in {change.__name__}")
    assert finding.headline().startswith(f"{weight!r} stopped being finite, ")
    assert "forward pass" not in str(finding)


def test_a_state_of_the_optimizer_that_is_written_to():
    def spoil(model, optimizer):
        optimizer.state[model[0].weight]["momentum_buffer"][0] = INF

    finding = train(after=spoil)
    assert (finding.phase, finding.operation, finding.batch) == ("forward", "assignment", SICK)
    assert finding.line.endswith("in spoil")


def test_a_hook_on_a_gradient():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    model[2].weight.register_hook(lambda gradient: gradient / (gradient.sum() * (not Middle.is_on)))
    finding = train(model=model)
    assert (finding.phase, finding.operation, finding.batch) == ("backward", "div, on the gradient of '2.weight'", SICK)
    assert finding.line.endswith("in <lambda>")
    assert "a division by 0" in finding.why


@pytest.mark.parametrize("name", ["weight_decay", "momentum"])
def test_a_setting_of_the_optimizer(name):
    finding = train(before=lambda model, optimizer: optimizer.param_groups[0].update({name: NAN}))
    assert (finding.phase, finding.parameter, finding.batch) == ("optimizer", "0.weight", SICK)
    assert finding.why == f"the optimizer's {name} is nan; look at what sets it"


def test_squares_in_a_fused_optimizer():
    """Of the other weights, which went into the same operation, nothing is shown."""
    finding = train(
        optimizer=lambda own: torch.optim.Adam(own, fused=True),
        loss=lambda outputs, targets: mean_square(outputs, targets) * (1e25 if Middle.is_on else 1.0),
    )
    assert (finding.phase, finding.parameter, finding.batch) == ("optimizer", "0.weight", SICK)
    assert "the square of the gradient is more than its type can hold" in finding.why
    assert (finding.origin.inputs, finding.origin.outputs) == ({}, {})


def test_an_epsilon_that_is_too_small_for_halves():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)).half()
    data = [(x.half(), y.half()) for x, y in batches(60)]
    finding = train(model=model, data=data, optimizer=torch.optim.Adam, steps_back=1)
    assert finding.phase == "optimizer"
    assert finding.why == "the optimizer's eps of 1e-08 is 0 in float16; raise it, or keep weights in float32"


def test_the_gradient_of_the_step_before_is_not_shown():
    """Where the optimizer has the gradients computed itself."""
    torch.manual_seed(0)
    model, find_nan = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), FindNaN()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, y in course.train(batches()):

            def closure(x=x, y=y):
                optimizer.zero_grad()
                loss = mean_square(model(x), y) * (1e30 if course.run.batch == SICK else 1.0)
                loss.backward()
                course.log(loss=loss)
                return loss

            optimizer.step(closure)
    assert (find_nan.finding.phase, find_nan.finding.batch) == ("optimizer", SICK)
    assert "gradient" not in find_nan.finding.origin.parameters


# Numbers.


DIVISORS = {
    "a count": (lambda x, ok: (x * ok).sum() / ok.sum(), "0 divided by 0"),
    "a whole number": (lambda x, ok: (x + 1) / torch.tensor(0), "a division by 0"),
}


@pytest.mark.parametrize("name", DIVISORS)
def test_a_division_by_a_whole_number(name):
    spoil, why = DIVISORS[name]
    finding = find(spoil=lambda x: x * spoil(x, x > 1e9))
    assert (finding.module, finding.operation) == ("middle", "div")
    assert finding.why.startswith(why)
    assert finding.origin.inputs["input 1"].dtype == "int64"


def test_a_matrix_without_an_inverse():
    finding = find(spoil=lambda x: x @ torch.linalg.inv_ex(x.T @ x * 0)[0])
    assert (finding.module, finding.operation) == ("middle", "linalg_inv_ex")
    assert finding.why.startswith("the matrix is singular")


def test_a_row_that_is_masked_in_a_logsumexp():
    """It makes no NaN of it."""
    finding = find(spoil=lambda x: x + torch.logsumexp(x.masked_fill(x == x, -INF), 1, keepdim=True))
    assert (finding.module, finding.operation) == ("middle", "logsumexp")
    assert finding.why.startswith("all of a row is -inf")
    find_nan = FindNaN()
    loop([find_nan], spoil=lambda x: x + torch.logsumexp(x.masked_fill(x < x.median(), -INF), 1, keepdim=True))
    assert find_nan.finding is None


def test_an_infinite_loss_needs_no_nan_of_the_backward_pass():
    finding = find(spoil=lambda x: torch.expm1(x.abs() + 100))
    assert finding.operation == "expm1"
    assert finding.origin.became, "the loss is NaN, by what comes behind it"

    def loss(outputs, targets):
        value = outputs.abs() + (100 if Middle.is_on else 1)
        return torch.log(torch.expm1(value)).mean()

    finding = find(loss=loss)
    assert (finding.operation, finding.origin.became) == ("expm1", "")


def test_a_constant_is_not_said_to_be_of_the_data():
    """Where these have NaN of their own, which the body leaves out."""
    data = batches()
    for _, y in data:
        y[0] = NAN

    def loss(outputs, targets):
        is_known = ~targets.isnan()
        return mean_square(outputs[is_known], targets[is_known]) * (NAN if Middle.is_on else 1.0)

    for value in (loss, lambda outputs, targets: loss(outputs, targets) * torch.tensor(NAN if Middle.is_on else 1.0)):
        finding = find(loss=value, data=data)
        assert (finding.phase, finding.batch) == ("forward", SICK)
        assert finding.why.endswith("; or it was read from part 1 of the batch, where there are some, too")


def test_float32_is_not_told_to_become_bfloat16():
    finding = find(spoil=lambda x: (x.double() * 1e60).float())
    assert finding.why == "numbers beyond what float32 can hold (3.4e+38); scale them"


def test_within_functions_of_functions():
    """Tensors that `vmap` and `grad` wrap cannot be looked at, and those within come by themselves."""
    torch.manual_seed(0)
    model, find_nan = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), FindNaN()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x, y in course.train(batches()):

            def loss_of(weights, x, y):
                value = mean_square(functional_call(model, weights, (x[None],))[0], y)
                return torch.sqrt(value * (course.run.batch != SICK))

            gradients = vmap(grad(loss_of), (None, 0, 0))(dict(model.named_parameters()), x, y)
            for name, weight in model.named_parameters():
                weight.grad = gradients[name].detach().mean(0)
            optimizer.step()
            course.log(loss=mean_square(model(x), y))
    finding = find_nan.finding
    assert (finding.phase, finding.batch, finding.notes) == ("backward", SICK, [])
    assert finding.operation.endswith("in the derivative of sqrt")
    assert finding.line.endswith("in loss_of")


def test_nothing_of_it_shows_in_a_healthy_training():
    ends = []
    for callbacks in ([], [FindNaN(steps_back=2)]):
        model, _, losses = loop(callbacks, make_model=Net, spoil=lambda x: x + torch.logsumexp(x, 1, keepdim=True))
        ends.append([torch.tensor(losses), *model.state_dict().values()])
    assert all(map(torch.equal, *ends))
