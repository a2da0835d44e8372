"""A docstring in Google's style, as Markdown.

Owns the reading of sections. Which names stand on the page, and in which order, is `api_page`'s business.
"""

from __future__ import annotations

import inspect
import re

SECTION = re.compile(r"^(Args|Arguments|Attributes|Raises|Returns|Yields|Example|Source):(?: (?P<rest>\S.*))?$")
ITEM = re.compile(r"^(?P<name>\*{0,2}[\w.]+): (?P<text>.*)$")
TITLES = {"Args": "Arguments"}


def to_markdown(text: str) -> str:
    """Return a docstring as Markdown: `Args:` and the like as lists, a `>>>` example as a block."""
    parts: list[str] = []
    for title, lines in _sections(inspect.cleandoc(text).splitlines()):
        if title is None:
            body = "\n".join(lines).strip()
        elif title == "Example":
            body = _example(lines)
        elif title in ("Args", "Arguments", "Attributes", "Raises"):
            body = _items(lines)
        else:
            body = " ".join(line.strip() for line in lines).strip()
        if not body:
            continue
        if title is None:
            parts.append(body)
        elif title == "Source":
            parts.append(f"*Source*: {body}")
        else:
            parts.append(f"*{TITLES.get(title, title)}*\n\n{body}")
    return "\n\n".join(parts)


def _sections(lines: list[str]) -> list[tuple[str | None, list[str]]]:
    found: list[tuple[str | None, list[str]]] = [(None, [])]
    for line in lines:
        section = SECTION.match(line)
        if section:
            found.append((section[1], [section["rest"]] if section["rest"] else []))
        elif found[-1][0] is not None and line and not line.startswith(" "):
            if found[-1][0] == "Source":  # which goes on without an indent
                found[-1][1].append(line)
            else:
                found.append((None, [line]))
        else:
            found[-1][1].append(line)
    return found


def _items(lines: list[str]) -> str:
    """Return `name: text` entries, each of which may go on in deeper lines, as a list."""
    items: list[str] = []
    for line in inspect.cleandoc("\n".join(lines)).splitlines():
        entry = ITEM.match(line)
        if entry:
            items.append(f"- `{entry['name']}`: {entry['text']}")
        elif items:
            items[-1] += f" {line.strip()}"
        else:
            items.append(f"- {line.strip()}")
    return "\n".join(item.rstrip() for item in items)


def _example(lines: list[str]) -> str:
    text = inspect.cleandoc("\n".join(lines))
    if text.startswith("```"):
        return f"<!-- not run: it stands in a docstring, without what is around it -->\n{text}"
    return f"```pycon\n{text}\n```" if text.startswith(">>>") else text
