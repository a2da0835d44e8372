"""`Timelines`: the timelines of all tensors that are looked at, by what and by name.

Owns which tensors have a timeline in common: those that have always been looked at at the same steps. In most trainings
that is one for all weights, one for all gradients and so on, and a look costs a few operations on arrays for each. What
is left out for once, such as an expert to which nothing was routed, goes on with a timeline of its own.
"""

from __future__ import annotations

from .timeline import TensorHistory, Timeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from onlooker.core.summary import Summary


class Timelines:
    """What each tensor looked like over a training.

    Args:
        keep: how many rows there are of each at most; an even number.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._names: dict[str, dict[str, None]] = {}  # in the order in which they were seen first
        self._timelines: dict[tuple[str, str], Timeline] = {}
        self._last: dict[str, tuple[tuple[str, ...], list[Timeline]]] = {}  # the names at the last look, and whose

    def add(self, what: str, step: int, summaries: Mapping[str, Summary]) -> None:
        """Take what several tensors looked like after a step."""
        names = tuple(summaries)
        last, timelines = self._last.get(what, ((), []))
        if last != names:
            timelines = self._timelines_of(what, names)
            self._last[what] = names, timelines
        for timeline in timelines:
            timeline.add(step, summaries)

    def names(self, what: str) -> list[str]:
        """Return the names of what has been seen, in the order in which it was seen first."""
        return list(self._names.get(what, ()))

    def read(self, what: str, name: str) -> TensorHistory | None:
        """Return the past of one tensor; None where it was never seen."""
        timeline = self._timelines.get((what, name))
        return None if timeline is None else timeline.read(name)

    def histories(self, what: str) -> dict[str, TensorHistory]:
        """Return the past of all, by name."""
        return {name: self._timelines[what, name].read(name) for name in self.names(what)}

    def state(self) -> list[dict[str, Any]]:
        """Return the past of each tensor, as arrays."""
        return [
            {"what": what, "name": name, **self._timelines[what, name].state_dict(name)}
            for what, names in self._names.items()
            for name in names
        ]

    @classmethod
    def from_state(cls, states: Sequence[dict[str, Any]], keep: int) -> Timelines:
        """Return what `state` was made of; with fewer rows, if so many are too many now."""
        timelines = cls(keep)
        alike: dict[Any, dict[str, dict[str, Any]]] = {}
        for state in states:
            what, name, when = state["what"], state["name"], state["numbers"][:, :2].tobytes()
            timelines._names.setdefault(what, {})[name] = None
            alike.setdefault((what, state["looks_in_row"], when), {})[name] = state
        for (what, *_), some in alike.items():
            timelines._put(what, Timeline.from_states(some, keep))
        return timelines

    def _timelines_of(self, what: str, names: tuple[str, ...]) -> list[Timeline]:
        """Return timelines that are of these tensors and no others, splitting and making some where it must be."""
        known, wanted, found = self._names.setdefault(what, {}), set(names), []
        for timeline in dict.fromkeys(self._timelines[what, name] for name in names if name in known):
            if left_out := [name for name in timeline.names if name not in wanted]:
                self._put(what, timeline.part(left_out))
                timeline = self._put(what, timeline.part([name for name in timeline.names if name in wanted]))
            found.append(timeline)
        if new := [name for name in names if name not in known]:
            known.update(dict.fromkeys(new))
            found.append(self._put(what, Timeline(self._keep, new)))
        return found

    def _put(self, what: str, timeline: Timeline) -> Timeline:
        for name in timeline.names:
            self._timelines[what, name] = timeline
        return timeline
