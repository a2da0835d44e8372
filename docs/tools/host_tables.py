"""The tables of what each host gives, made from the declarations in `hosts/declared`.

Owns the look in Markdown. `onlooker hosts` shows the same in a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onlooker.core.declaration import ABILITIES, ABSENT, EMULATED, NATIVE
from onlooker.core.hooks import HOOKS
from onlooker.host_table import find_declarations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onlooker.core.declaration import Declaration

SIGNS = {NATIVE: "●", EMULATED: "◐", ABSENT: "○"}

PAGE = """\
<!-- Made by `python -m docs.tools.generate` from src/onlooker/hosts/declared: change that, not this. -->

# What each host gives

A host is whoever owns the loop. For every hook and every ability it says one of three things:

- ● native: the host gives it as it is.
- ◐ emulated: Onlooker makes up for what the host lacks. The limits stand below.
- ○ absent: the host cannot give it. The reason stands below.

`onlooker hosts` prints the same in a terminal, `onlooker hosts Keras` one host's reasons, `onlooker hosts --json` all
for programs. A callback that says
`needs = ("gradients",)` is refused when it is attached, by a host in which that ability is absent.

## Hosts

{hosts}
## Hooks

{hooks}
## Abilities

{abilities}
## Reasons and limits

Whatever is not listed here is native without further words.
{reasons}"""


def make_host_page() -> str:
    """Return the page `docs/reference/hosts.md`."""
    hosts = find_declarations()
    names = [host.name for host in hosts]
    uses = [[host.name, f"`{host.use}`", host.tested] for host in hosts]
    hooks = [[f"`{hook}`", *(SIGNS[host.hooks[hook].level] for host in hosts)] for hook in HOOKS]
    abilities = [
        [f"`{ability}`", _meaning(ability), *(SIGNS[host.abilities[ability].level] for host in hosts)]
        for ability in ABILITIES
    ]
    return PAGE.format(
        hosts=_table(["host", "you write", "tested with"], uses),
        hooks=_table(["hook", *names], hooks),
        abilities=_table(["ability", "meaning", *names], abilities),
        reasons="".join(_reasons(name, hosts) for name in (*HOOKS, *ABILITIES)),
    )


def make_readme_table() -> str:
    """Return the short table in the README: how each host is used, and how much it gives."""
    rows = []
    for host in find_declarations():
        levels = [support.level for support in (*host.hooks.values(), *host.abilities.values())]
        counts = (str(levels.count(level)) for level in (NATIVE, EMULATED, ABSENT))
        rows.append([host.name, f"`{host.use}`", host.tested, *counts])
    return _table(["host", "you write", "tested with", "native", "emulated", "absent"], rows)


def _meaning(ability: str) -> str:
    return ABILITIES[ability].removeprefix(f"{ability}: ")


def _reasons(name: str, hosts: list[Declaration]) -> str:
    """Return what a user has to know of one hook or ability, host by host; those that say the same together."""
    who: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        support = host.hooks.get(name) or host.abilities[name]
        if support.reason:
            who.setdefault((support.level, support.reason), []).append(host.name)
    lines = [f"- {', '.join(names)}: {level}. {_sentence(reason)}" for (level, reason), names in who.items()]
    return f"\n### `{name}`\n\n" + "\n".join(lines) + "\n" if lines else ""


def _sentence(reason: str) -> str:
    """Begin with a capital letter, unless the first word is a name in the code, and end with a full stop."""
    first = reason.partition(" ")[0]
    is_word = first.isalpha() or first.rstrip(",;").isalpha()
    return (reason[0].upper() if is_word else reason[0]) + reason[1:].rstrip(".") + "."


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
