"""What a `Doctor` may be given: the checks of its arguments."""

from __future__ import annotations

from onlooker.core.errors import nearest

from .rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def checked_rules(rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules, each of another name.

    Raises:
        ValueError: one is no rule, or two have one name.
    """
    found = list(rules)
    for rule in found:
        if not isinstance(rule, Rule) or not rule.name:
            raise ValueError(f"rules has {rule!r}; expected instances of Rule with a name, as doctor_rules() returns")
    names = [rule.name for rule in found]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"rules has two of {', '.join(twice)}; give one of them another name, or leave it out")
    return found


def checked_names(stop_on: Iterable[str], known: list[str]) -> tuple[str, ...]:
    """Return the names of rules.

    Raises:
        ValueError: one is not known.
    """
    names = (stop_on,) if isinstance(stop_on, str) else tuple(stop_on)
    for name in names:
        if name not in known:
            guess = nearest(str(name), known)
            hint = f"did you mean {guess!r}?" if guess else f"there are {', '.join(known)}"
            raise ValueError(f"stop_on={stop_on!r} names {name!r}, which is no rule here; {hint}")
    return names
