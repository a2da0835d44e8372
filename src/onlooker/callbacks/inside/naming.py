"""The words for what was asked of `Inside` and cannot be given: what is wrong, what there is, what was probably meant.

Owns the checks of the arguments that name something, and the hints.
"""

from __future__ import annotations

from onlooker.core.errors import nearest

from .choice import layer_of
from .looking import NEEDS, WHAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from typing import Any

MOST_LISTED = 12
"""Of the names that there are, how many a message lists."""


def checked_what(what: Sequence[str]) -> tuple[str, ...]:
    """Return what is to be looked at, each once.

    Raises:
        ValueError: one is nothing to look at, there is none, or it is no list of words.
    """
    if isinstance(what, str):
        given: tuple[Any, ...] = (what,)
    elif isinstance(what, list | tuple | set | frozenset):
        given = tuple(what)
    else:
        raise ValueError(f"what={what!r} is no list of words; name some of {', '.join(WHAT)}")
    for one in given:
        if not isinstance(one, str) or one not in WHAT:
            raise ValueError(f"what={what!r} names {one!r}, which is nothing to look at; {_meant(one)}")
    if not given:
        raise ValueError(f"what={what!r} is nothing; name some of {', '.join(WHAT)}")
    return tuple(dict.fromkeys(given))


def checked_one(what: str) -> str:
    """Return the one thing that is asked about.

    Raises:
        ValueError: it is nothing to look at.
    """
    if not isinstance(what, str) or what not in WHAT:
        raise ValueError(f"what={what!r} is nothing to look at; {_meant(what)}")
    return what


def advice_without(what: Sequence[str], absent: Container[str]) -> str | None:
    """Return what to look at where some of it cannot be had; None where nothing can be.

    Args:
        what: what was to be looked at.
        absent: the abilities that are not to be had.
    """

    def can_be_had(one: str) -> bool:
        return NEEDS.get(one, "weights") not in absent

    works = tuple(filter(can_be_had, what)) or tuple(filter(can_be_had, WHAT))
    missing = [one for one in what if not can_be_had(one)]
    return f"without {' and '.join(map(repr, missing))} it works: Inside(what={works!r})" if works else None


def checked_most(most: int | None) -> int | None:
    """Return how many rows are shown.

    Raises:
        ValueError: it is no such number.
    """
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise ValueError(f"most={most!r}; expected how many layers are shown, at least 1, or None for all")
    return most


def listed(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """Return names for a message."""
    shown = ", ".join(map(repr, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def not_seen(name: str, what: str, looked_at: Sequence[str], known: Sequence[str], model: Any) -> str:
    """Return why there is nothing to tell of a tensor, and what there is.

    Args:
        name: that was asked for.
        what: of it.
        looked_at: what is looked at at all.
        known: all names of which `what` was seen.
        model: in which the name may be that of a weight that has another name too; None where it is not known.
    """
    missing = f"no {what} of {name!r} were seen"
    if what not in looked_at:
        return f"{missing}; Inside looks at {', '.join(looked_at)}: name {what!r} in its argument what"
    if not known:
        return f"{missing}; seen so far: nothing"
    if not isinstance(name, str):
        return f"{missing}; expected a name as text; seen so far: {listed(known)}"
    if (shared := _kept_as(name, known, model)) is not None:
        return f"{missing}; it is the same weight as {shared!r}, and kept under that name"
    within = [one for one in known if layer_of(one) == name]
    if within:
        return f"{missing}; that is a layer, and its weights are {listed(within)}"
    if layer_of(name) in known:
        return f"{missing}; of layers there are {what}, not of weights: did you mean {layer_of(name)!r}?"
    # A wrong part in a name of several parts looks much like many another name: only what is nearly right is a guess.
    guess = nearest(name, known, cutoff=0.8)
    return f"{missing}; {f'did you mean {guess!r}? ' if guess else ''}seen so far: {listed(known)}"


def _meant(one: object) -> str:
    guess = nearest(one, WHAT) if isinstance(one, str) else None
    return f"did you mean {guess!r}?" if guess else f"expected some of {', '.join(WHAT)}"


def _kept_as(name: str, known: Sequence[str], model: Any) -> str | None:
    """Return the name under which a weight is kept that the model also has under another name."""
    wanted = _at(model, name)
    if wanted is None:
        return None
    return next((one for one in known if one != name and _at(model, one) is wanted), None)


def _at(model: Any, name: str) -> Any:
    """Return what stands in a model at a path of attributes, None where nothing does."""
    found = model
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else getattr(found, part, None)
        if found is None:
            return None
    return found
