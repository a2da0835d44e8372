"""PNG files to a film: a strip to look at, and an animated GIF.

Owns the choice of frames where there are many, the captions and the files. Reads one frame at a time, so that a long
training costs no more memory than a short one. What is on the frames is somebody else's business.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from onlooker.core.atomic_file import AtomicFile

from .pixels import Pixels

STRIP_FRAMES = 24
STRIP_COLUMNS = 8
STRIP_FRAME_SIDE = 200
"""The strip holds so many frames at most, so many beside each other, each of at most so many pixels a side."""

GIF_FRAMES = 120
"""More frames are thinned out: Pillow holds all of them while it writes."""

_BAND_HEIGHT, _FONT_SIZE = 22, 14
_GAP = 6
_INK = 235

Item = TypeVar("Item")


class Frame(NamedTuple):
    """One drawing of the film.

    Attributes:
        path: its PNG file.
        caption: what stands under it.
    """

    path: str | os.PathLike[str]
    caption: str


def write_png(pixels: Pixels, path: str | os.PathLike[str]) -> None:
    """Write uint8 pixels of shape (height, width) or (height, width, 3) to a PNG file."""
    with AtomicFile(path) as beside:
        Image.fromarray(pixels).save(beside)


def write_strip(frames: Sequence[Frame], path: str | os.PathLike[str]) -> None:
    """Write the frames beside each other, in reading order, each with its caption, to a PNG file.

    Args:
        frames: in order, at least one; of more than `STRIP_FRAMES` as many are chosen evenly.
        path: of the PNG file.
    """
    chosen = choose_evenly(frames, STRIP_FRAMES)
    card = _Card(chosen, STRIP_FRAME_SIDE)
    rows = math.ceil(len(chosen) / STRIP_COLUMNS)
    columns = math.ceil(len(chosen) / rows)
    width, height = card.width + _GAP, card.height + _GAP
    strip = Image.new(card.mode, (columns * width + _GAP, rows * height + _GAP))
    for index, frame in enumerate(chosen):
        row, column = divmod(index, columns)
        strip.paste(card.show(frame), (_GAP + column * width, _GAP + row * height))
    with AtomicFile(path) as beside:
        strip.save(beside)


def write_gif(
    frames: Sequence[Frame], path: str | os.PathLike[str], frame_duration_s: float, last_frame_duration_s: float
) -> None:
    """Write the frames one after the other, each with its caption, to an animated GIF that runs for ever.

    Args:
        frames: in order, at least one; of more than `GIF_FRAMES` as many are chosen evenly.
        path: of the GIF file.
        frame_duration_s: how long each is shown.
        last_frame_duration_s: how long the last is held.
    """
    chosen = choose_evenly(frames, GIF_FRAMES)
    card = _Card(chosen)
    durations_ms = [round(1000 * frame_duration_s)] * (len(chosen) - 1) + [round(1000 * last_frame_duration_s)]
    images = (card.show(frame) for frame in chosen)
    first = next(images)
    with AtomicFile(path) as beside:
        first.save(beside, save_all=True, append_images=images, duration=durations_ms, loop=0)


def choose_evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most so many of the items, evenly chosen, the first and the last always among them.

    Example:
        >>> choose_evenly(range(100), 4)
        [0, 33, 66, 99]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(position)] for position in np.linspace(0, len(items) - 1, most)]


class _Card:
    """A sheet on which each frame of a film fits, with a band for the caption under it.

    Args:
        frames: all of them: only their files' headers are read here.
        most_side: frames with a longer side than so many pixels are made smaller, all by the same factor.
    """

    def __init__(self, frames: Sequence[Frame], most_side: int | None = None) -> None:
        widths, heights, modes = [], [], set()
        for frame in frames:
            with Image.open(frame.path) as file:
                widths.append(file.width)
                heights.append(file.height)
                modes.add(file.mode)
        self._factor = 1.0 if most_side is None else min(1.0, most_side / max(widths + heights))
        self._font = ImageFont.load_default(_FONT_SIZE)
        texts = [math.ceil(self._font.getlength(frame.caption)) for frame in frames]
        self.mode = "RGB" if "RGB" in modes else "L"
        self.picture_height = self._scaled(max(heights))
        self.width = max(self._scaled(max(widths)), *texts)
        self.height = self.picture_height + _BAND_HEIGHT

    def show(self, frame: Frame) -> Image.Image:
        """Return the card with one frame on it."""
        with Image.open(frame.path) as file:
            picture = file.convert(self.mode)
        if self._factor < 1:
            size = (self._scaled(picture.width), self._scaled(picture.height))
            picture = picture.resize(size, Image.Resampling.BOX)
        sheet = Image.new(self.mode, (self.width, self.height))
        sheet.paste(picture, ((self.width - picture.width) // 2, self.picture_height - picture.height))
        ImageDraw.Draw(sheet).text(
            (self.width / 2, self.picture_height + _BAND_HEIGHT / 2),
            frame.caption,
            fill=_INK if self.mode == "L" else (_INK,) * 3,
            font=self._font,
            anchor="mm",
        )
        return sheet

    def _scaled(self, length: int) -> int:
        return max(1, round(length * self._factor))
