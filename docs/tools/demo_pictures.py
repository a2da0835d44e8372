"""The pictures of the demo in the README, drawn anew: `python -m docs.tools.demo_pictures`, which takes a minute.

Owns the choice of frames and the size of the files. What is in them is the demo's business.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from PIL import Image, ImageSequence

from onlooker.callbacks.image_grid.film import Frame, write_strip
from onlooker.examples.gan_digits import train

PICTURES = Path(__file__).resolve().parents[1] / "pictures"

EPOCHS, EVERY = 120, 8
SHOWN = (0, 8, 16, 32, 64, 120)
"""The epochs in the strip: most happens early."""

GIF_WIDTH, GIF_GREYS = 265, 16


def main() -> None:
    """Run the demo as `onlooker demo` does, and keep a short strip and a small GIF."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        train(EPOCHS, EVERY, directory)
        made = Path(directory)
        frames = [
            Frame(made / f"digits-epoch-{epoch:04d}.png", f"epoch {epoch}" if epoch else "before training")
            for epoch in SHOWN
        ]
        write_strip(frames, PICTURES / "digits-strip.png")
        with Image.open(made / "digits.gif") as film:
            _shrink(film, PICTURES / "digits.gif")


def _shrink(film: Image.Image, path: Path) -> None:
    """Write a GIF again, smaller and with fewer greys."""
    size = (GIF_WIDTH, round(film.height * GIF_WIDTH / film.width))
    frames, durations_ms = [], []
    for frame in ImageSequence.Iterator(film):
        durations_ms.append(frame.info["duration"])
        frames.append(frame.convert("L").resize(size, Image.Resampling.LANCZOS).quantize(GIF_GREYS))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations_ms, loop=0, optimize=True)


if __name__ == "__main__":
    main()
