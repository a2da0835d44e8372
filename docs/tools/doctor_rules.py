"""The table of the Doctor's rules, made from the rules, between two markers of the guide's page.

Owns how a rule becomes a row. What it says about itself is the rule's business.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from onlooker.callbacks.doctor.rules import ALL

if TYPE_CHECKING:
    from onlooker.callbacks.doctor import Rule

PAGE = Path(__file__).resolve().parents[1] / "guide" / "doctor.md"
BEGIN, END = "<!-- rules: made by docs/tools -->", "<!-- /rules -->"


def make_doctor_page() -> str:
    """Return the guide's page with the table of rules made anew."""
    before, begin, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} must have {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{make_table()}\n{END}{after}"


def make_table() -> str:
    """Return the table: what each rule finds, its arguments with their defaults, and who has described it."""
    rows = ["| rule | what it finds | arguments | source |", "| --- | --- | --- | --- |"]
    rows += [f"| `{kind.name}` | {_finds(kind)} | {_arguments(kind)} | {kind.source} |" for kind in ALL]
    return "\n".join(rows) + "\n"


def _finds(kind: type[Rule]) -> str:
    """Return the first sentences of the class, up to the first blank line, without the verb."""
    first = " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())
    return first.removeprefix("Finds ").removeprefix("Finds, ").removesuffix(".")


def _arguments(kind: type[Rule]) -> str:
    parameters = list(inspect.signature(kind).parameters.values())
    return ", ".join(f"{one.name} {_default(one.default)}" for one in parameters)


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return f"`{value[0]!r}` …" if value else "none"
    return f"`{value!r}`" if isinstance(value, str) else f"{value:g}"
