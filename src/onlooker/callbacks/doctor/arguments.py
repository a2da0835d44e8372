"""What a `Doctor` may be given: the checks of its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onlooker.core.errors import nearest

from .limits import COUNT, check_number
from .rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HOW = "doctor_rules() makes them, and doctor_rules(loss_stuck=None) leaves one out"


def known_name(name: str, known: Iterable[str], what: str) -> None:
    """Check a name against those that there are.

    Raises:
        ValueError: it is none of them; the message has the nearest, or else all.
    """
    names = list(known)
    if name not in names:
        guess = nearest(str(name), names)
        hint = f"did you mean {guess!r}?" if guess else f"there are {', '.join(names)}"
        raise ValueError(f"{what}; {hint}")


def make_rule(kind: type[Rule], arguments: Any) -> Rule:
    """Return a rule with some arguments.

    Raises:
        ValueError: they are no dict, it has no such argument, or a value cannot be.
    """
    if not isinstance(arguments, Mapping):
        expected = "a dict of its arguments, or None to leave it out"
        raise ValueError(f"{kind.name}={arguments!r}: expected {expected}")
    code = kind.__init__.__code__
    names = code.co_varnames[1 : code.co_argcount]
    for name in arguments:
        known_name(name, names, f"{kind.name} has no argument {name!r}")
    return kind(**arguments)


def checked_rules(rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules, each of another name.

    Raises:
        ValueError: one is no rule, or two have one name.
    """
    if isinstance(rules, Rule | str | Mapping) or not isinstance(rules, Iterable):
        raise ValueError(f"rules={rules!r}: expected a list of rules; {_HOW}")
    found = list(rules)
    for rule in found:
        if isinstance(rule, type) and issubclass(rule, Rule):
            raise ValueError(f"rules has the class {rule.__name__}; expected an instance: {rule.__name__}()")
        if not isinstance(rule, Rule):
            raise ValueError(f"rules has {rule!r}; expected instances of Rule; {_HOW}")
        if not rule.name:
            raise ValueError(f"rules has {rule!r}, which has no name; give its class one")
        for name in ("patience", "recovery"):
            check_number(rule.name, name, getattr(rule, name), COUNT)
    names = [rule.name for rule in found]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"rules has two of {', '.join(twice)}; give one of them another name, or leave it out")
    return found


def checked_names(stop_on: Iterable[str], known: list[str]) -> tuple[str, ...]:
    """Return the names of rules.

    Raises:
        ValueError: one is not known.
    """
    if not isinstance(stop_on, Iterable):
        raise ValueError(f"stop_on={stop_on!r}: expected a list of names of rules")
    names = (stop_on,) if isinstance(stop_on, str) else tuple(stop_on)
    for name in names:
        known_name(name, known, f"stop_on={stop_on!r} names {name!r}, which is no rule here")
    return names


def check_stream(stream: Any) -> None:
    """Check where to print.

    Raises:
        ValueError: it cannot be written to.
    """
    if stream is not None and not callable(getattr(stream, "write", None)):
        raise ValueError(f"stream={stream!r}: expected an open text file, or None for sys.stdout")
