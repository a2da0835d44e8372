"""Real trainings, small enough for tests: models, data, and one loop for them all."""

import functools
import itertools
import math

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import onlooker as ol


@functools.cache
def digits():
    """1,797 scans of 8 × 8 pixels, normalized, and which digit each shows."""
    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)
    return (images - images.mean()) / images.std(), torch.tensor(found.target)


def batches(*tensors, size=32, count=1797, shuffle=True):
    """Batches of the first `count` rows."""
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*(one[:count] for one in tensors)), batch_size=size, shuffle=shuffle
    )


def mlp(*widths, activation=nn.ReLU, inputs=64, outputs=10):
    """Linear layers with activations in between."""
    sizes = [inputs, *(widths or (64, 64)), outputs]
    layers = [nn.Flatten()]
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


def cnn():
    """Convolutions with batch norm."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)),
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


class PlainCnn(nn.Module):
    """Convolutions without normalization; its ReLU is a function, not a module."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.head = nn.Linear(32 * 4, 10)

    def forward(self, x):
        x = functional.max_pool2d(torch.relu(self.first(x[:, None])), 2)
        x = functional.max_pool2d(torch.relu(self.second(x)), 2)
        return self.head(x.flatten(1))


class Block(nn.Module):
    """A block of a transformer."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads = heads

    def forward(self, x):
        q, k, v = (one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in self.qkv(self.norm_1(x)).chunk(3, -1))
        x = x + self.out(functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(self.norm_2(x))))


class Gpt(nn.Module):
    """A small GPT, initialized as GPT-2 is."""

    def __init__(self, letters=32, width=48, depth=3, heads=4, length=32):
        super().__init__()
        self.tokens, self.places = nn.Embedding(letters, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, letters, bias=False)
        self.head.weight = self.tokens.weight
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * depth) if "out" in name or "down" in name else 1))

    def forward(self, x):
        x = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def text(count=600, length=32, letters=32):
    """Made-up sequences in which each letter follows from the two before, with some noise."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randint(letters, (letters, letters), generator=generator)
    rows = torch.randint(letters, (count, length + 1), generator=generator)
    for place in range(2, length + 1):
        follows = torch.rand(count, generator=generator) < 0.9
        rows[:, place] = torch.where(follows, table[rows[:, place - 1], rows[:, place - 2] // 8], rows[:, place])
    return rows[:, :-1], rows[:, 1:]


def cross_entropy(outputs, targets):
    """For classes on the last axis."""
    return functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def train(model, data, optimizer, epochs=3, doctor=None, criterion=cross_entropy, test=None, schedule=None, more=()):
    """Train with a Doctor; return it."""
    doctor = doctor or ol.callbacks.Doctor(quiet=True)
    doctor.on_error = "raise"
    with ol.Loop(model, optimizer, callbacks=[*more, doctor]) as loop:
        for _ in loop.epochs(epochs):
            for x, y in loop.train(data):
                loss = criterion(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss)
                if schedule is not None:
                    schedule.step()
            if test is not None:
                for x, y in loop.test(test):
                    loop.log(loss=criterion(model(x), y))
    return doctor


def gan(width=64):
    """A generator and a discriminator of digits."""
    return {
        "generator": nn.Sequential(
            nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 64), nn.Tanh(),
            nn.Unflatten(1, (8, 8)),
        ),
        "discriminator": nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        ),
    }  # fmt: skip


def train_gan(models, optimizers, epochs=10, doctor=None, more=(), discriminator_steps=1, blur=0.3):
    """Train a GAN on the digits with a Doctor; return it."""
    doctor = doctor or ol.callbacks.Doctor(quiet=True)
    doctor.on_error = "raise"
    images = torch.tensor(load_digits().images, dtype=torch.float32) / 8 - 1
    generator, discriminator = models["generator"], models["discriminator"]
    softplus = functional.softplus
    with ol.Loop(models, optimizers, callbacks=[*more, doctor]) as loop:
        for _ in loop.epochs(epochs):
            for (real,) in loop.train(batches(images, size=64)):
                for _ in range(discriminator_steps):
                    fake = generator(torch.randn(len(real), 16))
                    noise = blur * torch.randn_like(real)
                    judged = discriminator(real + noise), discriminator(fake.detach() + noise)
                    discriminator_loss = (softplus(-judged[0]) + softplus(judged[1])).mean()
                    optimizers["discriminator"].zero_grad()
                    discriminator_loss.backward()
                    optimizers["discriminator"].step()
                generator_loss = softplus(-discriminator(fake + blur * torch.randn_like(real))).mean()
                optimizers["generator"].zero_grad()
                generator_loss.backward()
                optimizers["generator"].step()
                loop.log(generator_loss=generator_loss, discriminator_loss=discriminator_loss)
    return doctor


def seen(doctor):
    """Which rules have spoken, and where."""
    return [(alert.rule, alert.where) for alert in doctor.alerts]
