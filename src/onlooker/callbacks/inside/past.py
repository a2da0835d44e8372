"""`Past`: what the looks of a training have found so far: the last one whole, those before in timelines.

Owns what is kept and what goes into a checkpoint. How it is shown is `shown`'s business.
"""

from __future__ import annotations

from .beginnings import Beginnings
from .timelines import Timelines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from onlooker.core.summary import Summary


class Past:
    """What was found in a training.

    Args:
        keep: how many rows are kept of each tensor.

    Attributes:
        latest: what the last look has found, by what and by name.
        latest_step: at which that was; None before the first.
        timelines: of all tensors.
        beginnings: what the last look is compared with.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.latest: dict[str, dict[str, Summary]] = {}
        self.latest_step: int | None = None
        self.timelines, self.beginnings = Timelines(keep), Beginnings()

    def take(self, step: int, found: dict[str, dict[str, Summary]]) -> None:
        """Take what a look has found, by what and by name."""
        self.latest, self.latest_step = found, step
        for what, summaries in found.items():
            self.timelines.add(what, step, summaries)
        self.beginnings.take(step, found)

    def state_dict(self) -> dict[str, Any]:
        """Return all but the last look, as arrays."""
        return {"tensors": self.timelines.state(), "beginnings": self.beginnings.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.timelines = Timelines.from_state(state["tensors"], self._keep)
        if "beginnings" in state:  # states of earlier versions have none
            self.beginnings = Beginnings.from_state(state["beginnings"])
