"""`Spells`: for how long a rule has found each place sick, so that it speaks once.

Owns the counting of looks in a row. What is sick is the rule's business.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .rule import Finding

_SPREADING = 3  # times as many places as when it last spoke


class Spells:
    """Counts, for one rule, the looks at which each place was sick.

    As long as a place that was spoken of is not well again, others are taken for the same illness, unless there are
    three times as many.

    Example:
        >>> from onlooker.callbacks.doctor.rule import Finding
        >>> spells, sick = Spells(), [Finding("0.weight", "it is sick", {})]
        >>> [bool(spells.note(found, patience=2, recovery=2)) for found in (sick, sick, sick, [], [], sick, sick)]
        [False, True, False, False, False, False, True]
    """

    def __init__(self) -> None:
        self._looks = 0
        self._sick: dict[str, int] = {}  # at how many looks in a row
        self._well: dict[str, int] = {}  # since when, of those that were spoken of
        self._spoken_at: int | None = None
        self._count = 0  # of the sick places by then

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was found at the last look."""
        return not self._sick

    def note(self, findings: list[Finding], patience: int, recovery: int, is_held: bool = False) -> list[Finding]:
        """Take what was found at a look; return what is to be spoken of now.

        Args:
            findings: what is sick.
            patience: how many looks in a row a place must be sick.
            recovery: how many looks a place must be well before it is spoken of again, and that go by between alerts.
            is_held: whether to keep silent this time.
        """
        self._looks += 1
        if not findings and not self._sick and not self._well:
            return []
        places = {finding.where: finding for finding in findings}
        self._sick = {where: self._sick.get(where, 0) + 1 for where in places}
        # A place that was spoken of is in `_well` from then on, with 0 for as long as it is sick.
        since = {where: 0 if where in places else looks + 1 for where, looks in self._well.items()}
        self._well = {where: looks for where, looks in since.items() if looks < recovery}
        if is_held or (self._spoken_at is not None and self._looks - self._spoken_at < recovery):
            return []
        if self._well and len(places) < _SPREADING * self._count:
            return []
        due = [one for where, one in places.items() if self._sick[where] >= patience and where not in self._well]
        if due:
            self._spoken_at, self._count = self._looks, len(places)
            self._well.update({finding.where: 0 for finding in due})
        return due

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "looks": self._looks,
            "sick": self._sick,
            "well": self._well,
            "spoken_at": self._spoken_at,
            "count": self._count,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back the counts."""
        self._looks, self._spoken_at, self._count = state["looks"], state["spoken_at"], state["count"]
        self._sick, self._well = dict(state["sick"]), dict(state["well"])
