"""`Inside`: what the tensors of a model look like while it trains.

Owns the arguments, when to look, and what is done with what was seen. How a look goes is `looking`'s business, the past
is `timeline`'s, what stands out `standing_out`'s, and how it is shown `table`'s and `figures`'.
"""

from __future__ import annotations

from onlooker.core.callback import Callback
from onlooker.core.errors import NotAttachedError, missing_extra, warn
from onlooker.core.gate import Gate
from onlooker.core.record import Scalars, Summaries
from onlooker.core.trigger import checked_trigger
from onlooker.core.trigger import every as every_

from .beginnings import Beginnings
from .choice import Choice
from .counted import CountedLooking
from .looking import NEEDS
from .naming import advice_without, checked_most, checked_one, checked_what, listed, not_seen
from .sheets import all_sheets
from .standing_out import layer_looks, ratios, worst_first
from .timeline import TensorHistory
from .timelines import Timelines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from onlooker.core.conditions import Trigger
    from onlooker.core.logs import Logs
    from onlooker.core.summary import Summary

    from .looking import Seen


class Inside(Callback):
    """Looks into a model while it trains: weights, gradients, updates and activations, with histograms.

    Acts in `on_train_begin`, where it forgets the training before, `on_train_batch_begin`, where it decides whether to
    look and sets up what that needs, `on_train_batch_end`, where it takes everything down and hands out its records,
    and `on_train_end`. Reads and writes no logs. A look waits for a batch in which an optimizer steps. Records, for
    whoever keeps them: `Summaries` for each of `what`, and `Scalars` with `gradient_norm` and, where gradients were
    clipped, `clipped_gradient_norm`, over the weights that are looked at.

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

    Attributes:
        latest: what the last look has found: by what and by name, `Summary` objects.
        latest_step: the step of that look; None before the first.

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
        self._timelines = Timelines(self.keep_rows)
        self._beginnings = Beginnings()
        self._choice = Choice(self.layers)
        self._looking = CountedLooking(self.what, self._choice)
        self._is_armed = self._has_warned = False
        self._ask: Callable[..., None] = self._arm
        self.latest: dict[str, dict[str, Summary]] = {}
        self.latest_step: int | None = None

    def __repr__(self) -> str:
        return f"Inside({', '.join(self.what)}; {self.every!r}, last look at step {self.latest_step})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a training under way."""
        left_out = ("_looking", "_ask", "_choice")
        return {name: value for name, value in super().__getstate__().items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what `__getstate__` returned."""
        self.__dict__.update(state)
        self._choice = Choice(self.layers)
        self._looking = CountedLooking(self.what, self._choice)
        self._is_armed, self._ask = False, self._arm

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget the training before."""
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
            seen = self._looking.end(self.run)
            if seen is not None:
                self._is_armed = False
                self._take(seen)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let go of the model."""
        self._is_armed = False
        self._looking.rest()

    def _arm(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the next step: called where the trigger lets it through."""
        self._is_armed = True

    def _take(self, seen: Seen) -> None:
        run = self.run
        self.latest, self.latest_step = {}, run.step
        if self._choice.idle and not self._has_warned:
            self._has_warned = True
            idle = ", ".join(map(repr, self._choice.idle))
            warn(f"Inside(layers={self.layers!r}): {idle} matches no name; there are: {listed(self._choice.asked)}")
        if not self._choice.has_chosen:
            return
        for what in self.what:
            summaries = seen.summaries.get(what, {})
            if not summaries:
                continue
            self.latest[what] = summaries
            self._timelines.add(what, run.step, summaries)
            run.record(Summaries(what, summaries))
        self._beginnings.take(run.step, self.latest)
        norms = seen.norms()
        if norms:
            run.record(Scalars(norms))

    def counts(self) -> CountedLooking:
        """Return what counts the looks of this training, and those that failed."""
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
        return self._timelines.names(what)

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
        found = self._timelines.read(what, name)
        if found is None:
            raise KeyError(not_seen(name, what, self.what, self.names(what), self._model()))
        return found

    def _model(self) -> Any:
        """Return the model that is or was trained; None where this is a copy that has never seen one."""
        try:
            return self.model
        except NotAttachedError:
            return None

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
        from .table import LayerTable

        layers = worst_first(layer_looks(self.latest, self._beginnings))
        shown = layers[: checked_most(most)]
        return LayerTable(shown, self.latest_step, len(layers) - len(shown))

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
        try:
            from .figures import draw_layers, draw_ridges
        except ModuleNotFoundError as error:
            if error.name != "matplotlib":
                raise
            raise missing_extra("plot", "matplotlib") from None
        if name is not None:
            return draw_ridges(f"{what} of {name}", self.history(name, what))
        sheets = all_sheets(lambda one: {name: self.history(name, one) for name in self.names(one)})
        if not sheets:
            raise ValueError("there is nothing to draw: nothing was looked at yet that is drawn layer by layer")
        looks = worst_first(layer_looks(self.latest, self._beginnings))
        return draw_layers(sheets, [one.name for one in looks if one.stands_out])

    def state_dict(self) -> dict[str, Any]:
        """Return the past, as arrays."""
        return {"tensors": self._timelines.state(), "beginnings": self._beginnings.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back the past."""
        self._timelines = Timelines.from_state(state["tensors"], self.keep_rows)
        if "beginnings" in state:  # states of earlier versions have none
            self._beginnings = Beginnings.from_state(state["beginnings"])
