"""`every`, `at`, `after`, `before` and `when`: how users build triggers, with every value checked.

Owns the arguments and their errors. What a trigger does with them is in `conditions`.
"""

from __future__ import annotations

from .conditions import After, At, Before, Every, Trigger, When
from .errors import TriggerError, nearest
from .parameters import parameters_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from .run import Run

    Builder = TypeVar("Builder", bound=Callable[..., Trigger])

__all__ = ["Trigger", "after", "at", "before", "checked_trigger", "every", "when"]


def checked_trigger(name: str, trigger: object, hook: str) -> Trigger:
    """Return a trigger that a callback was given as an argument, for its own use in a hook.

    Args:
        name: of the argument, for the message.
        trigger: what was given.
        hook: in which it will be asked.

    Raises:
        TriggerError: it is none, or can never pass in that hook.
    """
    if not isinstance(trigger, Trigger):
        raise TriggerError(f"{name}={trigger!r} is no trigger; write for example {name}=onlooker.every(steps=100)")
    trigger.check_hook(hook)
    return trigger


def _says_what_of(builder: Builder) -> Builder:
    """Have a builder say which names there are, where it was given a value without one, or by one that is none."""
    name, units = builder.__name__, builder.__kwdefaults__ or {}

    def build(*unnamed: object, **named: object) -> Trigger:
        if unnamed:
            value = "n" if callable(unnamed[0]) else f"{unnamed[0]!r:.60}"
            ways = " or ".join(f"{name}({unit}={value})" for unit in units)
            raise TriggerError(f"{name}({unnamed[0]!r:.60}) does not say of what; write {ways}")
        for word in named:
            if word not in units:
                raise _unknown(name, units, word, named[word])
        return builder(**named)

    for attribute in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        setattr(build, attribute, getattr(builder, attribute))
    build.__wrapped__ = builder  # type: ignore[attr-defined]  # as by functools.wraps, whose import costs
    return build  # type: ignore[return-value]  # it takes what the builder takes, and says more of what it does not


@_says_what_of
def every(
    *, epochs: int | None = None, batches: int | None = None, steps: int | None = None, seconds: float | None = None
) -> Trigger:
    """Pass again and again. Exactly one argument.

    Args:
        epochs: passes in every n-th epoch: `every(epochs=5)` when the 5th, 10th, … epoch ends.
        batches: passes in every n-th batch of each epoch.
        steps: passes in the batch in which the optimizer makes its n-th, 2n-th, … step: with gradient accumulation
            not once per batch.
        seconds: passes when at least so long has gone by since it last passed, or since the run began.

    Raises:
        TriggerError: none or several arguments, or one that is no positive number.
    """
    unit, value = _one("every", epochs=epochs, batches=batches, steps=steps, seconds=seconds)
    return Every(unit, _number("every", unit, value, least=1))


@_says_what_of
def at(
    *,
    epochs: int | Iterable[int] | None = None,
    batches: int | Iterable[int] | None = None,
    steps: int | Iterable[int] | None = None,
) -> Trigger:
    """Pass at the given places. Exactly one argument, a number or several.

    Args:
        epochs: indices of epochs, from 0: `at(epochs=[0, 9])` passes in the first and the tenth.
        batches: indices of batches in each epoch, from 0.
        steps: counts of steps, from 1: `at(steps=100)` passes in the batch that makes the hundredth.

    Raises:
        TriggerError: none or several arguments, an empty list, or a value that is no index.
    """
    unit, value = _one("at", epochs=epochs, batches=batches, steps=steps)
    try:
        values = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    except TypeError:
        values = [value]
    if not values:
        raise TriggerError(f"at({unit}=[]) would never pass; name at least one")
    least = 1 if unit == "steps" else 0
    return At(unit, frozenset(int(_number("at", unit, item, least=least)) for item in values))


@_says_what_of
def after(
    *, epochs: int | None = None, batches: int | None = None, steps: int | None = None, seconds: float | None = None
) -> Trigger:
    """Pass once so much is behind: `after(epochs=5)` from the sixth epoch on. The opposite of `before`.

    Args:
        epochs: from the epoch with this index on.
        batches: in each epoch, from the batch with this index on.
        steps: once the optimizer has made so many steps.
        seconds: once the run has taken so long.

    Raises:
        TriggerError: none or several arguments, or one that is no number of at least 0.
    """
    unit, value = _one("after", epochs=epochs, batches=batches, steps=steps, seconds=seconds)
    return After(unit, _number("after", unit, value, least=0))


@_says_what_of
def before(
    *, epochs: int | None = None, batches: int | None = None, steps: int | None = None, seconds: float | None = None
) -> Trigger:
    """Pass until so much is behind: `before(epochs=5)` in the first five epochs. The opposite of `after`.

    Args:
        epochs: up to the epoch before the one with this index.
        batches: in each epoch, up to the batch before the one with this index.
        steps: as long as the optimizer has made fewer steps.
        seconds: as long as the run has taken less.

    Raises:
        TriggerError: none or several arguments, or one that is no positive number.
    """
    unit, value = _one("before", epochs=epochs, batches=batches, steps=steps, seconds=seconds)
    return Before(unit, _number("before", unit, value, least=1))


def when(predicate: Callable[[Run], bool]) -> Trigger:
    """Pass when a function of the run says so.

    Args:
        predicate: takes the `Run`, returns whether to pass. Asked once for a begin and end pair.

    Raises:
        TriggerError: it cannot be called with a run.

    Example:
        >>> when(lambda run: run.epoch == 3 and run.batch == 0)
        when(<lambda>)
    """
    if not callable(predicate) or isinstance(predicate, Trigger):
        raise TriggerError(f"when() takes a function of the run, not {predicate!r}")
    trigger, parameters = When(predicate), parameters_of(predicate)
    if parameters is not None:
        problem = parameters.problem(1) if parameters.is_plain else "is async or a generator"
        if problem:
            raise TriggerError(
                f"{trigger!r}: the function {problem}; expected a function of the run: lambda run: run.epoch > 3"
            )
    return trigger


def _unknown(name: str, units: Iterable[str], word: str, value: object) -> TriggerError:
    guess = nearest(word, units)
    hint = f"did you mean {name}({guess}={value!r:.60})?" if guess else "name one of them"
    return TriggerError(f"{name}() takes one of {', '.join(units)}, not {word}; {hint}")


def _one(name: str, **given: object) -> tuple[str, object]:
    """Return the one argument that was given."""
    named = [(unit, value) for unit, value in given.items() if value is not None]
    if len(named) != 1:
        got = ", ".join(f"{unit}={value!r}" for unit, value in named) or "nothing"
        raise TriggerError(f"{name}() takes exactly one of {', '.join(given)}; got {got}")
    return named[0]


def _number(name: str, unit: str, value: object, least: int) -> int | float:
    """Return a checked number: whole, but for seconds, and at least `least`."""
    if unit == "seconds":
        is_right = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
        if is_right and (value or not least):
            return value  # type: ignore[return-value]
        raise TriggerError(f"{name}(seconds={value!r}) must be a positive number of seconds")
    try:
        whole = value.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        whole = None
    if whole is None or isinstance(value, bool) or whole < least:
        raise TriggerError(f"{name}({unit}={value!r}) must be a whole number of at least {least}")
    return int(whole)
