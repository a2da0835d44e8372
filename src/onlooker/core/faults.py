"""`Faults`: what happens to a callback whose hook raised, by its own `on_error`.

Owns the policies, the words of the notes and warnings, and who is disabled. That the others are still called is the
dispatcher's business.
"""

from __future__ import annotations

from .errors import OnlookerWarning, taken_for_an_end, warn
from .hooks import arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .callback import Callback
    from .run import Run

STAGE_ENDS = ("on_train_end", "on_test_end", "on_predict_end")
"""The hooks in which a callback lets go of what it holds: a disabled one still gets them, guarded."""


class _Note(str):
    """A note of ours on an error. In a pickle it is a plain word.

    Attributes:
        told_by: by which the run is known in which it was raised, or None: what an earlier run has said is over.
    """

    told_by: object

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


class Faults:
    """Judges each error that a hook raises.

    Args:
        run: where the training stands, for the words.
        silence: called with a callback that has become disabled; it shall get no more hooks but `STAGE_ENDS`.
    """

    def __init__(self, run: Run, silence: Callable[[Callback], None]) -> None:
        self._run = run
        self._silence = silence
        self._judged = object()  # by which its own notes are known
        self._disabled: set[int] = set()
        self._warned: set[tuple[int, str, type]] = set()

    def judge(self, owner: Callback, hook: str, error: BaseException, given: tuple[Any, ...]) -> BaseException | None:
        """Apply the owner's policy: warn, disable, or return the error, which is then to be raised: always so Ctrl-C.

        For a `StopIteration` another is returned: the host, be it a trainer of somebody else's, may iterate.

        Args:
            owner: the callback.
            hook: the hook that raised.
            error: what it raised; a note with the place is added to it.
            given: the hook's arguments.
        """
        where = f"{type(owner).__name__}.{hook}, {self._place(hook, given)}"
        if not isinstance(error, Exception):
            self._note(error, f"in {where}")
            return error
        told = f"{where}: {', '.join([repr(error), *_noted(error)])}"
        if id(owner) in self._disabled:
            return self._warn(owner, hook, error, f"{told}, in a callback that is disabled already")
        if owner.on_error == "warn":
            return self._warn(owner, hook, error, f"{told}; the training goes on")
        if owner.on_error == "disable":
            self._disabled.add(id(owner))
            self._silence(owner)
            return self._warn(owner, hook, error, f"{told}; the callback is disabled from here on")
        if isinstance(error, StopIteration):
            notes, error = _noted(error), taken_for_an_end("a hook", error)
            for note in notes:
                error.add_note(note)
        self._note(error, f"in {where} (on_error='raise')")
        return error

    def _note(self, error: BaseException, place: str) -> None:
        """Note a place on an error, and take off what an earlier run had: one object may be raised in many."""
        notes = getattr(error, "__notes__", [])
        if not any(_told_by(note) is self._judged for note in notes):
            notes[:] = [note for note in notes if not isinstance(note, _Note)]
        _add_once(error, place, self._judged)

    def _place(self, hook: str, given: tuple[Any, ...]) -> str:
        """Say where a hook was called: its own index, and the epoch around it."""
        index = [f"{name} {value}" for name, value in zip(arguments(hook), given, strict=True) if name != "logs"]
        epoch = self._run.epoch
        if epoch is not None and not hook.startswith("on_epoch"):
            index.insert(0, f"epoch {epoch}")
        return ", ".join(index) or "outside any epoch"

    def _warn(self, owner: Callback, hook: str, error: Exception, message: str) -> Exception | None:
        """Warn once per hook and type of error; return the warning where warnings are errors, to be raised in turn."""
        key = (id(owner), hook, type(error))
        if key in self._warned:
            return None
        self._warned.add(key)
        try:
            warn(message)
        except OnlookerWarning as warning:
            warning.__cause__ = error
            return warning
        return None


class Collected:
    """The errors of calls that all have to be made, whatever the earlier ones raise.

    Attributes:
        first: the one to raise, with the others as notes; None where there was none.
    """

    def __init__(self) -> None:
        self.first: BaseException | None = None

    def call(self, close: Callable[..., object], *arguments: object) -> None:
        """Call, and keep what it raises."""
        try:
            close(*arguments)
        except BaseException as error:
            self.first = graver(self.first, error)


def graver(first: BaseException | None, later: BaseException | None) -> BaseException | None:
    """Return which of two errors is to be raised, with the other as a note: the first, but Ctrl-C before any other."""
    if first is None or later is None:
        return later if first is None else first
    if isinstance(first, Exception) and not isinstance(later, Exception):
        add_to(later, first, "and before that")
        return later
    add_to(first, later)
    return first


def add_to(raised: BaseException, other: BaseException, order: str = "and then") -> None:
    """Note another error on the one that is raised."""
    if raised is not other:
        told_by = next(filter(None, map(_told_by, getattr(raised, "__notes__", ()))), None)
        _add_once(raised, f"{order} {'; '.join([repr(other), *getattr(other, '__notes__', ())])}", told_by)


def _noted(error: BaseException) -> list[str]:
    """Return what a warning repeats of an error's notes: a warning is one line, and where it was it says itself."""
    notes = getattr(error, "__notes__", ())
    return [note for note in notes if "\n" not in note and not isinstance(note, _Note)]


def _told_by(note: str) -> object:
    return note.told_by if isinstance(note, _Note) else None


def _add_once(error: BaseException, words: str, told_by: object) -> None:
    """Add a note, unless it is there already."""
    if words not in getattr(error, "__notes__", ()):
        note = _Note(words)
        note.told_by = told_by
        error.add_note(note)
