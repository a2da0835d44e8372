"""`Rule`: what looks out for one way in which a training can be sick. `Finding`: what it has found.

Owns the shape of a rule and what all have in common: that it speaks once (`spells`), and what of it goes into a
checkpoint. Each rule is one file in `rules/`; when it is asked is `Doctor`'s business.
"""

from __future__ import annotations

from .limits import COUNT, allowed, check_number
from .spells import Spells

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from onlooker.core.record import Picture

    from .examination import Examination
    from .limits import Limit


class Finding:
    """One place that looks sick, at one look.

    Attributes:
        where: the layer, weight or value; `""` for the whole training.
        seen: what was seen, in one sentence without a full stop.
        evidence: the numbers that the rule went by, by name.
        weight: how bad it is, in units of its own: of several places, the worst gives the alert its name.
    """

    __slots__ = ("evidence", "seen", "weight", "where")

    def __init__(self, where: str, seen: str, evidence: Mapping[str, float], weight: float = 1.0) -> None:
        self.where, self.seen, self.evidence, self.weight = where, seen, dict(evidence), weight

    def __repr__(self) -> str:
        return f"Finding({self.where!r}, {self.seen!r})"


class Rule:
    """Looks out for one way in which a training can be sick: override one of the three methods that look.

    Each returns what looks sick now, in an empty list if nothing does, or None where there was nothing to judge by. Of
    a place that is found in `patience` looks in a row there is an alert, and again only after it was well for
    `recovery` looks; epochs count instead of looks where the rule looks at epochs, and pictures where at pictures.

    Attributes:
        name: in snake case, as in `Alert.rule`.
        why: why it matters, in one or two sentences.
        advice: what people usually do about it.
        source: who has described it, with the year.
        reads: which summaries it needs: some of `"weights"`, `"gradients"`, `"updates"`, `"activations"` and
            `"activation_gradients"`.
        memory: names of its own attributes that it remembers between two looks: plain numbers, lists and dicts.
        explained_by: names of rules that make this one superfluous while they find something.
        patience: after how many looks in a row it speaks.
        limits: which numbers its arguments may be, by their names; `check` goes by it.
        needs: what it must see besides what it `reads`, in words, for the report that it could not.
        is_general: whether it is for all trainings: that one for GANs alone could not judge is nothing to report.
        recovery: how many looks a place must be well before it may be spoken of again; no less goes by between two
            alerts of the rule.

    Example:
        >>> class Heavy(Rule):
        ...     name, reads = "heavy", ("weights",)
        ...     why, advice = "Large weights overfit.", "Decay them."
        ...     def examine(self, examination):
        ...         large = {name: one.rms for name, one in examination.weights.items() if one.rms > 10}
        ...         return [Finding(name, "the weights are large", {"rms": rms}) for name, rms in large.items()]
        >>> import onlooker as ol
        >>> doctor = ol.callbacks.Doctor(rules=[*ol.callbacks.doctor_rules(), Heavy()])
    """

    name = ""
    why = ""
    advice = ""
    source = ""
    reads: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()
    limits: Mapping[str, Limit] = allowed(patience=COUNT, recovery=COUNT)
    needs = ""
    is_general = True
    patience = 3
    recovery = 20

    def check(self) -> None:
        """Check its arguments, once they are its attributes.

        Raises:
            ValueError: one is no number, or outside of its `limits`.
        """
        for name, limit in self.limits.items():
            check_number(self.name, name, getattr(self, name), limit)

    def begin(self) -> None:
        """Forget the training before; called when one begins. A rule with a memory sets it up here."""

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Judge by a look, or by what was logged since the last."""
        return None

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> list[Finding] | None:
        """Judge by what was logged at the end of an epoch: only numbers."""
        return None

    def see(self, picture: Picture) -> list[Finding] | None:
        """Judge by a picture that some callback has drawn."""
        return None

    # What follows is not to be overridden.

    @property
    def spells(self) -> Spells:
        """Which places were sick for how long."""
        spells: Spells | None = self.__dict__.get("_spells")
        if spells is None:
            spells = self._spells = Spells()
        return spells

    def forget(self) -> None:
        """Begin anew."""
        self._spells = Spells()
        self.begin()

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers, as plain data."""
        return {"spells": self.spells.state_dict(), **{name: getattr(self, name) for name in self.memory}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.spells.load_state_dict(state["spells"])
        for name in self.memory:
            if name in state:
                setattr(self, name, state[name])

    def __repr__(self) -> str:
        own = {
            name: value for name, value in vars(self).items() if not name.startswith("_") and name not in self.memory
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in own.items())})"
