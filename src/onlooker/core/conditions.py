"""What triggers are made of: the conditions, and how they combine.

Owns `Trigger` and its kinds. A trigger is a pure description, shared by as many callbacks as one likes; what has to be
remembered between two questions is in the `Gate` of each attachment. How users build one is in `trigger`.
"""

from __future__ import annotations

from .errors import TriggerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Never, TypeVar

    from .gate import Moment
    from .run import Run

    Hook = TypeVar("Hook", bound=Callable[..., None])


class Trigger:
    """A condition on a run. Made by `every`, `at`, `after`, `before` and `when`, combined by `|`, `&` and `~`.

    Above a hook it gates that hook, as a callback's `when` all its epoch and batch hooks; the begin and end of train,
    test and predict always come.

    Example:
        >>> from onlooker.core.trigger import at, every
        >>> every(epochs=5) | at(epochs=[0])
        every(epochs=5) | at(epochs=[0])
    """

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment. Changes nothing."""
        raise NotImplementedError

    def check_hook(self, hook: str) -> None:
        """Refuse a hook in which the condition can never hold.

        Raises:
            TriggerError: with the reason and what to do.
        """

    @property
    def waits_for_step(self) -> bool:
        """Whether the answer depends on the optimizer's step within the batch at hand."""
        return False

    def __call__(self, hook: Hook) -> Hook:
        """Gate a hook: used as a decorator above the method.

        Raises:
            TriggerError: it stands above a class, or above what is no function.
        """
        if isinstance(hook, type):
            raise TriggerError(
                f"{self!r} stands above the class {hook.__name__}, but a trigger goes above a hook; "
                f"for all hooks of a callback write in the class: when = {self!r}"
            )
        if not callable(hook):
            raise TriggerError(f"{self!r} stands above {hook!r}, which is no function")
        above: Trigger | None = getattr(hook, "_onlooker_when", None)
        hook._onlooker_when = self if above is None else self & above  # type: ignore[attr-defined]
        return hook

    def __or__(self, other: Trigger) -> Trigger:
        return AnyOf(self, _checked(other, self, "|"))

    def __and__(self, other: Trigger) -> Trigger:
        return AllOf(self, _checked(other, self, "&"))

    def __ror__(self, other: Never) -> Trigger:
        return AnyOf(_checked(other, self, "|"), self)

    def __rand__(self, other: Never) -> Trigger:
        return AllOf(_checked(other, self, "&"), self)

    def __invert__(self) -> Trigger:
        return Not(self)

    def __bool__(self) -> bool:
        raise TriggerError(f"{self!r} is neither true nor false by itself; combine triggers by & | ~, not and, or, not")


class Combined(Trigger):
    """What the two ways to combine two triggers share."""

    sign = ""

    def __init__(self, left: Trigger, right: Trigger) -> None:
        self.left, self.right = left, right

    def check_hook(self, hook: str) -> None:
        """Refuse a hook in which the condition can never hold."""
        self.left.check_hook(hook)
        self.right.check_hook(hook)

    @property
    def waits_for_step(self) -> bool:
        """Whether the answer depends on the optimizer's step within the batch at hand."""
        return self.left.waits_for_step or self.right.waits_for_step

    def __repr__(self) -> str:
        return f"{_inner(self.left, self)} {self.sign} {_inner(self.right, self)}"


class AnyOf(Combined):
    """Passes when one of two does."""

    sign = "|"

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment."""
        return self.left.passes(moment) or self.right.passes(moment)


class AllOf(Combined):
    """Passes when both of two do."""

    sign = "&"

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment."""
        return self.left.passes(moment) and self.right.passes(moment)


class Not(Trigger):
    """Passes when another does not."""

    def __init__(self, inner: Trigger) -> None:
        self.inner = inner

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment."""
        return not self.inner.passes(moment)

    def check_hook(self, hook: str) -> None:
        """Refuse a hook in which the condition can never hold."""
        self.inner.check_hook(hook)

    @property
    def waits_for_step(self) -> bool:
        """Whether the answer depends on the optimizer's step within the batch at hand."""
        return self.inner.waits_for_step

    def __repr__(self) -> str:
        return f"~{_inner(self.inner, self)}"


class When(Trigger):
    """Passes when a function of the run says so."""

    def __init__(self, predicate: Callable[[Run], bool]) -> None:
        self.predicate = predicate

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment."""
        try:
            return bool(self.predicate(moment.run))
        except Exception as error:
            note = f"in the trigger {self!r}"
            if note not in getattr(error, "__notes__", ()):  # one object may be raised again and again
                error.add_note(note)
            raise

    def __repr__(self) -> str:
        return f"when({getattr(self.predicate, '__name__', self.predicate)})"


class Counting(Trigger):
    """What the four counting triggers share: one unit and a value to compare with."""

    name = ""
    needs_change = False  # whether it fires on the change of the step rather than on its value

    def __init__(self, unit: str, value: int | float | frozenset[int]) -> None:
        self.unit, self.value = unit, value

    def check_hook(self, hook: str) -> None:
        """Refuse a hook in which the condition can never hold."""
        is_epoch_hook = hook.startswith("on_epoch")
        if self.unit == "batches" and is_epoch_hook:
            raise TriggerError(
                f"{self!r} can never pass there: in an epoch hook no batch is at hand. "
                f"Put the trigger above the batch hook instead of on the whole callback"
            )
        if self.unit == "steps" and self.needs_change:
            if hook == "on_epoch_begin":
                raise TriggerError(
                    f"{self!r} can never pass there: when an epoch begins nobody knows its steps yet. "
                    f"Put the trigger above on_epoch_end or a train batch hook"
                )
            if not is_epoch_hook and not hook.startswith("on_train"):
                raise TriggerError(
                    f"{self!r} can never pass there: no optimizer steps in a test or predict batch. "
                    f"Put the trigger above the train batch hook instead of on the whole callback"
                )

    @property
    def waits_for_step(self) -> bool:
        """Whether the answer depends on the optimizer's step within the batch at hand."""
        return self.unit == "steps" and self.needs_change

    def __repr__(self) -> str:
        value = sorted(self.value) if isinstance(self.value, frozenset) else self.value
        return f"{self.name}({self.unit}={value})"


class Every(Counting):
    """Passes again and again."""

    name, needs_change = "every", True
    value: int | float

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment."""
        if self.unit == "seconds":
            return moment.seconds_since_pass >= self.value
        if self.unit == "steps":
            return moment.step // self.value > moment.step_before // self.value
        count = moment.index(self.unit)
        return count is not None and (count + 1) % self.value == 0


class At(Counting):
    """Passes at the given places."""

    name, needs_change = "at", True
    value: frozenset[int]

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment."""
        if self.unit == "steps":
            return any(moment.step_before < step <= moment.step for step in self.value)
        return moment.index(self.unit) in self.value


class After(Counting):
    """Passes once so much is behind."""

    name = "after"
    value: int | float

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment."""
        count = moment.count(self.unit)
        return count is not None and count >= self.value


class Before(Counting):
    """Passes until so much is behind."""

    name = "before"
    value: int | float

    def passes(self, moment: Moment) -> bool:
        """Say whether the condition holds at a moment."""
        count = moment.count(self.unit)
        return count is not None and count < self.value


def _checked(other: object, trigger: Trigger, sign: str) -> Trigger:
    """Return what a trigger is combined with, if that is one too."""
    if isinstance(other, Trigger):
        return other
    hint = "; a function of the run becomes one by onlooker.when(function)" if callable(other) else ""
    raise TriggerError(f"{trigger!r} can be combined by {sign} with another trigger only, not with {other!r:.80}{hint}")


def _inner(trigger: Trigger, outer: Trigger) -> str:
    """Show a part of a combined trigger, in parentheses where it would read wrongly without."""
    return f"({trigger!r})" if isinstance(trigger, Combined) and type(trigger) is not type(outer) else repr(trigger)
