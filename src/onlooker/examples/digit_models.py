"""The two nets of `gan_digits`. Each is told which digit it is about, as a label beside the noise or the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class Generator(nn.Module):
    """32 random numbers and a label become an image of 8 × 8 pixels, from -1 (black) to 1 (white)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(32 + 10, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 64), nn.Tanh()
        )

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Return images of shape (batch, 1, 8, 8)."""
        pixels: Tensor = self.layers(torch.cat([noise, one_hot(labels, 10)], dim=1))
        return pixels.view(-1, 1, 8, 8)


class Discriminator(nn.Module):
    """An image and a label become one number: above 0 for a real digit, below for a made up one."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64 + 10, 256), nn.LeakyReLU(0.2), nn.Linear(256, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1)
        )

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return a verdict of shape (batch, 1)."""
        verdict: Tensor = self.layers(torch.cat([images.flatten(1), one_hot(labels, 10)], dim=1))
        return verdict
