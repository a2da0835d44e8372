"""What is found out about a callback once, when it is attached.

Owns the checks that refuse a bad callback, each with the nearest right name, and the look at what it overrides. It
binds nothing and calls no hook: that is `dispatch`.
"""

from __future__ import annotations

from .callback import Callback
from .declaration import ABSENT
from .errors import AttachError, TriggerError, nearest
from .hooks import ALIASES, HOOKS, arguments, signature
from .names import POLICIES, check_names
from .parameters import parameters_of
from .trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .declaration import Declaration
    from .view import ModelView

FIRST_RANK = "rank 0"
"""What `Callback.only_on` says of one that runs in the first process only."""


def listed(callbacks: Any) -> list[Any]:
    """Return what was passed as `callbacks=` as a list.

    Raises:
        AttachError: it is one callback, or nothing that can be listed.
    """
    if callbacks is None:
        return []
    if not is_list(callbacks):
        raise AttachError(f"callbacks must be a list of callbacks, not {callbacks!r}; write callbacks=[...]")
    return list(callbacks)


def is_list(callbacks: Any) -> bool:
    """Say whether something can be a list of callbacks: not one that forgot its brackets, which may be iterable."""
    is_one = isinstance(callbacks, str | dict) or hasattr(callbacks, "on_train_begin")
    return hasattr(callbacks, "__iter__") and not is_one


def check_callback(callback: object) -> None:
    """Refuse what cannot be attached.

    Raises:
        AttachError: it is a class, no `Callback`, misspells a hook, gives one the wrong arguments, or has an unknown
            `on_error` or `when`.
    """
    if isinstance(callback, type):
        raise AttachError(f"{callback.__name__} is a class; pass an instance: callbacks=[{callback.__name__}()]")
    if not isinstance(callback, Callback):
        raise AttachError(
            f"a callback must be an onlooker.Callback, but {callback!r} is a {type(callback).__qualname__}; "
            f"derive its class from onlooker.Callback"
        )
    name = type(callback).__name__
    if callback.on_error not in POLICIES:
        guess = nearest(str(callback.on_error), POLICIES)
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise AttachError(f"{name}.on_error={callback.on_error!r} must be one of {', '.join(POLICIES)}{hint}")
    if callback.when is not None and not isinstance(callback.when, Trigger):
        raise AttachError(
            f"{name}.when={callback.when!r} is no trigger; use for example when=onlooker.every(epochs=5), "
            f"or onlooker.when(function) for a function of the run"
        )
    if isinstance(callback.needs, str):
        raise AttachError(f"{name}.needs={callback.needs!r} must be a tuple of names: ({callback.needs!r},)")
    if callback.only_on not in (None, FIRST_RANK):
        raise AttachError(f"{name}.only_on={callback.only_on!r} must be {FIRST_RANK!r}, or None to run in each process")
    check_names(callback)


def heard_hooks(callback: Callback) -> dict[str, Callable[..., None]]:
    """Return the hooks that a callback overrides, each with the bound method to call.

    Hooks assigned on the instance count. The methods are checked to take the hook's arguments.

    Raises:
        AttachError: a method takes other arguments than its hook gives.
    """
    found: dict[str, Callable[..., None]] = {}
    for attribute in (*ALIASES, *HOOKS):  # the newer name wins over the alias
        method = getattr(callback, attribute)
        if getattr(method, "_is_default", False) is True:  # a mock answers with something true, but not with True
            continue
        hook = ALIASES.get(attribute, attribute)
        _check_arguments(type(callback).__name__, attribute, hook, method)
        found[hook] = method
    return {hook: found[hook] for hook in HOOKS if hook in found}


def settings(callback: Callback) -> dict[str, Any]:
    """Return what a callback has set on itself of that which decides what is called: its hooks, and `when`."""
    own = callback.__dict__
    return {"when": callback.when, **{name: own[name] for name in (*HOOKS, *ALIASES) if name in own}}


def is_same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Say whether two looks at the settings have found the very same."""
    return first.keys() == second.keys() and all(first[name] is second[name] for name in first)


def find_trigger(callback: Callback, hook: str, method: Callable[..., None]) -> Trigger | None:
    """Return the trigger above a hook, or None, refusing one that can have no effect there.

    Raises:
        AttachError: the hook begins or ends a stage, and those always come.
    """
    trigger = getattr(method, "_onlooker_when", None)
    if not isinstance(trigger, Trigger):  # None; or a mock's answer
        return None
    scope = HOOKS[hook]
    if scope.index is None:
        raise AttachError(
            f"{type(callback).__name__}.{hook} has the trigger {trigger!r} above it, but {hook} always comes: "
            f"triggers gate epoch and batch hooks. Remove the trigger"
        )
    return trigger


def check_needs(callback: Callback, host: Declaration, view: ModelView | None = None) -> None:
    """Refuse a callback that needs what a host or a model cannot give.

    A callback with a method `advice_without(absent)` is asked what would work instead; it gets the names of all
    abilities that are not to be had.

    Args:
        callback: that is to be attached.
        host: what the host says of itself.
        view: the look at the model; None where there is none yet.

    Raises:
        AttachError: with the reason, and the callback's own advice.
    """
    name = type(callback).__name__
    try:
        host.check_needs(name, callback.needs)
        if view is not None:
            view.check_needs(name, callback.needs)
    except AttachError as error:
        advise = getattr(callback, "advice_without", None)
        absent = {ability for ability, support in host.abilities.items() if support.level == ABSENT}
        if view is not None:
            absent.update(ability for ability in host.abilities if view.lacks(ability) is not None)
        advice = advise(frozenset(absent)) if callable(advise) else None
        if not isinstance(advice, str):
            raise
        raise AttachError(f"{error}; {advice}") from None


def check_trigger(callback: Callback, hook: str, trigger: Trigger) -> None:
    """Refuse a trigger that can never pass in a hook.

    Raises:
        AttachError: with the trigger's own explanation.
    """
    try:
        trigger.check_hook(hook)
    except TriggerError as error:
        raise AttachError(f"{type(callback).__name__}.{hook}: {error}") from None


def _check_arguments(name: str, attribute: str, hook: str, method: Callable[..., None]) -> None:
    """Refuse a method that cannot be called with the hook's arguments, or that has them in the wrong order."""
    if not callable(method):
        raise AttachError(f"{name}.{attribute}={method!r} cannot be called; expected {signature(hook)}")
    parameters, expected = parameters_of(method), arguments(hook)
    if parameters is None:
        return
    if not parameters.is_plain:
        raise AttachError(f"{name}.{attribute} is async or a generator; a hook must be a plain function")
    problem = parameters.problem(len(expected))
    if problem is None and len(expected) > 1 and _are_swapped(parameters.names):
        problem = f"takes ({', '.join(parameters.names)}), but it is given ({', '.join(expected)}) in this order"
    if problem:
        raise AttachError(f"{name}.{attribute} {problem}; expected {signature(hook)}")


def _are_swapped(names: tuple[str, ...]) -> bool:
    """Say whether names are those of a hook the wrong way round. Any others will do: hooks are called by position."""
    return names[:1] == ("logs",) or (len(names) > 1 and names[1] in ("epoch", "batch"))
