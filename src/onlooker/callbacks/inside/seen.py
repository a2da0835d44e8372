"""`Ended`: a look that is over, and whose numbers may be under way. `Seen`: what it has found, once they are here.

Owns which of what was looked at counts, and the order. How a look goes is `Looking`'s business.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from onlooker.core.run import Run
    from onlooker.core.summary import Summary
    from onlooker.core.view import Look

    Key = tuple[Any, ...]


class Ended:
    """A look at a batch that is over. Its numbers are here, or on their way from a device.

    Args:
        look: what was given all tensors. What can be sent is sent; nothing is waited for.
        run: the run, as it stands when the batch ends.
        unclipped: by name the key of the last gradient before it was clipped.
        clipped: the same, of those with which an optimizer has stepped.

    Attributes:
        run: the run: another may be the callback's by the time of `fetch`.
        step: at which it was.
        epoch: in which it was.
        is_waiting: whether numbers are on their way, so that `fetch` may have to wait for them.
    """

    def __init__(self, look: Look, run: Run, unclipped: Mapping[str, Key], clipped: Mapping[str, Key]) -> None:
        self._look, self._unclipped, self._clipped = look, unclipped, clipped
        self.run, self.step, self.epoch = run, run.step, run.epoch
        self.is_waiting = look.send()

    def fetch(self) -> Seen:
        """Return what was seen."""
        found: Iterable[tuple[Key, Summary]] = self._look.fetch().items()
        return Seen([one for one in found if self._counts(one[0])] if self._unclipped else found)

    def _counts(self, key: Key) -> bool:
        """Say whether what was looked at belongs to the last step: gradients are also looked at before."""
        what, name = key[0], key[1]
        if what == "clipped":
            return name in self._clipped
        return what != "gradients" or key == self._clipped.get(name, (what, name))


class Seen:
    """What one look has found.

    Args:
        found: summaries by their keys: what it is, its name, and a number where there may be several.

    Attributes:
        summaries: by what and by name.
        clipped: of gradients that were clipped, what they looked like afterwards, by name.
    """

    def __init__(self, found: Iterable[tuple[Key, Summary]]) -> None:
        self.summaries: dict[str, dict[str, Summary]] = {}
        self.clipped: dict[str, Summary] = {}
        for key, summary in found:
            what, name = key[0], key[1]
            of_what = self.clipped if what == "clipped" else self.summaries.setdefault(what, {})
            is_further = len(key) > 2 and name in of_what  # call of one module
            of_what[name] = of_what[name] + summary if is_further else summary
        self._sort()

    def norms(self) -> dict[str, float]:
        """Return the norm of all gradients together, before clipping and, where there was some, after it."""
        gradients = self.summaries.get("gradients", {})
        if not gradients:
            return {}
        found = {"gradient_norm": _norm(gradients.values())}
        if self.clipped:
            found["clipped_gradient_norm"] = _norm({**gradients, **self.clipped}.values())
        return found

    def _sort(self) -> None:
        """Put all in the model's order, which optimizers and backward passes need not have."""
        for first, others in (("weights", ("gradients", "updates")), ("activations", ("activation_gradients",))):
            names = list(self.summaries.get(first, ()))
            for what in others:
                of_what = self.summaries.get(what, {})
                if list(of_what) != names:
                    places = {name: place for place, name in enumerate(names)}
                    ordered = sorted(of_what, key=lambda name: places.get(name, len(places)))
                    self.summaries[what] = {name: of_what[name] for name in ordered}


def _norm(summaries: Iterable[Summary]) -> float:
    return float(sum(summary.squares for summary in summaries) ** 0.5)
