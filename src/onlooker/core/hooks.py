"""The fourteen hooks and the grammar in which they come: the single source for both.

A *scope* is what a begin hook opens and its end hook closes. Seven scopes give the fourteen hooks, and what each scope
may hold gives the grammar. This module knows names only; it calls nothing.
"""

from __future__ import annotations

from .errors import GrammarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Scope:
    """What a begin hook opens and its end hook closes.

    Attributes:
        name: the scope's own name, for example `"epoch"`.
        begin: the hook that opens it.
        end: the hook that closes it.
        index: what its hooks count, `"epoch"` or `"batch"`; None where their only argument is `logs`.
        stage: `"train"`, `"test"` or `"predict"`.
        holds: the names of the scopes that may be opened within it, any number of times and in any order.
    """

    __slots__ = ("begin", "end", "holds", "index", "name", "stage")

    def __init__(self, name: str, stage: str, index: str | None, holds: tuple[str, ...]) -> None:
        self.name = name
        self.begin = f"on_{name}_begin"
        self.end = f"on_{name}_end"
        self.index = index
        self.stage = stage
        self.holds = holds

    def __repr__(self) -> str:
        return f"Scope({self.name!r})"


SCOPES: dict[str, Scope] = {
    scope.name: scope
    for scope in (
        Scope("train", "train", None, holds=("epoch",)),
        Scope("epoch", "train", "epoch", holds=("train_batch", "test", "predict")),
        Scope("train_batch", "train", "batch", holds=("test", "predict")),
        Scope("test", "test", None, holds=("test_batch",)),
        Scope("test_batch", "test", "batch", holds=()),
        Scope("predict", "predict", None, holds=("predict_batch",)),
        Scope("predict_batch", "predict", "batch", holds=()),
    )
}
"""The seven scopes by name, from the outermost inwards."""

TOP_SCOPES: tuple[str, ...] = ("train", "test", "predict")
"""The scopes that may stand alone."""

HOOKS: dict[str, Scope] = {hook: scope for scope in SCOPES.values() for hook in (scope.begin, scope.end)}
"""The fourteen hook names, each with the scope that it opens or closes."""

ALIASES: dict[str, str] = {
    "on_batch_begin": "on_train_batch_begin",
    "on_batch_end": "on_train_batch_end",
}
"""Keras' older names for two of the hooks: a callback that overrides one is called as by the newer name."""


def arguments(hook: str) -> tuple[str, ...]:
    """Return the names of a hook's arguments, without `self`.

    Example:
        >>> arguments("on_epoch_end"), arguments("on_train_end")
        (('epoch', 'logs'), ('logs',))
    """
    index = HOOKS[hook].index
    return ("logs",) if index is None else (index, "logs")


def signature(hook: str) -> str:
    """Return a hook as one would write it in a class.

    Example:
        >>> signature("on_epoch_end")
        'def on_epoch_end(self, epoch, logs=None)'
    """
    return f"def {hook}(self, {', '.join(arguments(hook))}=None)"


class GrammarChecker:
    """Follows the hooks of a run and refuses the first that the grammar does not allow.

    Feed it hook names in the order in which they came. It checks names and nesting; that `epoch` and `batch` count
    from 0 is the business of whoever has the numbers.

    Raises:
        GrammarError: from `hook`, when the hook cannot come now, and from `finish`, when scopes are still open.

    Example:
        >>> checker = GrammarChecker()
        >>> checker.hook("on_train_begin")
        >>> checker.hook("on_epoch_end")
        Traceback (most recent call last):
            ...
        onlooker.core.errors.GrammarError: on_epoch_end came within train; expected one of: on_epoch_begin, on_train_end
    """

    def __init__(self) -> None:
        self._open: list[Scope] = []

    @property
    def open_scopes(self) -> tuple[str, ...]:
        """The names of the open scopes, from outside in."""
        return tuple(scope.name for scope in self._open)

    def expected(self) -> tuple[str, ...]:
        """Return the hooks that may come now."""
        if not self._open:
            return tuple(SCOPES[name].begin for name in TOP_SCOPES)
        inner = self._open[-1]
        return (*(SCOPES[name].begin for name in inner.holds), inner.end)

    def hook(self, name: str) -> None:
        """Take the next hook."""
        if name not in self.expected():
            where = f"within {self._open[-1].name}" if self._open else "outside any stage"
            raise GrammarError(f"{name} came {where}; expected one of: {', '.join(self.expected())}")
        scope = HOOKS[name]
        if name == scope.begin:
            self._open.append(scope)
        else:
            self._open.pop()

    def finish(self) -> None:
        """Say that no more hooks come."""
        if self._open:
            raise GrammarError(f"the hooks ended within {' > '.join(self.open_scopes)}; expected {self._open[-1].end}")


def check_grammar(hooks: Iterable[str]) -> None:
    """Check a whole run at once.

    Raises:
        GrammarError: for the first hook that the grammar does not allow, or where the end is missing.

    Example:
        >>> check_grammar(["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"])
    """
    checker = GrammarChecker()
    for hook in hooks:
        checker.hook(hook)
    checker.finish()
