"""What the names in a callback are checked for: ours used otherwise, hooks misspelled, triggers without effect.

Owns these refusals. What a name may have been meant for is `spelling`; what a hook takes is `attach`'s to check.
"""

from __future__ import annotations

from .callback import Callback
from .conditions import Trigger
from .errors import AttachError, nearest
from .hooks import ALIASES, HOOKS
from .run import Run
from .spelling import JOINED, nearest_hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

POLICIES = ("raise", "warn", "disable")
"""What `Callback.on_error` may be."""

GIVEN = {
    "run": "what a callback is given",
    "model": "the model of the training, which it is given",
    "params": "Keras' dict of parameters, which it is given",
}
"""What a callback finds on itself when it is attached."""

_NOTHING = object()
_ALL_HOOKS = (*HOOKS, *ALIASES)
_OWN_NAMES = frozenset((*_ALL_HOOKS, "on_error"))


def check_names(callback: Callback) -> None:
    """Refuse a callback in which a name of ours is used for something else, misspelled, or has no effect.

    Raises:
        AttachError: with the name, and what to do.
    """
    name = type(callback).__name__
    _check_given_names(callback, name)
    check_spellings(callback)
    for attribute, value in _attributes(callback):
        if attribute not in _ALL_HOOKS:
            _check_trigger_above(callback, name, attribute, value)


def check_spellings(callback: object) -> None:
    """Refuse a callback, which may be Keras', with what looks like a misspelled hook, or like a misspelled `on_error`.

    Raises:
        AttachError: with the name that may have been meant.
    """
    for attribute, value in _attributes(callback):
        if attribute not in _OWN_NAMES:
            _check_spelling(type(callback).__name__, attribute, value)


def _check_spelling(name: str, attribute: str, value: object) -> None:
    if attribute[:2].lower() != "on":
        return
    if callable(value):
        guess = nearest_hook(attribute) if _is_like_a_hook(attribute) else None
        if guess:
            raise AttachError(
                f"{name}.{attribute} is no hook and would never be called; did you mean {guess}? "
                f"(if it is meant to be a method of your own, give it a name without 'on_')"
            )
    elif isinstance(value, str) and value in POLICIES and nearest(attribute, ["on_error"], cutoff=0.75):
        raise AttachError(f"{name}.{attribute}={value!r} says nothing to anybody; did you mean on_error?")


def _is_like_a_hook(attribute: str) -> bool:
    is_camel = attribute.startswith("on") and attribute[2:3].isupper()
    return is_camel or attribute[2:3] == "_" or attribute.replace("_", "").lower() in JOINED


def _attributes(callback: object) -> Iterator[tuple[str, Any]]:
    """Yield what is in the instance and in its classes, but for `Callback` itself."""
    yield from vars(callback).items()
    for kind in type(callback).__mro__:
        if kind is not Callback and kind is not object:
            yield from kind.__dict__.items()


def _check_given_names(callback: Callback, name: str) -> None:
    """Refuse a callback that uses the name of something that it is given for something of its own."""
    given = callback.__dict__.get("run")
    if given is not None and not isinstance(given, Run):
        raise _taken(name, "run", f"is set to {given!r:.60}")
    for attribute in GIVEN:
        if given is None and attribute in callback.__dict__ and attribute not in callback._bound_names:
            raise _taken(name, attribute, "is set by the callback itself")
        value = _of_the_class(type(callback), attribute)
        is_placeholder = value is None or (isinstance(value, dict) and not value)
        if not is_placeholder and not hasattr(type(value), "__set__"):
            raise _taken(name, attribute, "is a method" if callable(value) else f"is set to {value!r:.60} in the class")
        if isinstance(value, property) and value.fset is None:
            raise _taken(name, attribute, "is a property that cannot be set")


def check_model_is_seen(callback: Callback) -> None:
    """Refuse a callback whose class has something of its own, be it None, in the place of a model that is looked up.

    Raises:
        AttachError: it has.
    """
    value = _of_the_class(type(callback), "model", _NOTHING)
    if value is not _NOTHING:
        raise AttachError(
            f"{type(callback).__name__}.model is set to {value!r:.60} in the class, which hides the model here: it is "
            f"a state that is looked up each time, as each step makes a new one; write no more than its type, "
            f"model: object"
        )


def _of_the_class(kind: type, attribute: str, default: object = None) -> Any:
    """Return what a class or one of its parents below `Callback` has under a name, or else the default."""
    mine = kind.__mro__[: kind.__mro__.index(Callback)]
    return next((parent.__dict__[attribute] for parent in mine if attribute in parent.__dict__), default)


def _taken(name: str, attribute: str, is_what: str) -> AttachError:
    return AttachError(
        f"{name}.{attribute} {is_what}, but {attribute} is {GIVEN[attribute]} when it is attached; "
        f"call it something else"
    )


def _check_trigger_above(callback: Callback, name: str, attribute: str, value: Any) -> None:
    """Refuse a trigger above a method that is no hook."""
    if not hasattr(type(value), "__get__"):  # no function, and asking it for attributes may do whatever it likes
        return
    function = getattr(value, "__func__", value)
    trigger = getattr(value, "_onlooker_when", getattr(function, "_onlooker_when", None))
    if not isinstance(trigger, Trigger) or _is_a_hook(callback, function):
        return
    raise AttachError(
        f"{name}.{attribute} has the trigger {trigger!r} above it, but {attribute} is no hook, and "
        f"triggers gate hooks only. Put it above the hook that calls {attribute}, or remove it"
    )


def _is_a_hook(callback: Callback, function: Any) -> bool:
    """Say whether a function is a hook too, under a name that is one."""
    hooks = (getattr(callback, hook) for hook in _ALL_HOOKS)
    return any(getattr(hook, "__func__", hook) is function for hook in hooks)
