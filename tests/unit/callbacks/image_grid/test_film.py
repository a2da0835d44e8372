"""The files of the film, read back."""

import os
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageSequence

from onlooker.callbacks.image_grid import film
from onlooker.callbacks.image_grid.film import Frame, choose_evenly, write_gif, write_png, write_strip


def make_frames(directory, values, side=200, channels=()):
    frames = []
    for number, value in enumerate(values):
        path = directory / f"{number}.png"
        write_png(np.full((side, side, *channels), value, np.uint8), path)
        frames.append(Frame(path, f"epoch {number}"))
    return frames


def test_a_png_is_what_was_drawn(tmp_path):
    for shape in ((4, 6), (4, 6, 3)):
        pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        write_png(pixels, tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as image:
            np.testing.assert_array_equal(np.asarray(image), pixels)
    assert os.listdir(tmp_path) == ["a.png"]


def test_the_strip_shows_the_frames_in_reading_order(tmp_path):
    values = [50, 70, 90, 110, 130, 150, 170, 190, 210]  # one more than fits beside each other: rows of five and four
    write_strip(make_frames(tmp_path, values), tmp_path / "strip.png")
    with Image.open(tmp_path / "strip.png") as image:
        strip = np.asarray(image)
    gap, side, height = 6, 200, 222
    assert strip.shape == (2 * (height + gap) + gap, 5 * (side + gap) + gap)
    for index, value in enumerate(values):
        top, left = gap + index // 5 * (height + gap), gap + index % 5 * (side + gap)
        assert (strip[top : top + side, left : left + side] == value).all()
        band = strip[top + side : top + height, left : left + side]
        assert band.max() > 200, "the caption is written"
        assert band.min() == 0


def test_a_long_strip_shows_a_choice_made_smaller(tmp_path):
    values = np.linspace(1, 255, 100).astype(np.uint8)
    write_strip(make_frames(tmp_path, values, side=300), tmp_path / "strip.png")
    with Image.open(tmp_path / "strip.png") as image:
        assert image.size == (8 * 206 + 6, 3 * (200 + 22 + 6) + 6)
        assert image.getpixel((6, 6)) == 1
        assert image.getpixel((7 * 206 + 6, 2 * 228 + 6)) == 255


@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_gif_shows_every_frame_and_holds_the_last(tmp_path, channels):
    values = [10, 120, 240]
    write_gif(make_frames(tmp_path, values, channels=channels), tmp_path / "film.gif", 0.4, 2.5)
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 3
        assert gif.info["loop"] == 0
        shown = [(frame.info["duration"], np.asarray(frame.convert("RGB"))) for frame in ImageSequence.Iterator(gif)]
    assert [duration for duration, _ in shown] == [400, 400, 2500]
    for value, (_, pixels) in zip(values, shown, strict=True):
        assert pixels.shape == (222, 200, 3)
        assert (pixels[:200] == value).all()


def test_a_gif_of_one_frame(tmp_path):
    write_gif(make_frames(tmp_path, [77]), tmp_path / "film.gif", 0.4, 2.5)
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 1
        assert gif.convert("L").getpixel((5, 5)) == 77


def test_frames_of_different_sizes_and_kinds_make_one_film(tmp_path):
    frames = make_frames(tmp_path, [100])
    write_png(np.full((300, 260, 3), (10, 200, 30), np.uint8), tmp_path / "large.png")
    frames.append(Frame(tmp_path / "large.png", "later"))
    write_gif(frames, tmp_path / "film.gif", 0.4, 2.5)
    write_strip(frames, tmp_path / "strip.png")
    with Image.open(tmp_path / "film.gif") as gif:
        first, second = (np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif))
    assert first.shape == second.shape == (322, 260, 3)
    assert first[250, 130].tolist() == [100, 100, 100]
    assert first[50, 130].tolist() == [0, 0, 0], "the smaller one stands on the caption"
    assert np.abs(second[150, 130].astype(int) - (10, 200, 30)).max() < 8, "a GIF has 256 colours"


def test_a_caption_wider_than_the_pictures_is_not_cut(tmp_path):
    frames = [Frame(path, "before training, and long before") for path, _ in make_frames(tmp_path, [100, 200], side=8)]
    write_gif(frames, tmp_path / "film.gif", 0.4, 2.5)
    with Image.open(tmp_path / "film.gif") as gif:
        pixels = np.asarray(gif.convert("L"))
    assert pixels.shape[1] > 150
    inked = np.flatnonzero(pixels[8:].max(axis=0) > 100)
    assert inked.min() < 10
    assert inked.max() > pixels.shape[1] - 10


def test_a_long_film_is_thinned_out_and_costs_no_more_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "GIF_FRAMES", 5)
    frames = make_frames(tmp_path, np.arange(60) * 4)
    peaks = []
    for chosen in (frames[:5], frames):
        tracemalloc.start()
        write_gif(chosen, tmp_path / "film.gif", 0.1, 0.5)
        write_strip(chosen, tmp_path / "strip.png")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 5
        gif.seek(4)
        assert gif.convert("L").getpixel((5, 5)) == 59 * 4
    assert peaks[1] < 2 * peaks[0] + 200_000


def test_a_film_that_cannot_be_written_leaves_the_old_one(tmp_path):
    frames = make_frames(tmp_path, [10, 20])
    write_gif(frames, tmp_path / "film.gif", 0.4, 2.5)
    before = (tmp_path / "film.gif").read_bytes()
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(OSError, match="cannot identify"):
        write_gif(frames, tmp_path / "film.gif", 0.4, 2.5)
    assert (tmp_path / "film.gif").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["0.png", "1.png", "film.gif"]


def test_the_same_frames_make_the_same_bytes(tmp_path):
    frames = make_frames(tmp_path, [10, 120])
    for name in ("a", "b"):
        write_gif(frames, tmp_path / f"{name}.gif", 0.4, 2.5)
        write_strip(frames, tmp_path / f"{name}.png")
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(("count", "most"), [(1, 4), (4, 4), (5, 4), (1000, 120), (25, 24)])
def test_an_even_choice_is_in_order_and_has_both_ends(count, most):
    chosen = choose_evenly(range(count), most)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, most)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
