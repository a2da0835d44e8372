"""`ImageGrid` in a loop: when it draws, what it leaves, and that it disturbs nothing."""

import os
import pickle
import random
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import onlooker as ol
from onlooker.callbacks.image_grid import DirectoryError, ImageGrid, film
from onlooker.core.errors import AttachError, PictureError


class Painter(torch.nn.Module):
    """Draws four pictures whose grey is its one weight; dropout shows in which mode it is."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(0.0))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self):
        return self.dropout(self.level.expand(4, 8, 8))


def fit(callbacks, epochs=4, model=None, in_batch=lambda epoch, batch: None, **settings):
    """Train for some epochs of two batches; after each epoch the painter's grey is epoch / 10."""
    model = Painter() if model is None else model
    with ol.Loop(model, torch.optim.SGD(model.parameters(), lr=0.1), callbacks=callbacks, **settings) as loop:
        for epoch in loop.epochs(epochs):
            for batch in loop.train(range(2)):
                in_batch(epoch, batch)
                with torch.no_grad():
                    model.level.fill_((epoch + 1) / 10)
    return loop.run


def grid_of(directory, **settings):
    return ImageGrid(lambda model: model(), directory, **settings)


def greys(path):
    """The grey in the middle of the first picture, in each frame of a file."""
    with Image.open(path) as image:
        return [
            frame.convert("L").getpixel((frame.width // 4, frame.width // 4)) for frame in ImageSequence.Iterator(image)
        ]


def test_each_drawing_is_a_file_and_the_film_shows_them_all(tmp_path):
    grid = grid_of(tmp_path / "new" / "pictures", name="greys", scale=3)
    fit([grid])
    assert sorted(os.listdir(grid.directory)) == [
        *(f"greys-epoch-000{epoch}.png" for epoch in (1, 2, 3, 4)),
        "greys-strip.png",
        "greys.gif",
    ]
    levels = [26, 51, 76, 102]
    for drawing, level in zip(grid.drawings, levels, strict=True):
        with Image.open(grid.directory / drawing.file_name) as image:
            pixels = np.asarray(image)
        assert pixels.shape == (3 * 19, 3 * 19)
        assert (pixels[3:27, 3:27] == level).all()
    assert greys(grid.gif_path) == levels
    assert grid.strip_path == grid.directory / "greys-strip.png"
    assert [drawing.caption for drawing in grid.drawings] == ["epoch 1", "epoch 2", "epoch 3", "epoch 4"]


def test_a_trigger_chooses_the_epochs(tmp_path):
    grid = grid_of(tmp_path, when=ol.every(epochs=3) | ol.at(epochs=[0]))
    fit([grid], epochs=7)
    assert [drawing.epochs for drawing in grid.drawings] == [1, 3, 6]


def test_the_first_drawing_may_come_before_the_training(tmp_path):
    grid = grid_of(tmp_path, when=ol.every(epochs=2), before_training=True)
    fit([grid])
    assert [(d.epochs, d.caption) for d in grid.drawings] == [(0, "before training"), (2, "epoch 2"), (4, "epoch 4")]
    assert greys(grid.gif_path) == [0, 51, 102]


def test_every_sink_gets_the_pictures(tmp_path):
    class Sink(ol.Callback):
        kept = ()

        def keep(self, record):
            self.kept = (*self.kept, record)

    sink, grid = Sink(), grid_of(tmp_path, name="greys", before_training=True, scale=1)
    fit([grid, sink], epochs=2)
    assert [(r.name, r.epoch, r.pixels.shape, r.pixels.dtype) for r in sink.kept] == [
        ("greys", epoch, (19, 19), np.uint8) for epoch in (None, 0, 1)
    ]
    for record in sink.kept:
        with Image.open(record.path) as image:
            np.testing.assert_array_equal(np.asarray(image), record.pixels)


def test_drawing_changes_nothing(tmp_path):
    def disturb(model):
        assert not model.training
        assert not torch.is_grad_enabled()
        random.random()
        np.random.rand()
        return torch.rand(4, 8, 8) * model().mean()

    ends = []
    for callbacks in ([], [ImageGrid(disturb, tmp_path, before_training=True)]):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        drawn = []
        model = Painter()
        fit(
            callbacks, model=model, in_batch=lambda *_, model=model, drawn=drawn: drawn.append(model().detach().clone())
        )
        ends.append((torch.stack(drawn), random.random(), np.random.rand(), torch.rand(3), model.training))
    assert len(os.listdir(tmp_path)) == 7
    without, with_grid = ends
    assert torch.equal(without[0], with_grid[0])
    assert without[1:3] == with_grid[1:3]
    assert torch.equal(without[3], with_grid[3])
    assert without[4] is with_grid[4] is True


def test_random_numbers_within_are_the_same_each_time(tmp_path):
    drawn = []

    def draw(model):
        drawn.append(torch.rand(4, 8, 8))
        return drawn[-1]

    fit([ImageGrid(draw, tmp_path, seed=3)], epochs=2)
    fit([ImageGrid(draw, tmp_path, seed=4)], epochs=1)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_drawing_that_fails_warns_and_the_others_are_made(tmp_path):
    def draw(model):
        return model() * (float("nan") if 0.15 < model.level < 0.25 else 1)

    grid = ImageGrid(draw, tmp_path)
    with pytest.warns(
        ol.OnlookerWarning, match=r"ImageGrid.on_epoch_end, epoch 1: PictureError\(.4 of 4 images have NaN"
    ):
        run = fit([grid])
    assert run.outcome == "completed"
    assert [drawing.epochs for drawing in grid.drawings] == [1, 3, 4]
    assert greys(grid.gif_path) == [26, 76, 102]


def test_whoever_wants_errors_gets_them(tmp_path):
    grid = ImageGrid(lambda model: model() - 1, tmp_path)
    grid.on_error = "raise"
    with pytest.raises(PictureError, match=r"from -0\.9 to -0\.9; expected 0 to 1; pass value_range=\(-1, 1\)"):
        fit([grid])


def test_a_directory_that_cannot_be_written_ends_the_training_before_it_begins(tmp_path):
    (tmp_path / "file").touch()
    begun = []
    grid = grid_of(tmp_path / "file" / "pictures", before_training=True)
    with pytest.raises(DirectoryError, match="cannot write to directory"):
        fit([grid], in_batch=lambda *_: begun.append(1))
    assert not begun
    assert grid.on_error == "warn", "as it was: the instance may be used again"
    grid.directory = tmp_path / "pictures"
    fit([grid])
    assert len(os.listdir(tmp_path / "pictures")) == 7


def test_a_directory_that_vanishes_later_only_warns(tmp_path):
    grid = grid_of(tmp_path / "pictures")

    def block(epoch, batch):
        if (epoch, batch) == (2, 0):
            for name in os.listdir(grid.directory):
                os.remove(grid.directory / name)
            os.rmdir(grid.directory)
            grid.directory.touch()

    with pytest.warns(ol.OnlookerWarning) as caught:
        run = fit([grid], in_batch=block)
    assert run.outcome == "completed"
    assert any("2 of 2 drawings are no longer in" in str(warning.message) for warning in caught)
    assert grid.gif_path is None


@pytest.mark.parametrize(("error", "outcome"), [(KeyboardInterrupt, "interrupted"), (RuntimeError, "failed")])
def test_a_training_that_is_cut_off_leaves_its_film(tmp_path, error, outcome):
    grid = grid_of(tmp_path)

    def cut(epoch, batch):
        if (epoch, batch) == (2, 1):
            raise error

    with pytest.raises(error):
        fit([grid], in_batch=cut)
    assert grid.run.outcome == outcome
    assert greys(grid.gif_path) == [26, 51]
    assert sorted(os.listdir(tmp_path)) == [
        "images-epoch-0001.png",
        "images-epoch-0002.png",
        "images-strip.png",
        "images.gif",
    ]


def test_an_epoch_that_the_user_leaves_is_drawn(tmp_path):
    """Its end comes late, but the training was not cut off."""
    grid, model = grid_of(tmp_path), Painter()
    with ol.Loop(model, callbacks=[grid]) as loop:
        for _ in loop.epochs(9):
            for _ in loop.train(range(2)):
                pass
            break
    assert [drawing.epochs for drawing in grid.drawings] == [1]
    assert greys(grid.gif_path) == [0]


def test_a_training_without_drawings_makes_no_film(tmp_path):
    grid = grid_of(tmp_path, when=ol.every(epochs=9))
    fit([grid])
    assert os.listdir(tmp_path) == []
    assert grid.strip_path is grid.gif_path is None


class SaveAt(ol.Callback):
    """Saves the run when an epoch ends, and then lets it fail."""

    def __init__(self, epoch, path):
        self.epoch, self.path = epoch, path

    def on_epoch_end(self, epoch, logs):
        if epoch == self.epoch:
            self.run.save(self.path)
            raise RuntimeError("the power is off")


def test_a_resumed_run_goes_on_with_the_film(tmp_path):
    pictures, checkpoint = tmp_path / "pictures", tmp_path / "run.pt"
    with pytest.raises(RuntimeError, match="power"):
        fit([grid_of(pictures, before_training=True), SaveAt(1, checkpoint)], epochs=4)
    grid = grid_of(pictures, before_training=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ol.OnlookerWarning)
        run = fit([grid], epochs=4, resume=checkpoint)
    assert run.is_resumed
    assert [drawing.epochs for drawing in grid.drawings] == [0, 1, 2, 3, 4]
    assert greys(grid.gif_path) == [0, 26, 51, 76, 102]


def test_an_epoch_that_is_trained_a_second_time_is_in_the_film_once(tmp_path):
    class Rewind(ol.Callback):
        @ol.at(epochs=[0])
        def on_epoch_begin(self, epoch, logs):
            grid.load_state_dict({"drawings": [[0, "a.png"], [1, "b.png"], [7, "c.png"]]})

    grid = grid_of(tmp_path)
    film.write_png(np.zeros((9, 9), np.uint8), tmp_path / "a.png")
    fit([Rewind(), grid], epochs=2)
    assert [tuple(drawing) for drawing in grid.drawings] == [
        (0, "a.png"),
        (1, "images-epoch-0001.png"),
        (2, "images-epoch-0002.png"),
    ]


def test_drawings_that_are_gone_when_the_film_is_made_are_said(tmp_path):
    grid = grid_of(tmp_path)

    def remove(epoch, batch):
        if (epoch, batch) == (3, 0):
            os.remove(tmp_path / "images-epoch-0002.png")

    with pytest.warns(ol.OnlookerWarning, match="1 of 4 drawings are no longer in"):
        fit([grid], in_batch=remove)
    assert greys(grid.gif_path) == [26, 76, 102]


def test_the_same_instance_starts_a_new_film_in_its_next_run(tmp_path):
    grid = grid_of(tmp_path)
    fit([grid], epochs=4)
    fit([grid], epochs=2)
    assert [drawing.epochs for drawing in grid.drawings] == [1, 2]
    assert greys(grid.gif_path) == [26, 51]


def test_only_paths_are_kept_between_drawings(tmp_path):
    """The state of ten drawings is far smaller than one of their pictures."""
    grid = grid_of(tmp_path)
    fit([grid], epochs=10)
    assert len(grid.drawings) == 10
    grid.draw = None  # a lambda cannot be pickled
    assert len(pickle.dumps(grid)) < 2000


def test_the_film_is_made_once(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(film, "write_gif", lambda *arguments: made.append(arguments))
    fit([grid_of(tmp_path)])
    assert len(made) == 1


def test_a_host_that_cannot_observe_is_refused(tmp_path):
    from onlooker.core.declaration import Declaration, absent
    from onlooker.core.dispatch import Dispatcher
    from onlooker.core.run import Run

    host = Declaration("Elsewhere", use="", abilities={"observing": absent("its model is far away")})
    with pytest.raises(
        AttachError, match="ImageGrid needs 'observing', which is absent in Elsewhere: its model is far"
    ):
        Dispatcher([grid_of(tmp_path)], Run(host=host))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "NWH"}, "layout='NWH'; expected one of HW"),
        ({"value_range": (1, -1)}, r"value_range=\(1, -1\)"),
        ({"columns": 0}, "columns=0; expected a whole number of 1 or more"),
        ({"scale": 1.5}, "scale=1.5; expected a whole number"),
        ({"padding": -1}, "padding=-1; expected a whole number of 0 or more"),
        ({"padding": None}, "padding=None"),
        ({"name": "a/b"}, "name='a/b' cannot begin the name of a file"),
        ({"name": ""}, "name=''"),
        ({"frame_duration_s": 0}, "frame_duration_s=0"),
        ({"last_frame_duration_s": -1}, "last_frame_duration_s=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"name": 5}, r"^name=5 cannot begin the name of a file"),
        ({"frame_duration_s": "a"}, r"^frame_duration_s='a'; expected seconds"),
    ],
)
def test_bad_settings_are_refused_at_once(tmp_path, settings, message):
    with pytest.raises(PictureError, match=message):
        grid_of(tmp_path, **settings)


@pytest.mark.parametrize("directory", [5, None, b"pictures", ["pictures"]])
def test_a_directory_must_be_a_path(directory):
    with pytest.raises(PictureError, match=r"^directory=.*; expected the path of a directory, for example 'pictures'"):
        grid_of(directory)


@pytest.mark.parametrize(
    ("draw", "shown"), [(lambda: 1, r"<lambda>\(\)"), (lambda model, noise: 1, r"<lambda>\(model, noise\)")]
)
def test_what_cannot_be_called_with_the_model_alone_is_refused_at_once(tmp_path, draw, shown):
    with pytest.raises(
        PictureError, match=rf"^draw is called with the model, as draw\(model\), but {shown} cannot be;"
    ):
        ImageGrid(draw, tmp_path)


def test_what_draws_may_take_more_than_the_model(tmp_path):
    for draw in (lambda *models: 1, lambda model, noise=None: 1, Painter(), max):
        ImageGrid(draw, tmp_path)


def test_a_forgotten_return_is_called_so(tmp_path):
    grid = ImageGrid(lambda model: None, tmp_path)
    with pytest.warns(ol.OnlookerWarning, match=r"draw returned None; expected images: is its `return` missing"):
        fit([grid], epochs=1)


def test_two_grids_that_write_the_same_files_are_refused_before_the_first_epoch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun = []
    grids = [grid_of(tmp_path / "pictures"), grid_of("pictures")]
    message = r"^two ImageGrids write images-… to '.*pictures' .*; give one of them another name=, or another directory"
    with pytest.raises(PictureError, match=message):
        fit(grids, in_batch=lambda epoch, batch: begun.append(epoch))
    assert begun == []
    assert not (tmp_path / "pictures").exists()


def test_two_grids_may_share_a_directory_or_a_name(tmp_path):
    grids = [grid_of(tmp_path / "a"), grid_of(tmp_path / "b"), grid_of(tmp_path / "a", name="greys")]
    fit(grids, epochs=1)
    assert [len(grid.drawings) for grid in grids] == [1, 1, 1]
    assert len(os.listdir(tmp_path / "a")) == 6


def test_of_many_drawings_the_film_shows_some_and_all_are_kept(tmp_path):
    grid = grid_of(tmp_path, scale=1, value_range=(0, 20))
    fit([grid], epochs=130)
    assert len(grid.drawings) == len(list(tmp_path.glob("images-epoch-*.png"))) == 130
    with Image.open(grid.gif_path) as gif:
        assert gif.n_frames == film.GIF_FRAMES == 120
    words = " ".join(ImageGrid.__doc__.split())
    assert f"The strip shows {film.STRIP_FRAMES} drawings at most, the GIF {film.GIF_FRAMES}." in words


def test_what_draws_must_be_a_function(tmp_path):
    with pytest.raises(PictureError, match=r"draw=tensor\(0.\); expected a function of the model"):
        ImageGrid(torch.tensor(0.0), tmp_path)
