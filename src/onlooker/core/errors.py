"""The errors and the warning that Onlooker raises.

Each inherits `OnlookerError` and the built-in that a reader would expect, so that both `except` clauses work.
The messages are made where the mistake is found; only the wording shared by many places lives here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class OnlookerError(Exception):
    """Anything that Onlooker itself refuses or cannot do."""


class AttachError(OnlookerError, TypeError):
    """A callback was refused when it was attached: its class, a hook, its trigger or its policy is wrong."""


class NotAttachedError(OnlookerError, AttributeError):
    """A callback was asked for `run`, `model` or `params` before it was attached to a run."""


class TriggerError(OnlookerError, ValueError):
    """A trigger was built with a value that can never be right."""


class GrammarError(OnlookerError, RuntimeError):
    """A hook came at a moment at which the grammar does not allow it."""


class AbsentError(OnlookerError, RuntimeError):
    """The host or the model cannot give what was asked; the message says why."""


class LogError(OnlookerError, ValueError):
    """A value was logged that is no number, or at a moment at which there is nothing to log to."""


class MissingLogError(OnlookerError, KeyError):
    """A name was read that is not in the logs; the message lists those that are."""

    def __str__(self) -> str:
        """The message itself: `KeyError` would show its `repr`."""
        return str(self.args[0]) if self.args else ""


class LoopError(OnlookerError, RuntimeError):
    """A loop was used in a way that cannot work, for example outside `with`; or a hook has raised `StopIteration`."""


class DataError(OnlookerError, ValueError):
    """A loader yields nothing, or what it yields cannot be used."""


class PictureError(OnlookerError, ValueError):
    """An array is not the picture that it was declared to be."""


class LookError(OnlookerError, TypeError):
    """Something was to be looked at that is no tensor of numbers, or that cannot be looked into."""


class MissingExtraError(OnlookerError, ImportError):
    """An optional dependency is not installed; the message is the command that installs it."""


class OnlookerWarning(UserWarning):
    """Something went wrong that does not stop the training."""


def missing_extra(extra: str, package: str) -> MissingExtraError:
    """Build the one-line error for a package that an extra brings.

    Example:
        >>> str(missing_extra("plot", "matplotlib"))
        "matplotlib is not installed; run: pip install 'onlooker[plot]'"
    """
    return MissingExtraError(f"{package} is not installed; run: pip install 'onlooker[{extra}]'")


def taken_for_an_end(who: str, error: StopIteration) -> LoopError:
    """Build the error to raise for a `StopIteration`, which whoever iterates would silently take for the end.

    Args:
        who: has raised it.
        error: becomes the cause; its traceback is kept too, as Keras takes the causes off.
    """
    raised = LoopError(
        f"{who} raised StopIteration, which a `for` would take for its end; "
        f"where next() may find nothing, give it a default: next(iterator, None)"
    )
    raised.__cause__ = error
    return raised.with_traceback(error.__traceback__)


def warn(message: str) -> None:
    """Warn, at the line outside Onlooker from which it was reached."""
    import sys
    import warnings

    own = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == own:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, OnlookerWarning, stacklevel=level)


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that looks most like `name`, or None where none does.

    Example:
        >>> nearest("on_epoch_ends", ["on_epoch_begin", "on_epoch_end"])
        'on_epoch_end'
    """
    import difflib  # costs 9 ms, so only when there is something wrong

    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None
