"""`Parameters`: what a function takes by position, found out without importing inspect where possible.

Owns the look at a function. What is right for a hook or a trigger is for `attach` and `trigger` to say.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # inspect.CO_*, whose import costs 18 ms
_VARIABLE_POSITIONAL = 0x04


class Parameters:
    """What a function takes by position.

    Attributes:
        names: of its positional parameters; of a method without the first.
        required: how many of them have no default.
        is_variable: whether it takes any number more.
        missing: the keywords without which it cannot be called.
        is_plain: whether a call runs it: it is neither async nor a generator.
    """

    __slots__ = ("is_plain", "is_variable", "missing", "names", "required")

    def __init__(
        self, names: tuple[str, ...], required: int, is_variable: bool, missing: list[str], is_plain: bool = True
    ) -> None:
        self.names, self.required, self.is_variable = names, required, is_variable
        self.missing, self.is_plain = missing, is_plain

    def problem(self, count: int) -> str | None:
        """Say why it cannot be called with so many arguments by position, or None where it can."""
        takes = f"takes ({', '.join(self.names) or 'nothing'})"
        if self.missing:
            return f"needs the keyword {self.missing[0]}, which nobody gives"
        if self.required > count:
            return f"{takes}, which is {self.required - count} more than it is given"
        if len(self.names) < count and not self.is_variable:
            return f"{takes}, which is too few"
        return None


def parameters_of(callable_: Any) -> Parameters | None:
    """Return what something that can be called takes; None for a builtin that tells nothing.

    Example:
        >>> parameters_of(lambda epoch, logs=None: None).names
        ('epoch', 'logs')
    """
    function = getattr(callable_, "__func__", callable_)
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__") or hasattr(function, "__signature__"):
        return _by_inspect(callable_)
    names = code.co_varnames[: code.co_argcount]
    if callable_ is not function:  # bound: the first parameter is taken
        names = names[1:]
    required_keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return Parameters(
        names,
        required=len(names) - len(function.__defaults__ or ()),
        is_variable=bool(code.co_flags & _VARIABLE_POSITIONAL),
        missing=[key for key in required_keywords if key not in (function.__kwdefaults__ or {})],
        is_plain=not code.co_flags & (_COROUTINE | _ASYNC_GENERATOR | _GENERATOR),
    )


def _by_inspect(callable_: Any) -> Parameters | None:
    import inspect

    try:
        parameters = inspect.signature(callable_).parameters.values()
    except (TypeError, ValueError):  # a builtin that tells nothing: it will speak for itself
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return Parameters(
        tuple(p.name for p in positional),
        required=sum(p.default is p.empty for p in positional),
        is_variable=any(p.kind is p.VAR_POSITIONAL for p in parameters),
        missing=[p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty],
    )
