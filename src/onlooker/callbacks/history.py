"""`History`: the curves of a training.

Owns what was logged at the ends of the epochs, in memory. How a figure of it looks is `curve_figure`'s business.
"""

from __future__ import annotations

from onlooker.core.callback import Callback
from onlooker.core.errors import missing_extra

from .numbers_in import numbers_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from onlooker.core.logs import Logs

    Figure = Any  # of matplotlib


class History(Callback):
    """Remembers what was logged at the end of each epoch, and draws it.

    `Trainer.fit` returns one. It waits for no device: the numbers are fetched when somebody asks for them, when the
    next epoch begins, or when the training ends. What callbacks assign to an epoch's logs is in it, wherever in the
    list they stand; to be complete in a checkpoint it must stand before the callback that saves.

    Acts in `on_train_begin`, where it forgets the training before, `on_epoch_begin`, `on_epoch_end` and `on_train_end`.
    Reads from the logs of `on_epoch_end` all that is a number; writes none.

    An epoch that was cut off in its middle, by an error, Ctrl-C or leaving the loop from a batch, is left out.

    A name that is logged in some epochs only, such as a validation in every fifth, has fewer values than there are
    epochs, as in Keras, so that `min(history.history["val_loss"])` means what it says. `curve` tells which epochs they
    belong to, and `plot` puts them there.

    Attributes:
        epochs: the indices of the epochs, from 0.
        history: by name, the values of the epochs in which the name was logged, as floats.

    Raises:
        MissingExtraError: from `plot`, where matplotlib is not installed.

    Source: `keras.callbacks.History`, whose `epoch` is a second name of `epochs` here.

    Example:
        >>> import onlooker as ol
        >>> history = ol.callbacks.History()
        >>> with ol.Loop(model=None, callbacks=[history]) as loop:
        ...     for epoch in loop.epochs(4):
        ...         for number in loop.train([1.0, 2.0]):
        ...             loop.log(loss=number / (epoch + 1))
        ...         if epoch % 2:
        ...             for number in loop.test([1.0]):
        ...                 loop.log(loss=number)
        >>> history.epochs, history.history
        ([0, 1, 2, 3], {'loss': [1.5, 0.75, 0.5, 0.375], 'val_loss': [1.0, 1.0]})
        >>> history.curve("val_loss")
        ([1, 3], [1.0, 1.0])
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._epochs: list[int] = []
        self._values: dict[str, list[float]] = {}
        self._epochs_of: dict[str, list[int]] = {}
        self._latest: tuple[int, Any] | None = None  # logs that may still be on a device, or be added to

    def __repr__(self) -> str:
        return f"History({len(self.epochs)} epochs: {', '.join(self.history) or 'nothing'})"

    def __getstate__(self) -> dict[str, Any]:
        """Fetch what is still on a device: a copy is complete."""
        self._take()
        return {**super().__getstate__(), "_latest": None}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget the training before."""
        self._forget()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take over the epoch before, to which nobody adds any more."""
        self._finish()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the logs, without reading them; those of an epoch that was cut off are no point of a curve."""
        self._finish()
        if self.run.is_epoch_complete:
            self._latest = (epoch, logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Take over the last epoch."""
        self._finish()

    @property
    def epochs(self) -> list[int]:
        """The indices of the epochs, from 0."""
        self._take()
        return self._epochs

    epoch = epochs

    @property
    def history(self) -> dict[str, list[float]]:
        """By name, the values of the epochs in which the name was logged."""
        self._take()
        return self._values

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Return the epochs in which a name was logged, and the values.

        Raises:
            KeyError: it never was.
        """
        self._take()
        if name not in self._values:
            raise KeyError(f"{name!r} is not in the history; available: {', '.join(self._values) or 'nothing'}")
        return self._epochs_of[name], self._values[name]

    def state_dict(self) -> dict[str, Any]:
        """Return all curves so far, as plain data."""
        self._take()
        return {
            "epochs": list(self._epochs),
            "curves": {name: list(zip(*self.curve(name), strict=True)) for name in self._values},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned, so that a resumed training has the whole curves."""
        self._forget()
        self._epochs = list(state["epochs"])
        for name, points in state["curves"].items():
            self._epochs_of[name] = [epoch for epoch, _ in points]
            self._values[name] = [value for _, value in points]

    def plot(self, names: Iterable[str] | None = None) -> Figure:
        """Draw the curves: one axes for each metric, training and validation together.

        Args:
            names: of the metrics, for example `["loss"]`; None (default) for all.

        Returns:
            A figure of matplotlib: `figure.savefig("curves.png")`; `matplotlib.pyplot.show()` shows it in a window.

        Raises:
            MissingExtraError: matplotlib is not installed.
            KeyError: a name is not in the history.
        """
        try:
            from .curve_figure import draw_curves
        except ImportError as error:
            raise missing_extra("plot", "matplotlib") from error
        panels: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
        for name in self.history if names is None else [names] if isinstance(names, str) else names:
            metric = name.removeprefix("val_")
            panel = panels.setdefault(metric, {})
            if name == metric:
                panel["training"] = self.curve(name)
            if name != metric or f"val_{metric}" in self._values:
                panel["validation"] = self.curve(f"val_{metric}")
        return draw_curves(panels)

    def _finish(self) -> None:
        """Take over the latest epoch for good."""
        self._take()
        self._latest = None

    def _take(self) -> None:
        """Read the logs of the latest epoch; again where they were read before, as callbacks may have added to them."""
        if self._latest is None:
            return
        epoch, logs = self._latest
        if not self._epochs or self._epochs[-1] != epoch:
            self._epochs.append(epoch)
        for name, value in numbers_in(logs).items():
            epochs, values = self._epochs_of.setdefault(name, []), self._values.setdefault(name, [])
            if epochs and epochs[-1] == epoch:
                values[-1] = value
            else:
                epochs.append(epoch)
                values.append(value)
