"""Trainings of less usual kinds that are well: no rule speaks. Each of them once made one speak."""

import pytest
import torch
from sklearn.datasets import load_digits
from tests.unit.callbacks.doctor.trainings import PlainCnn, batches, digits, gan, mlp, seen, train
from torch import nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW

import onlooker as ol

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def train_by(step, model, optimizer, data, epochs):
    """Train with a Doctor by a function that takes a batch and its number, and returns what is logged."""
    doctor, number = ol.callbacks.Doctor(quiet=True), 0
    doctor.on_error = "raise"
    with ol.Loop(model, optimizer, [doctor]) as loop:
        for _ in loop.epochs(epochs):
            for batch in loop.train(data):
                loop.log(step(batch, number))
                number += 1
    return doctor


@pytest.mark.parametrize(("spread", "mean"), [(1e3, 5e3), (8e4, 2e5)], ids=["thousands", "prices"])
def test_targets_that_are_not_normalized(spread, mean):
    """Gradients are large then, and Adam divides them by their size."""
    x = torch.randn(2000, 12)
    y = spread * (x[:, :1] * x[:, 1:2] + x[:, 2:3]) + mean
    model = mlp(inputs=12, outputs=1)
    optimizer = Adam(model.parameters(), lr=1e-2)
    doctor = train(model, batches(x, y, count=2000), optimizer, epochs=15, criterion=functional.mse_loss)
    assert not seen(doctor)


class TwoTasks(nn.Module):
    """One body, and a head of its own for each of two tasks."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
        self.digit, self.is_odd = nn.Linear(64, 10), nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))


OPTIMIZERS = {
    "sgd": lambda weights: SGD(weights, lr=0.05),
    "momentum and decay": lambda weights: SGD(weights, lr=0.02, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda weights: AdamW(weights, lr=1e-3),
}


@pytest.mark.parametrize("to_none", [True, False], ids=["no-gradients", "gradients-of-0"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_head_that_is_seldom_used(optimizer, to_none):
    model = TwoTasks()
    optimizer = OPTIMIZERS[optimizer](model.parameters())

    def step(batch, number):
        x, y = batch
        hidden = model.body(x)
        loss = functional.cross_entropy(model.digit(hidden), y)
        if number % 97 == 80:
            loss = loss + functional.cross_entropy(model.is_odd(hidden), y % 2)
        optimizer.zero_grad(set_to_none=to_none)
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    assert not seen(train_by(step, model, optimizer, batches(*digits(), size=16), epochs=5))


def test_several_models_of_which_one_is_seldom_used():
    tasks = TwoTasks()
    models = dict(tasks.named_children())
    optimizers = {name: Adam(model.parameters(), lr=1e-3) for name, model in models.items()}

    def step(batch, number):
        x, y = batch
        hidden = models["body"](x)
        loss = functional.cross_entropy(models["digit"](hidden), y)
        if number % 97 == 80:
            loss = loss + functional.cross_entropy(models["is_odd"](hidden), y % 2)
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
        return {"loss": loss}

    assert not seen(train_by(step, models, optimizers, batches(*digits(), size=16), epochs=4))


class Experts(nn.Module):
    """Eight experts, of which a router prefers some; now and then a sample goes to any of them."""

    def __init__(self, is_dense):
        super().__init__()
        self.flat, self.router, self.is_dense = nn.Flatten(), nn.Linear(64, 8), is_dense
        self.experts = nn.ModuleList(mlp(32) for _ in range(8))
        with torch.no_grad():
            self.router.bias.copy_(torch.linspace(2, -3, 8))

    def forward(self, x):
        shares = self.router(self.flat(x)).softmax(1)
        chosen = torch.where(torch.rand(len(x)) < 0.015, torch.randint(8, (len(x),)), shares.argmax(1))
        if self.is_dense:
            weights = functional.one_hot(chosen, 8) * shares
            return sum(weights[:, [number]] * expert(x) for number, expert in enumerate(self.experts))
        outputs = torch.zeros(len(x), 10)
        for number, expert in enumerate(self.experts):
            rows = (chosen == number).nonzero()[:, 0]
            if len(rows):
                outputs = outputs.index_add(0, rows, shares[rows][:, [number]] * expert(x[rows]))
        return outputs


@pytest.mark.parametrize("is_dense", [True, False], ids=["all-called", "the-chosen-called"])
def test_experts_of_which_some_are_seldom_chosen(is_dense):
    model = Experts(is_dense)
    assert not seen(train(model, batches(*digits(), size=16), AdamW(model.parameters(), lr=1e-3), epochs=4))


class Functional(nn.Module):
    """An MLP whose ReLU is a function."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.second(self.first(x.flatten(1)).relu()).relu())


def test_batches_of_one_sample_some_of_which_are_odd():
    model = Functional()
    assert not seen(train(model, batches(*digits(), size=1), Adam(model.parameters(), lr=5e-4), epochs=2))


def test_batches_of_one_sample_that_take_their_time():
    model = mlp()
    assert not seen(train(model, batches(*digits(), size=1), SGD(model.parameters(), lr=3e-3), epochs=1))


def test_inputs_that_are_0_nearly_everywhere():
    """Counts of words, of which a text has few; that a layer gives them another shape does not make them units."""
    words, weights = (torch.rand(2000, 20) ** 2 * 3000).long(), torch.randn(3000)
    counts = torch.zeros(2000, 3000).scatter_add(1, words, torch.full(words.shape, 0.05))
    model = mlp(32, inputs=3000, outputs=2)
    data = batches(counts, (counts @ weights > 0).long(), count=2000)
    assert not seen(train(model, data, Adam(model.parameters(), lr=3e-3), epochs=4))


@pytest.mark.parametrize("has_names", [True, False], ids=["a-dict", "one-module"])
def test_a_gan_that_logs_the_sum_of_its_losses(has_names):
    models, images = gan(), torch.tensor(load_digits().images, dtype=torch.float32) / 8 - 1
    generator, discriminator = models.values()
    optimizers = [Adam(model.parameters(), lr=2e-4, betas=(0.5, 0.999)) for model in models.values()]

    def step(batch, number):
        fake = generator(torch.randn(len(batch[0]), 16))
        own = (functional.softplus(-discriminator(batch[0])) + functional.softplus(discriminator(fake.detach()))).mean()
        optimizers[1].zero_grad()
        own.backward()
        optimizers[1].step()
        loss = functional.softplus(-discriminator(fake)).mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        return {"loss": own + loss} if has_names else {"loss": own + loss, "loss_D": own, "loss_G": loss}

    model, given = (
        (models, dict(zip(models, optimizers, strict=True))) if has_names else (nn.ModuleDict(models), optimizers)
    )
    assert not seen(train_by(step, model, given, batches(images, size=64), epochs=16))


def test_a_policy_whose_loss_is_about_0():
    """The loss of a policy says nothing of how good it is."""
    torch.manual_seed(2)  # with which it happens to stay where it began
    model = mlp(32, activation=nn.Tanh, inputs=2, outputs=2)
    optimizer = Adam(model.parameters(), lr=3e-3)

    def step(batch, number):
        places, chances, rewards = torch.randn(16, 2), [], []
        for _ in range(10):
            choice = torch.distributions.Categorical(logits=model(places))
            action = choice.sample()
            chances.append(choice.log_prob(action))
            speeds = places[:, 1] + 0.3 * (2 * action - 1)
            places = torch.stack([places[:, 0] + 0.2 * places[:, 1], speeds], 1)
            rewards.append((places[:, 0].abs() < 1.5).float())
        returns = torch.stack(rewards).flip(0).cumsum(0).flip(0)
        loss = -(torch.stack(chances) * (returns - returns.mean()) / (returns.std() + 1e-6)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    assert not seen(train_by(step, model, optimizer, range(50), epochs=10))


def test_a_loss_that_falls_slowly_to_a_floor_of_its_own():
    """Cross-entropy with soft targets never gets near 0."""
    images, labels = digits()
    shares = 0.8 * functional.softmax(torch.randn(10, 10) / 4, 1)[labels] + 0.2 * functional.one_hot(labels, 10)
    model = mlp()
    optimizer = SGD(model.parameters(), lr=0.05)
    assert not seen(train(model, batches(images, shares), optimizer, epochs=8, criterion=functional.cross_entropy))


class Residual(nn.Module):
    """Residual blocks that pass on what they get at first: the last convolution in each is 0."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.head = (
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.Linear(16, 10),
        )
        self.blocks = nn.ModuleList(self.block() for _ in range(2))

    def block(self):
        first, last = (nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(2))
        nn.init.zeros_(last.weight)
        return nn.Sequential(first, nn.BatchNorm2d(16), nn.ReLU(), last, nn.BatchNorm2d(16))

    def forward(self, x):
        x = self.norm(self.stem(x[:, None])).relu()
        for block in self.blocks:
            x = (x + block(x)).relu()
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("make", [lambda weights: SGD(weights, lr=0.1), lambda weights: Adam(weights, lr=1e-3)])
def test_residual_blocks_that_begin_at_0_with_a_rate_that_warms_up(make):
    """Right after the first step such a convolution is as small as the rate, and its gradient is not."""
    model = Residual()
    optimizer = make(model.parameters())
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1e-3, 1, 100)
    assert not seen(train(model, batches(*digits()), optimizer, epochs=5, schedule=schedule))


def test_a_step_that_makes_large_weights_because_they_have_to_be():
    """Linear regression: the first step is all that the weights are, and the loss falls."""
    x = torch.randn(2000, 12)
    y = x @ torch.randn(12, 1) * 20
    model = nn.Linear(12, 1)
    optimizer = SGD(model.parameters(), lr=0.3)
    assert not seen(train(model, batches(x, y, count=2000), optimizer, criterion=functional.mse_loss))


def test_two_samples_at_a_time_looked_at_in_each_step():
    """Two odd batches in a row are no spike."""
    model = PlainCnn()
    doctor = ol.callbacks.Doctor(quiet=True, every=ol.every(steps=1))
    data = batches(*digits(), size=2)
    assert not seen(train(model, data, Adam(model.parameters(), lr=1e-3), epochs=2, doctor=doctor))


def test_a_method_of_second_order_that_is_done_after_a_step():
    """From then on nothing changes, as nothing has to."""
    x = torch.randn(500, 8)
    y = x @ torch.randn(8, 1) * 30 + 5
    model = nn.Linear(8, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1, max_iter=100)

    def step(batch, number):
        def loss():
            optimizer.zero_grad()
            found = functional.mse_loss(model(x), y)
            found.backward()
            return found

        return {"loss": optimizer.step(loss)}

    assert not seen(train_by(step, model, optimizer, range(10), epochs=10))
