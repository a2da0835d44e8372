"""`ImageGrid`: when a model draws, and what is kept of it.

Owns the moments, the names of the files and the list of what was drawn. What a picture is stands in `pixels`, how
pictures become a film in `film`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from onlooker.core.callback import Callback
from onlooker.core.errors import PictureError, warn
from onlooker.core.logs import Logs
from onlooker.core.parameters import parameters_of
from onlooker.core.record import Picture
from onlooker.core.trigger import Trigger

from . import film, pixels
from .directory import prepare_directory


class Drawing(NamedTuple):
    """One drawing.

    Attributes:
        epochs: how many epochs were behind.
        file_name: its PNG file, in the callback's directory.
    """

    epochs: int
    file_name: str

    @property
    def caption(self) -> str:
        """What stands under it in the film."""
        return f"epoch {self.epochs}" if self.epochs else "before training"


class ImageGrid(Callback):
    """Has a model draw pictures at the end of epochs, and makes a film of how they emerged.

    Each drawing is one PNG file of all the pictures side by side, named after the number of epochs that are behind:
    `digits-epoch-0010.png`. When the training ends, however it ends, the drawings become `digits-strip.png` and
    `digits.gif`. A drawing is also recorded as a `Picture`.

    The strip shows 24 drawings at most, the GIF 120. Of more they take as many, evenly spaced, the first and the last
    always among them. The PNG files are all kept.

    Drawing changes nothing: it happens in `run.observing(seed)`, in evaluation mode and without gradients, and random
    numbers drawn there are the same each time. A drawing that fails (`on_error = "warn"`) does not harm the training; a
    directory that cannot be written ends it before the first epoch.

    Acts in: `on_train_begin`, `on_epoch_end`, `on_train_end`. Reads and writes no logs.

    Args:
        draw: a function of the model that returns images, as `pixels.to_pixels` takes them: an array of any library,
            uint8, floats or bool.
        directory: where the files go; made if need be. Files of the same names are replaced.
        name: what the pictures show; the first part of the files' names. Two grids of one run that share a directory
            need different ones.
        layout: of the images: HW, HWC, CHW, NHW, NHWC or NCHW; None (default) to infer it where it is unambiguous.
        value_range: the lowest and the highest value that floats can have. Default (0, 1).
        columns: how many pictures stand beside each other; None (default) for as near to square as it goes.
        scale: how many times the pictures are enlarged, by whole pixels; None (default) for 480 pixels or more.
        padding: pixels between the pictures, before enlarging. Default 1.
        when: which epochs draw, for example `onlooker.every(epochs=5)`; None (default) for all.
        before_training: whether to draw once before the first epoch. Default False.
        seed: of the random numbers within a drawing. Default 0.
        frame_duration_s: how long the GIF shows a drawing. Default 0.4.
        last_frame_duration_s: how long it holds the last. Default 2.5.

    Attributes:
        drawings: what was drawn in this run, as `Drawing`s, in order.
        strip_path: the film strip; None until it is written.
        gif_path: the animated GIF; None until it is written.

    Raises:
        PictureError: an argument can never be right, when it is made; or another grid of the run writes the same files,
            when the training begins. Later, as a warning: what `draw` returned is no picture of the declared layout and
            range.
        DirectoryError: when the training begins.

    Example:
        >>> import os, tempfile, torch, onlooker as ol
        >>> model, noise = torch.nn.Linear(4, 64), torch.randn(9, 4)
        >>> grid = ol.callbacks.ImageGrid(lambda model: model(noise).sigmoid().view(9, 8, 8), tempfile.mkdtemp())
        >>> with ol.Loop(model, callbacks=[grid]) as loop:
        ...     for epoch in loop.epochs(2):
        ...         for batch in loop.train(range(3)):
        ...             pass
        >>> sorted(os.listdir(grid.directory))
        ['images-epoch-0001.png', 'images-epoch-0002.png', 'images-strip.png', 'images.gif']
    """

    on_error = "warn"
    only_on = "rank 0"
    needs = ("observing",)

    def __init__(
        self,
        draw: Callable[[Any], Any],
        directory: str | os.PathLike[str],
        *,
        name: str = "images",
        layout: str | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
        columns: int | None = None,
        scale: int | None = None,
        padding: int = 1,
        when: Trigger | None = None,
        before_training: bool = False,
        seed: int = 0,
        frame_duration_s: float = 0.4,
        last_frame_duration_s: float = 2.5,
    ) -> None:
        _check_function(draw)
        pixels.check_layout(layout)
        pixels.check_value_range(value_range)
        _check_file_name(name)
        _check_path(directory)
        _check_count("columns", 1 if columns is None else columns, 1)
        _check_count("scale", 1 if scale is None else scale, 1)
        _check_count("padding", padding, 0)
        _check_count("seed", seed, 0)
        _check_duration("frame_duration_s", frame_duration_s)
        _check_duration("last_frame_duration_s", last_frame_duration_s)
        self.draw = draw
        self.directory = Path(directory)
        self.name = name
        self.layout = layout
        self.value_range = value_range
        self.columns = columns
        self.scale = scale
        self.padding = padding
        self.when = when
        self.before_training = before_training
        self.seed = seed
        self.frame_duration_s = frame_duration_s
        self.last_frame_duration_s = last_frame_duration_s
        self.drawings: list[Drawing] = []
        self.strip_path: Path | None = None
        self.gif_path: Path | None = None
        self._policy: str | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start a new film."""
        self.drawings = []
        self.strip_path = self.gif_path = None
        # Nothing is lost yet, so here an error is kinder than hours of warnings.
        self._policy, self.on_error = self.on_error, "raise"
        self._check_others()
        prepare_directory(self.directory)
        self._restore_policy()
        if self.before_training and not self.run.is_resumed:
            self._draw(epochs=0)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw, unless the epoch was cut off in its middle."""
        if self.run.is_epoch_complete:
            self._draw(epochs=epoch + 1)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Make the film of what was drawn."""
        self._restore_policy()
        frames = [film.Frame(self.directory / drawing.file_name, drawing.caption) for drawing in self.drawings]
        there = [frame for frame in frames if os.path.exists(frame.path)]
        if len(there) < len(frames):
            warn(
                f"{len(frames) - len(there)} of {len(frames)} drawings are no longer in {str(self.directory)!r}; "
                f"the film is made without them"
            )
        if not there:
            return
        strip_path, gif_path = self.directory / f"{self.name}-strip.png", self.directory / f"{self.name}.gif"
        film.write_strip(there, strip_path)
        self.strip_path = strip_path
        film.write_gif(there, gif_path, self.frame_duration_s, self.last_frame_duration_s)
        self.gif_path = gif_path

    def state_dict(self) -> dict[str, Any]:
        """Return the list of drawings, so that a resumed run goes on with the film."""
        return {"drawings": [list(drawing) for drawing in self.drawings]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned. The files have to be in the directory still."""
        self.drawings = [Drawing(int(epochs), str(file_name)) for epochs, file_name in state["drawings"]]

    def _check_others(self) -> None:
        """Refuse a run in which another grid writes the same files."""
        for other in self.run.callbacks:
            if (
                isinstance(other, ImageGrid)
                and other is not self
                and (other.name, other.directory.resolve()) == (self.name, self.directory.resolve())
            ):
                raise PictureError(
                    f"two ImageGrids write {self.name}-… to {str(self.directory)!r} and would replace each other's "
                    f"files; give one of them another name=, or another directory"
                )

    def _restore_policy(self) -> None:
        if self._policy is not None:
            self.on_error, self._policy = self._policy, None

    def _draw(self, epochs: int) -> None:
        run = self.run
        with run.observing(seed=self.seed):
            drawn = self.draw(self.model)
            if drawn is None:
                raise PictureError("draw returned None; expected images: is its `return` missing?")
            images = pixels.to_pixels(drawn, self.layout, self.value_range)
        grid = pixels.arrange(images, self.columns, scale=self.scale, padding=self.padding)
        drawing = Drawing(epochs, f"{self.name}-epoch-{epochs:04d}.png")
        path = self.directory / drawing.file_name
        film.write_png(grid, path)
        # A resumed run may train an epoch again that was drawn before it was cut off.
        self.drawings = [*(earlier for earlier in self.drawings if earlier.epochs < epochs), drawing]
        run.record(Picture(self.name, grid, path=str(path)))


def _check_function(draw: Any) -> None:
    if not callable(draw):
        raise PictureError(f"draw={draw!r}; expected a function of the model that returns images")
    parameters = parameters_of(draw)
    if parameters is not None and parameters.problem(1):
        raise PictureError(
            f"draw is called with the model, as draw(model), but {getattr(draw, '__name__', draw)}"
            f"({', '.join(parameters.names)}) cannot be; write for example draw=lambda model: model(noise)"
        )


def _check_path(directory: Any) -> None:
    try:
        Path(directory)
    except TypeError:
        raise PictureError(
            f"directory={directory!r}; expected the path of a directory, for example 'pictures'"
        ) from None


def _check_file_name(name: str) -> None:
    if not isinstance(name, str) or not name or name != Path(name).name or "\0" in name:
        raise PictureError(f"name={name!r} cannot begin the name of a file; expected a word, for example 'digits'")


def _check_count(argument: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise PictureError(f"{argument}={value!r}; expected a whole number of {least} or more")


def _check_duration(argument: str, value_s: float) -> None:
    if not isinstance(value_s, int | float) or not 0.02 <= value_s <= 600:
        raise PictureError(f"{argument}={value_s!r}; expected seconds, from 0.02 (the fastest that a GIF can) to 600")
