"""The reference of what is public, made from the docstrings.

Owns the order of the page. How a docstring becomes Markdown is `docstrings`' business.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import onlooker
from onlooker.core import errors
from onlooker.core.conditions import Trigger
from onlooker.core.declaration import Declaration
from onlooker.core.dispatch import Dispatcher
from onlooker.core.hooks import HOOKS, signature
from onlooker.core.record import Record
from onlooker.hosts.loop import Stage

from .docstrings import to_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = """\
<!-- Made by `python -m docs.tools.generate` from the docstrings in src/onlooker: change those, not this. -->

# Reference

Everything public, from the docstrings. `ol` stands for `import onlooker as ol`.
"""

LONGEST_LINE = 100
HOST_MAKERS = "For who writes a host"


def make_api_page() -> str:
    """Return the page `docs/reference/api.md`."""
    names = {f"ol.{name}": getattr(onlooker, name) for name in onlooker.__all__ if name != "callbacks"}
    ready_made = {
        f"ol.callbacks.{name}": getattr(onlooker.callbacks, name)
        for name in onlooker.callbacks.__all__
        if name not in ("Callback", "LambdaCallback")
    }
    sections: dict[str, Iterable[tuple[str, Any]]] = {
        "Callbacks": _take(names, "ol.Callback"),
        "What a callback sees": _take(names, "ol.Run", "ol.Logs"),
        "Triggers": [
            *_take(names, "ol.every", "ol.at", "ol.after", "ol.before", "ol.when"),
            ("onlooker.core.trigger.Trigger", Trigger),
        ],
        "Hosts": [
            *_take(names, "ol.Loop"),
            ("onlooker.hosts.loop.Stage", Stage),
            *_take(names, "ol.Trainer", "ol.for_lightning", "ol.for_transformers"),
            *_take(names, "ol.for_xgboost", "ol.for_lightgbm", "ol.for_catboost", "ol.fit_sklearn"),
        ],
        "Ready-made callbacks": ready_made.items(),
        "Looking inside": _take(names, "ol.summary", "ol.Summary"),
        "Records": [
            ("onlooker.core.record.Record", Record),
            *_take(names, "ol.Scalars", "ol.Picture", "ol.Summaries", "ol.Alert"),
        ],
        "Errors": [
            *_take(names, "ol.OnlookerError", "ol.OnlookerWarning"),
            *((f"onlooker.core.errors.{kind.__name__}", kind) for kind in _kinds_of_errors()),
        ],
        HOST_MAKERS: [
            ("onlooker.core.dispatch.Dispatcher", Dispatcher),
            ("onlooker.core.declaration.Declaration", Declaration),
        ],
    }
    if names:
        raise AssertionError(f"public, but in no section of docs/tools/api_page.py: {', '.join(names)}")
    parts = [HEAD]
    for title, entries in sections.items():
        parts.append(f"## {title}\n")
        parts += [_entry(name, value) for name, value in entries]
    return "\n".join(parts)


def _take(names: dict[str, Any], *wanted: str) -> list[tuple[str, Any]]:
    return [(name, names.pop(name)) for name in wanted]


def _kinds_of_errors() -> list[type]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.OnlookerError) and kind is not errors.OnlookerError
    ]


def _entry(name: str, value: Any) -> str:
    short = name.rpartition(".")[2]
    if inspect.isclass(value) and issubclass(value, Exception | Warning):
        others = ", ".join(
            f"`{base.__name__}`" for base in value.__bases__ if base not in (Exception, errors.OnlookerError)
        )
        return f"### `{name}`\n\n{value.__doc__}" + (f" It is also a {others}." if others else "") + "\n"
    parts = [f"### `{name}`", f"```text\n{_wrapped(short + _arguments(value))}\n```", to_markdown(value.__doc__ or "")]
    if inspect.isclass(value):
        parts += _members(value)
    return "\n\n".join(part for part in parts if part) + "\n"


def _members(kind: type) -> list[str]:
    """Return what a class itself defines and says something about, beyond its constructor."""
    parts = []
    if kind is onlooker.Callback:
        hooks = [f"| `{signature(hook)}` | {getattr(kind, hook).__doc__} |" for hook in HOOKS]
        parts.append("\n".join(["| hook | |", "| --- | --- |", *hooks]))
    for name, member in vars(kind).items():
        if name.startswith(("_", "on_")) and name != "__call__":
            continue
        if isinstance(member, property) and member.__doc__:
            parts.append(f"#### `{kind.__name__}.{name}`\n\n{to_markdown(member.__doc__)}")
        elif inspect.isfunction(member) or isinstance(member, classmethod | staticmethod):
            function = getattr(kind, name)
            head = f"#### `{kind.__name__}.{name}{_arguments(function, member)}`"
            parts.append(f"{head}\n\n{to_markdown(function.__doc__ or '')}")
    return parts


def _wrapped(call: str) -> str:
    """Put each argument on a line of its own where one line would be too long to read."""
    if len(call) <= LONGEST_LINE:
        return call
    name, _, inner = call.removesuffix(")").partition("(")
    arguments = re.split(r", (?![^(\[{]*[)\]}])", inner)  # not within a default
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"


class _Name:
    """Shows as a bare name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def _shown(default: Any) -> Any:
    """Return a default as it is to be shown: a function by its name, without its address."""
    return _Name(default.__name__) if inspect.isroutine(default) else default


def _arguments(value: Any, member: Any = None) -> str:
    """Return the arguments with their defaults; their types are in the text, where they matter."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [
        parameter.replace(annotation=parameter.empty, default=_shown(parameter.default))
        for position, parameter in enumerate(found.parameters.values())
        if not (position == 0 and parameter.name == "self" and inspect.isfunction(member))
    ]
    return str(found.replace(parameters=parameters, return_annotation=found.empty))
