"""Loops and optimizers of other shapes, each made sick: the batch and the place are named all the same."""

import math
import warnings

import numpy as np
import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, Middle, Net, batches, find, is_finite
from torch import nn
from torch.utils.checkpoint import checkpoint

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")


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
    finding = find(spoil=lambda x: torch.sqrt(x * 0), accumulate=4, epochs=3, data=batches(12))
    assert (finding.phase, finding.batch, finding.operation[:3]) == ("backward", SICK, "div")
    assert finding.is_exact
    finding = find(
        spoil=lambda x: torch.sqrt(x * 0), accumulate=4, epochs=3, data=batches(12), arguments={"steps_back": 2}
    )
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

    def spoil(x):
        return torch.from_numpy(x.detach().numpy() / 0)

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


def train_in_half_precision(keep_scaler):
    """A gradient scaler of the loop's own begins too large, and so skips steps before the batch that is sick."""
    torch.manual_seed(0)
    model, find_nan = nn.Linear(4, 1), FindNaN()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        if keep_scaler:
            course.run.step_states.append(scaler)
        for x, y in course.train(batches()):
            loss = (model(x) - y).square().mean() * (math.nan if course.run.batch == SICK else 1.0)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            course.log(loss=loss)
    return find_nan.finding


def test_a_gradient_scaler_of_ones_own():
    finding = train_in_half_precision(keep_scaler=True)
    assert (finding.batch, finding.operation, finding.is_exact, finding.notes) == (SICK, "mul", True, [])
    finding = train_in_half_precision(keep_scaler=False)
    assert (finding.batch, finding.operation, finding.is_exact) == (SICK, "mul", False)
    assert "loop.run.step_states.append(scaler)" in finding.notes[0]


@pytest.mark.parametrize("then", ["stop", "restore"])
def test_a_body_that_leaves_the_loop_when_the_loss_is_nan(then):
    """An epoch comes after it. What can be told without the body is told, and nothing of it is run later."""
    model, find_nan, seen = nn.Linear(4, 1), FindNaN(then=then), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    data = batches()
    data[SICK][0][3, 2] = math.nan
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for _ in course.epochs(2):
            for x, y in course.train(data):
                seen.append((course.run.epoch, course.run.batch))
                loss = (model(x) - y).square().mean()
                course.log(loss=loss)
                if not torch.isfinite(loss):
                    break
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    finding = find_nan.finding
    assert (finding.phase, finding.epoch, finding.batch, finding.noticed) == ("data", 0, SICK, "'loss' is nan")
    assert finding.origin.inputs["the inputs"].nan == 1
    assert "the body left the loop in that batch" in str(finding)
    assert seen == [(0, batch) for batch in range(SICK + 1)]
    assert course.run.outcome == "stopped"
