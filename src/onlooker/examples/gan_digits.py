"""A GAN learns to write digits: a plain PyTorch loop, watched by Onlooker. `onlooker demo` runs it.

The generator makes images out of noise, the discriminator tells them from scikit-learn's 1,797 scans of handwritten
digits, and each learns from the other. Both are told which digit it shall be; the nets are in `digit_models`.
Onlooker's part is marked by arrows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import interpolate, softplus
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

import onlooker as ol
from onlooker.examples.digit_models import Discriminator, Generator


def train(
    epochs: int = 120,
    every: int = 8,
    directory: str | Path = "onlooker-demo",
    seed: int = 0,
    callbacks: Iterable[ol.Callback] = (),
) -> None:
    """Train for some epochs, and have the generator draw 64 digits before the first and after every so many."""
    torch.manual_seed(seed)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)

    models = {"generator": Generator(), "discriminator": Discriminator()}
    generator, discriminator = models.values()
    optimizers = {
        name: torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.5, 0.99), fused=True)
        for name, model in models.items()
    }
    # The generator's weights, averaged over the last hundred steps or so: it draws with a steadier hand.
    average = models["average"] = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.99))

    fixed_noise, fixed_labels = torch.randn(64, 32), torch.arange(64) % 10

    def draw(models: dict[str, nn.Module]) -> Tensor:
        drawn = models["average"](fixed_noise, fixed_labels)
        return interpolate(drawn, scale_factor=4, mode="bicubic").clamp(-1, 1)  # larger, to be looked at

    pictures = ol.callbacks.ImageGrid(  # <- what the generator draws while it learns
        draw, directory, name="digits", value_range=(-1, 1), when=ol.every(epochs=every), before_training=True
    )
    with ol.Loop(models, optimizers, callbacks=[ol.callbacks.Progress(), pictures, *callbacks]) as loop:  # <-
        for epoch in loop.epochs(epochs):  # <- instead of range(epochs)
            # Blurred eyes at first: a discriminator that is sure of itself has nothing to teach.
            blur = 0.5 * (1 - epoch / epochs)
            for real, labels in loop.train(loader):  # <- instead of loader
                made_up = generator(torch.randn(len(real), 32), labels)

                says_real = discriminator(real + blur * torch.randn_like(real), labels)
                says_made_up = discriminator(made_up.detach() + blur * torch.randn_like(real), labels)
                discriminator_loss = (softplus(-says_real) + softplus(says_made_up)).mean()
                optimizers["discriminator"].zero_grad()
                discriminator_loss.backward()
                optimizers["discriminator"].step()

                says_made_up = discriminator(made_up + blur * torch.randn_like(real), labels)
                generator_loss = softplus(-says_made_up).mean()
                optimizers["generator"].zero_grad()
                generator_loss.backward()
                optimizers["generator"].step()
                average.update_parameters(generator)

                loop.log(generator=generator_loss, discriminator=discriminator_loss)  # <-


if __name__ == "__main__":
    train()
