"""Real trainings made sick in each way, each named rightly."""

import math
import warnings

import numpy as np
import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import (
    SICK,
    Middle,
    Net,
    adam,
    batches,
    find,
    is_finite,
    loop,
    mean_square,
    state_of,
)
from torch import nn
from torch.utils.checkpoint import checkpoint

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


def test_a_gan_of_which_only_the_discriminator_breaks():
    torch.manual_seed(0)
    models = {
        "generator": nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 4)),
        "discriminator": nn.ModuleDict({"body": nn.Linear(4, 8), "head": nn.Linear(8, 1), "middle": Middle(torch.log)}),
    }
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=0.01) for name, model in models.items()}
    generator, parts = models["generator"], models["discriminator"]
    find_nan = FindNaN(steps_back=3)

    def judge(x):
        return torch.sigmoid(parts["head"](torch.relu(parts["middle"](parts["body"](x)))))

    with ol.Loop(models, optimizers, callbacks=[find_nan]) as course:
        for real, _ in course.train(batches()):
            fake = generator(torch.randn(16, 2))
            Middle.is_on = course.run.batch == SICK
            loss = judge(fake.detach()).mean() - judge(real).mean()
            Middle.is_on = False
            optimizers["discriminator"].zero_grad()
            loss.backward()
            optimizers["discriminator"].step()
            generator_loss = -fake.square().mean()
            optimizers["generator"].zero_grad()
            generator_loss.backward()
            optimizers["generator"].step()
            course.log(loss=loss, generator_loss=generator_loss)
    finding = find_nan.finding
    assert (finding.phase, finding.module, finding.batch) == ("forward", "discriminator.middle", SICK)
    assert finding.is_exact
    assert all(is_finite(model) for model in models.values())


def test_gradients_that_are_accumulated():
    """The batch is named in which the gradient was spoilt, not that in which it was used."""
    finding = find(spoil=BACKWARD["sqrt"][0], accumulate=4, epochs=3, data=batches(12))
    assert (finding.phase, finding.batch, finding.operation[:3]) == ("backward", SICK, "div")
    assert finding.is_exact
    finding = find(spoil=BACKWARD["sqrt"][0], accumulate=4, epochs=3, data=batches(12), arguments={"steps_back": 2})
    assert (finding.phase, finding.batch) == ("backward", SICK)


def test_infinities_that_are_masked_away_blame_nobody():
    """Attention does so in each step; the origin of the NaN is another."""

    class Attends(Net):
        def forward(self, x):
            scores = self.first(x) @ self.first(x).T
            allowed = torch.ones(16, 16).tril().bool()
            attention = torch.softmax(scores.masked_fill(~allowed, -math.inf), 1)
            hidden = torch.where(x > 0, x.log(), x)  # a value that is not finite, in places that are not used
            return self.last(self.middle(attention @ self.first(x))) + 0.01 * hidden.mean()

    finding = find(make_model=Attends, spoil=lambda x: torch.log(torch.relu(x) * 0), data=positive())
    assert (finding.module, finding.operation, finding.batch) == ("middle", "log", SICK)


def positive():
    return [(x.abs() + 0.1, y) for x, y in batches()]


def test_numpy_within_a_module():
    """No operation is seen there; the module is named all the same."""
    spoil = lambda x: torch.from_numpy(x.detach().numpy() / 0)  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        finding = find(spoil=spoil)
    assert (finding.phase, finding.module, finding.batch) == ("forward", "middle", SICK)


def train(model, make_optimizer, loss, data=None):
    """Train with a loss that is told which batch is to be sick, where the optimizer is given a closure, too."""
    find_nan = FindNaN(steps_back=4)
    optimizer = make_optimizer(model.parameters())
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for x in course.train([x for x, _ in batches()] if data is None else data):

            def closure(x=x):
                optimizer.zero_grad()
                value = loss(model, x, course.run.batch == SICK)
                value.backward()
                course.log(loss=value)
                return value

            if isinstance(optimizer, torch.optim.LBFGS):
                optimizer.step(closure)
            else:
                closure()
                optimizer.step()
    return find_nan.finding


def root_of_zero(model, x, is_sick):
    value = model(x)
    return (value * (0 if is_sick else 1)).square().sum(1).sqrt().mean()


def test_within_a_closure():
    finding = train(nn.Linear(4, 2), lambda own: torch.optim.LBFGS(own, max_iter=3), root_of_zero)
    assert (finding.phase, finding.batch) == ("backward", SICK)
    assert finding.line.endswith("in root_of_zero")

    def log_of_zero(model, x, is_sick):
        return torch.log(model(x).square() * (0 if is_sick else 1)).mean()

    finding = train(nn.Linear(4, 2), lambda own: torch.optim.LBFGS(own, max_iter=3), log_of_zero)
    assert (finding.phase, finding.operation, finding.batch) == ("forward", "log", SICK)


def test_sparse_gradients():
    data = [torch.randint(0, 9, (5,)) for _ in range(9)]
    finding = train(nn.Embedding(9, 4, sparse=True), torch.optim.SparseAdam, root_of_zero, data)
    assert (finding.phase, finding.batch) == ("backward", SICK)
    assert finding.operation.endswith("in the derivative of sqrt")


def test_what_is_computed_again_in_the_backward_pass():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.own, self.head = nn.Linear(4, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(checkpoint(lambda given: torch.tanh(self.own(given)), x, use_reentrant=False))

    finding = train(Again(), torch.optim.Adam, root_of_zero)
    assert (finding.phase, finding.batch, finding.is_exact) == ("backward", SICK, True)


@pytest.mark.parametrize("foreach", [False, True])
def test_squares_that_overflow_in_the_optimizers_state(foreach):
    """Loss and weights stay finite: such weights just stand still from then on."""

    def loss(model, x, is_sick):
        return model(x).square().mean() * (1e25 if is_sick else 1.0)

    finding = train(nn.Linear(4, 2), lambda own: torch.optim.Adam(own, foreach=foreach), loss)
    assert (finding.phase, finding.parameter, finding.batch) == ("optimizer", "weight", SICK)
    assert finding.operation == "addcmul"
    assert finding.origin.parameters["exp_avg_sq after"].inf > 0
    assert finding.noticed.startswith("NaN or infinities in the optimizer's state: exp_avg_sq of weight")


def test_what_was_in_memory_before_blames_nobody():
    def loss(model, x, is_sick):
        value = model(x)
        garbage = torch.from_numpy(np.full((16, 2), math.nan, dtype="float32"))
        return garbage.copy_(torch.log(value * 0) if is_sick else value).square().mean()

    finding = train(nn.Linear(4, 2), torch.optim.Adam, loss)
    assert (finding.phase, finding.operation, finding.batch) == ("forward", "log", SICK)


def test_infinities_that_somebody_wants_are_no_origin():
    """Here the loss is spoilt by what no operation of PyTorch's does."""
    find_nan = FindNaN()
    with ol.Loop(nn.Linear(4, 1), callbacks=[find_nan]) as course:
        for x, _ in course.train(batches()):
            best = min(torch.full((2,), math.inf).min().item(), float(x.sum()))
            course.log(loss=best * (math.nan if course.run.batch == SICK else 1.0))
    assert (find_nan.finding.phase, find_nan.finding.batch) == ("unknown", SICK)


def test_in_place():
    class InPlace(Net):
        def forward(self, x):
            return super().forward(x) if not Middle.is_on else self.middle(self.first(x)).sum(1, keepdim=True)

    finding = find(make_model=InPlace, spoil=lambda x: x.clone().mul_(0).log_())
    assert (finding.module, finding.operation, list(finding.origin.outputs)) == ("middle", "log", ["output"])
    assert finding.origin.inputs["input"].zeros == 128


# Afterwards.


def test_stop_leaves_the_model_as_it_was_before():
    find_nan, record = FindNaN(), []
    sink = ol.Callback()
    sink.keep = record.append
    model, *_ = loop([find_nan, sink], spoil=FORWARD["log(0)"][0])
    assert is_finite(model)
    run = find_nan.run
    assert run.outcome == "stopped"
    assert run.reason == (
        "FindNaN: numbers stopped being finite in the forward pass of module 'middle', in the operation log, "
        "at batch 5 of epoch 0"
    )
    assert (run.step, run.epoch) == (SICK + 1, 0)
    (alert,) = record
    assert (alert.rule, alert.where, alert.step, alert.epoch) == ("not_finite", "middle", SICK, 0)
    Middle.is_on = True
    x, y = find_nan.finding.data
    assert not math.isfinite(mean_square(model(x), y))
    Middle.is_on = False
    assert math.isfinite(mean_square(model(x), y))


def test_restore_goes_on_as_if_the_batch_had_not_been():
    find_nan = FindNaN(then="restore")
    model, optimizer, _ = loop([find_nan], spoil=FORWARD["log(0)"][0])
    assert find_nan.run.outcome == "completed"
    assert len(find_nan.findings) == 1
    assert is_finite(model)
    assert find_nan.run.step == 18
    ends = state_of(model, optimizer)
    assert all(map(torch.equal, ends, state_of(*loop([Skips()])[:2])))


class Skips(ol.Callback):
    """Takes back what the batch has done."""

    def on_train_batch_begin(self, batch, logs=None):
        if (self.run.epoch, batch) == (0, SICK):
            self.snapshot = self.run.view.snapshot()
            self.snapshot.take()

    def on_train_batch_end(self, batch, logs=None):
        if (self.run.epoch, batch) == (0, SICK):
            self.snapshot.restore()


def test_restore_stops_after_a_while():
    find_nan = FindNaN(then="restore", at_most=2)

    def loss(outputs, targets):
        return mean_square(outputs, targets) * math.nan

    model, *_ = loop([find_nan], loss=loss)
    assert [one.batch for one in find_nan.findings] == [0, 1, 2]
    assert find_nan.run.outcome == "stopped"
    assert is_finite(model)


def test_saved_and_read_again(tmp_path):
    find_nan = FindNaN()
    loop([find_nan], spoil=FORWARD["log(0)"][0])
    find_nan.save(tmp_path / "sick.pt")
    content = torch.load(tmp_path / "sick.pt", weights_only=True)
    assert torch.equal(content["data"][0], batches()[SICK][0])
    assert content["finding"] == str(find_nan.finding)
    model = Net()
    model.load_state_dict(content["training"]["modules"][""])
    assert is_finite(model)


def test_nothing_to_save(tmp_path):
    with pytest.raises(ValueError, match="nothing was found"):
        FindNaN().save(tmp_path / "sick.pt")


# Arguments.


@pytest.mark.parametrize(
    "named",
    [{"then": "go on"}, {"steps_back": 0}, {"at_most": True}, {"limit_bytes": 1.5}],
)
def test_refused(named):
    with pytest.raises(ValueError, match=next(iter(named))):
        FindNaN(**named)


def test_only_losses_have_to_be_finite():
    def train(find_nan):
        model = Net()
        optimizer = adam(model)
        with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
            for x, y in course.train(batches()):
                value = mean_square(model(x), y)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                course.log(loss=value, perplexity=math.inf)
        return find_nan

    assert train(FindNaN()).finding is None
    finding = train(FindNaN(losses=["*loss*", "perplexity"])).finding
    assert finding.noticed == "'perplexity' is inf"
    assert finding.phase == "unknown"
    assert "the numbers were finite in all operations" in str(finding)
