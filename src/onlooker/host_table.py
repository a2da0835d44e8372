"""The table of hosts in a terminal: what each gives, from what it says of itself.

Owns the look; the facts are in `hosts/declared`, from which `docs/reference/hosts.md` is made too.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterable, Iterator
from string import ascii_uppercase

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onlooker.core.declaration import ABILITIES, ABSENT, EMULATED, NATIVE, Declaration
from onlooker.core.errors import nearest
from onlooker.core.hooks import HOOKS
from onlooker.hosts import declared

ORDER = (
    "loop",
    "trainer",
    "loop_jax",
    "keras",
    "lightning",
    "transformers",
    "xgboost",
    "lightgbm",
    "catboost",
    "sklearn",
)
"""In which the modules come; one that is not named follows by name."""

_PACKAGES = {"sklearn": "scikit-learn", "pytorch": "torch"}
"""Packages by what people call them."""

_WIDE = 140
"""So many columns of the terminal are room enough for the meanings."""

_STYLES = {NATIVE: "green", EMULATED: "yellow", ABSENT: "red"}
_SIGNS = {NATIVE: "+", EMULATED: "~", ABSENT: "-"}
"""In a terminal: signs that every terminal has."""


def find_declarations() -> list[Declaration]:
    """Return every host's declaration, each once, our own first."""
    names = [module.name for module in pkgutil.iter_modules(declared.__path__)]
    names.sort(key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    modules = [importlib.import_module(f"{declared.__name__}.{name}") for name in names]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Declaration)]
    return list(dict.fromkeys(found))  # one may be built on another, and so import it


def as_json(hosts: list[Declaration]) -> str:
    """Return all that the hosts say, for programs: a list of objects as `Declaration.as_dict` makes them."""
    return json.dumps([host.as_dict() for host in hosts], indent=2, ensure_ascii=False)


def find_named(words: Iterable[str], hosts: list[Declaration]) -> list[Declaration]:
    """Return the hosts that one of the words means; all where there are none.

    A word is the beginning of a host's name, or, where no name begins so, the package that it needs or a word in its
    name. In any case, and `sklearn` and `pytorch` too.

    Raises:
        ValueError: no host is called so.
    """
    found: list[Declaration] = []
    for word in words:
        wanted = word.strip().lower()
        named = [host for host in hosts if wanted and host.name.lower().startswith(wanted)]
        if not named:
            wanted = _PACKAGES.get(wanted, wanted)
            named = [host for host in hosts if wanted in (host.package, *re.findall(r"[\w-]+", host.name.lower()))]
        if not named:
            guess = nearest(word, [host.name for host in hosts], cutoff=0.4)
            hint = f"did you mean {guess!r}?" if guess else f"known: {', '.join(host.name for host in hosts)}"
            raise ValueError(f"no host is called {word!r}; {hint}")
        found += [host for host in named if host not in found]
    return found or hosts


def print_hosts(hosts: list[Declaration], console: Console, has_reasons: bool = True) -> None:
    """Print how each host is used, and the table with a sign for each hook and ability.

    Args:
        hosts: each gets a column, with a letter over it.
        console: where to print.
        has_reasons: whether the reasons and limits follow.
    """
    letters = dict(zip((host.name for host in hosts), ascii_uppercase, strict=False))
    for host in hosts:
        tested = f"  (tested: {host.tested})" if host.tested else ""
        console.print(Text.assemble((f"{letters[host.name]}  ", "bold"), (host.name, "bold"), tested))
        console.print(_indented(Text(host.use)))
    console.print(_table(hosts, list(letters.values()), has_meanings=console.width >= _WIDE))
    console.print(
        Text.assemble(*(part for level in _SIGNS for part in ((_SIGNS[level], _STYLES[level]), f" {level}   ")))
    )
    if not has_reasons:
        console.print(Text("onlooker hosts NAME says why, for example: onlooker hosts Keras"))
        return
    for name in (*HOOKS, *ABILITIES):
        lines = list(_reasons(name, hosts))
        if lines:
            console.print(Text(name, "bold"))
        for line in lines:
            console.print(_indented(line))


def _table(hosts: list[Declaration], letters: list[str], has_meanings: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for letter in letters:
        table.add_column(letter)
    if has_meanings:
        table.add_column("")

    def add_row(name: str, meaning: str, levels: list[str]) -> None:
        cells = [Text(_SIGNS[level], _STYLES[level]) for level in levels]
        table.add_row(name, *cells, *([meaning] if has_meanings else []))

    special = [hook for hook in HOOKS if any(host.hooks[hook].level != NATIVE for host in hosts)]
    others = len(HOOKS) - len(special)
    if others == 1:
        special, others = list(HOOKS), 0
    if others:
        add_row(f"the other {others} hooks" if special else f"all {others} hooks", "", [NATIVE] * len(hosts))
    for hook in special:
        add_row(hook, "", [host.hooks[hook].level for host in hosts])
    for ability, meaning in ABILITIES.items():
        add_row(ability, meaning.removeprefix(f"{ability}: "), [host.abilities[ability].level for host in hosts])
    return table


def _reasons(name: str, hosts: list[Declaration]) -> Iterator[Text]:
    """Yield what a user has to know of a hook or an ability; hosts that say the same share a line."""
    who: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        support = host.hooks.get(name) or host.abilities[name]
        if support.reason:
            who.setdefault((support.level, support.reason), []).append(host.name)
    for (level, reason), names in who.items():
        yield Text.assemble(", ".join(names), ": ", (level, _STYLES[level]), f": {reason}")


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))
