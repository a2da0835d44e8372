"""`Inside`: what the tensors of a model look like while it trains.

Owns the arguments, when to look, and what is done with what was seen. How a look goes is `looking`'s business, what it
waits for `waiting`'s, the past is `past`'s, what stands out in it `standing_out`'s, and how it is shown `shown`'s.
"""

from __future__ import annotations

from onlooker.core.callback import Callback
from onlooker.core.errors import warn
from onlooker.core.gate import Gate
from onlooker.core.record import Scalars, Summaries
from onlooker.core.trigger import checked_trigger
from onlooker.core.trigger import every as every_

from .choice import Choice
from .counted import CountedLooking
from .looking import NEEDS
from .naming import advice_without, checked_one, checked_what, listed, not_seen
from .past import Past
from .shown import figure_of_layers, figure_of_tensor, table_of
from .standing_out import ratios
from .timeline import TensorHistory
from .waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from onlooker.core.conditions import Trigger
    from onlooker.core.logs import Logs
    from onlooker.core.summary import Summary

    from .seen import Ended, Seen


class Inside(Callback):
    """Looks into a model while it trains: weights, gradients, updates and activations, with histograms.

    Acts in `on_train_begin`, where it forgets the training before, `on_train_batch_begin`, where it decides whether to
    look and sets up what that needs, `on_train_batch_end`, where it takes everything down and hands out its records,
    `on_epoch_end` and `on_train_end`. Reads and writes no logs. A look waits for a batch in which an optimizer steps.
    Records, for whoever keeps them: `Summaries` for each of `what`, and `Scalars` with `gradient_norm` and, where
    gradients were clipped, `clipped_gradient_norm`, over the weights that are looked at.

    No device is waited for as a batch ends: what a look has found there is handed out, with the look's own step and
    epoch, when the next look has ended, when the epoch ends, or as soon as anything of this callback is read, which
    waits. An error that comes up while reading is raised in the next hook, where `on_error` says what becomes of it.

    Observing changes nothing: a training with it ends with bit-identical weights.

    Args:
        what: what to look at: `"weights"`, after the step; `"gradients"`, accumulated, unscaled and before clipping as
            far as that can be seen; `"updates"`, the difference that the step has made; `"activations"`, what layers
            put out, and `"activation_gradients"`.
        every: a trigger that says when to look. Default: at every step.
        layers: a pattern on the names of weights and layers, such as `"encoder.*"`, or `"encoder"` for all that is in
            it, or a list of them; None for all.
        keep: how many rows of the past are kept of each tensor, an even number. When there are more looks, neighbours
            are added up, so that the whole training stays visible. A row takes 600 bytes.

    Raises:
        ValueError: a name in `what` is unknown, or another argument is out of its range.
        TriggerError: `every` is no trigger, or can never pass within a batch.

    Source: that histograms by powers of two can be added up, and what to look for (updates about a thousandth of the
    weights): A. Karpathy, "makemore", part 3, 2022, and the notes of Stanford's CS231n on babysitting the learning.

    Example:
        >>> import torch, onlooker as ol
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Linear(4, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> inside = ol.callbacks.Inside()
        >>> with ol.Loop(model, optimizer, callbacks=[inside]) as loop:
        ...     for epoch in loop.epochs(1):
        ...         for x in loop.train([torch.randn(8, 4)] * 5):
        ...             optimizer.zero_grad()
        ...             model(x).square().mean().backward()
        ...             optimizer.step()
        >>> inside.history("weight", "gradients").steps.tolist()
        [1, 2, 3, 4, 5]
        >>> inside.latest["updates"]["weight"].shape
        (1, 4)
    """

    on_error = "warn"
    tidies_in = ("on_epoch_end",)

    def __init__(
        self,
        what: Sequence[str] = ("weights", "gradients", "updates", "activations"),
        every: Trigger | None = None,
        layers: str | Sequence[str] | None = None,
        keep: int = 128,
    ) -> None:
        self.what = checked_what(what)
        self.every = checked_trigger("every", every_(steps=1) if every is None else every, "on_train_batch_begin")
        if not isinstance(keep, int) or isinstance(keep, bool) or keep < 2 or keep % 2:
            raise ValueError(f"keep={keep!r}; expected an even number of rows, at least 2")
        self.layers, self.keep_rows = layers, keep
        Choice(layers)  # refuses what is no pattern
        self.needs = tuple(dict.fromkeys(NEEDS.get(one, "weights") for one in self.what))
        self._forget()

    def _forget(self) -> None:
        self._past = Past(self.keep_rows)
        self._begin()

    def _begin(self) -> None:
        """Set up what belongs to a training under way."""
        self._choice = Choice(self.layers)
        self._looking = CountedLooking(self.what, self._choice)
        self._is_armed = self._has_warned = False
        self._waiting = Waiting(self._looking.fetch, self._take)
        self._ask: Callable[..., None] = self._arm

    def __repr__(self) -> str:
        return f"Inside({', '.join(self.what)}; {self.every!r}, last look at step {self._past.latest_step})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a training under way."""
        self.settle()
        left_out = ("_looking", "_waiting", "_ask", "_choice", "_is_armed", "_has_warned")
        return {name: value for name, value in super().__getstate__().items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what `__getstate__` returned."""
        self.__dict__.update(state)
        self._begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget the training before."""
        self._looking.rest()  # of a training that it was taken out of within a batch, hooks are still there
        self._forget()
        self._ask = Gate(self.every, self.run).wrap("on_train_batch_begin", self._arm)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Decide whether to look, and set up what that needs."""
        if not self._is_armed:
            self._ask(batch, logs)
            if not self._is_armed:
                self._looking.rest()
                return
        self._looking.begin(self.run)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Take everything down, and keep and hand out what was seen if an optimizer has stepped."""
        if self._is_armed:
            ended = self._looking.end(self.run)
            if ended is not None:
                self._is_armed = False
                self._warn_of_idle_patterns()
                self._waiting.put(ended)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Hand out what is on its way from a device: callbacks behind this one have it in their `on_epoch_end`."""
        self._waiting.settle()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let go of the model."""
        self._is_armed = False
        self._looking.rest()
        self._waiting.settle()

    def _arm(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the next step: called where the trigger lets it through."""
        self._is_armed = True

    def _warn_of_idle_patterns(self) -> None:
        if self._choice.idle and not self._has_warned:
            self._has_warned = True
            idle = ", ".join(map(repr, self._choice.idle))
            warn(f"Inside(layers={self.layers!r}): {idle} matches no name; there are: {listed(self._choice.asked)}")

    def _take(self, ended: Ended, seen: Seen) -> None:
        """Keep and hand out what a look has seen."""
        found = {what: seen.summaries[what] for what in self.what if seen.summaries.get(what)}
        self._past.take(ended.step, found)
        run, when = ended.run, {"step": ended.step, "epoch": ended.epoch}
        for what, summaries in found.items():
            run.record(Summaries(what, summaries, **when))
        norms = seen.norms()
        if norms:
            run.record(Scalars(norms, **when))

    def settle(self) -> None:
        """Hand out what is on its way from a device; that is waited for. Whoever reads anything here does so, too."""
        self._waiting.ask()

    def _settled(self) -> Past:
        self.settle()
        return self._past

    @property
    def latest(self) -> dict[str, dict[str, Summary]]:
        """What the last look has found: by what and by name, `Summary` objects. To read it waits for the device."""
        return self._settled().latest

    @property
    def latest_step(self) -> int | None:
        """The step of the last look; None before the first. To read it waits for the device."""
        return self._settled().latest_step

    def counts(self) -> CountedLooking:
        """Return what counts the looks of this training, and those that failed."""
        self.settle()
        return self._looking

    def advice_without(self, absent: frozenset[str]) -> str | None:
        """Return what works where some abilities are absent, for the message of a host that refuses this one."""
        return advice_without(self.what, absent)

    def names(self, what: str) -> list[str]:
        """Return the names of what has been seen so far, for example all weights that had a gradient.

        Raises:
            ValueError: `what` is nothing to look at.
        """
        checked_one(what)
        return self._settled().timelines.names(what)

    def history(self, name: str, what: str) -> TensorHistory:
        """Return what one tensor has looked like over the training, as arrays.

        Args:
            name: of a weight, or for activations of a layer.
            what: one of those that are looked at.

        Raises:
            KeyError: it was never seen; the message says what was, and under which name a weight is kept that several
                layers share.
            ValueError: `what` is nothing to look at.
        """
        checked_one(what)
        found = self._settled().timelines.read(what, name)
        if found is None:
            raise KeyError(not_seen(name, what, self.what, self.names(what), getattr(self, "model", None)))
        return found

    def ratios(self) -> dict[str, float]:
        """Return how large each layer's last update was, relative to its weights: the ratio of the norms.

        About 0.001 is usual. NaN where all weights are zero. Needs `"weights"` and `"updates"` among what is looked at.
        """
        return ratios(self.latest)

    def table(self, most: int | None = 30) -> Any:
        """Return a table of rich's with what the last look has found: layer by layer, what stands out first.

        It sorts and does not diagnose: where one layer is sick, others stand out too. What comes first is what began
        first not to be finite, then what is dead, then what does not change, then what is off by the largest factor.

        Args:
            most: how many layers are shown; None for all.

        Raises:
            ValueError: `most` is no number of layers.

        Example:
            `rich.print(inside.table())`
        """
        return table_of(self._settled(), most)

    def plot(self, name: str | None = None, what: str = "weights") -> Any:
        """Draw the training so far, with matplotlib.

        Without a name: layers by steps, as colours, for the size of the updates, the norm of the gradients, and the
        share of outputs that are zero; the names of layers that stand out at the last look are in red, with an arrow at
        the one that is first in the table. Of very many layers not every name is written.

        Args:
            name: of a weight, or for activations of a layer: then its histograms are drawn, the earliest at the back.
            what: for a name, what of it.

        Returns:
            The `Figure`. Save it with `figure.savefig(path)`.

        Raises:
            MissingExtraError: matplotlib is not installed.
            KeyError: the name was never seen.
            ValueError: there is nothing to draw yet, or `what` is nothing to look at.
        """
        if name is not None:
            return figure_of_tensor(f"{what} of {name}", lambda: self.history(name, what))
        return figure_of_layers(self._settled())

    def state_dict(self) -> dict[str, Any]:
        """Return the past, as arrays."""
        return self._settled().state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back the past."""
        self.settle()  # a look under way is no part of it
        self._past.load_state_dict(state)
