"""The code blocks of a page, as the tests run them.

A page's ```python blocks are one program: they run in order, in one namespace. What a block prints is compared with the
```text block right under it, where there is one. A comment right above a block says what is special about it:

- `<!-- not run: why -->`: a fragment, or something that this machine may not have.
- `<!-- raises -->`: the block ends with an error, whose name, message and notes are the text below.
- `<!-- file: path -->`: the block is a whole file; `<!-- change: path -->`: it is a change to one. Those are not run
  here, but put into a copy of the repository (`test_contributing`).
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>[\w-]*)\s*$")
COMMENT = re.compile(r"^<!-- (?P<text>.*) -->$")
NOT_RUN = "not run: "
RAISES = "raises"
FILE = "file: "
CHANGE = "change: "


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        line: the number of its first line of code, from 1.
        language: what stands behind the fence.
        code: its text.
        comment: the comment right above it, or "".
        output: the text block right under it, or None.
    """

    line: int
    language: str
    code: str
    comment: str = ""
    output: str | None = None

    @property
    def is_run(self) -> bool:
        return self.language == "python" and not self.comment.startswith((NOT_RUN, FILE, CHANGE))


def read_blocks(text: str) -> list[Block]:
    """Return the blocks of a page, each with the comment above and, for code, the output below.

    Raises:
        ValueError: a fence is never closed, or a comment says something unknown.
    """
    found: list[Block] = []
    lines = text.splitlines()
    number, is_adjacent, comment = 0, False, ""
    while number < len(lines):
        line = lines[number]
        number += 1
        if opened := FENCE.match(line):
            first = number
            while number < len(lines) and lines[number] != opened["fence"]:
                number += 1
            if number == len(lines):
                raise ValueError(f"line {first}: this block is never closed")
            code = "\n".join(lines[first:number]) + "\n"
            number += 1
            before = found[-1] if found and is_adjacent else None
            if opened["language"] == "text" and before is not None and before.is_run:
                found[-1] = Block(before.line, before.language, before.code, before.comment, code)
            else:
                _check_comment(comment, opened["language"], first)
                found.append(Block(first + 1, opened["language"], code, comment))
            is_adjacent, comment = True, ""
        elif said := COMMENT.match(line):
            comment = said["text"]
        elif line.strip():
            is_adjacent, comment = False, ""
    return found


def _check_comment(comment: str, language: str, line: int) -> None:
    if language != "python" or not comment or comment == RAISES or comment.startswith((FILE, CHANGE)):
        return
    if not comment.startswith(NOT_RUN) or len(comment) < len(NOT_RUN) + 10:
        raise ValueError(f"line {line}: {comment!r} is none of the comments that a block may have")


def run_blocks(path: Path, blocks: list[Block]) -> None:
    """Run the blocks of a page in one namespace; compare what they print with what the page says.

    Raises:
        AssertionError: a block prints, or raises, something else than the page says.
    """
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        if not block.is_run:
            continue
        # Empty lines in front, so that a traceback shows the page's own line.
        code = compile("\n" * (block.line - 1) + block.code, str(path), "exec", dont_inherit=True)
        printed = io.StringIO()
        error = None
        with contextlib.redirect_stdout(printed):
            if block.comment == RAISES:
                error = _error_of(code, namespace)
            else:
                exec(code, namespace)
        if block.comment == RAISES:
            assert error is not None, f"{path.name}:{block.line}: the block raises nothing"
            printed.write(_shown(error))
        if block.output is not None:
            _compare(block.output, printed.getvalue(), f"{path.name}:{block.line}")


def _error_of(code: Any, namespace: dict[str, Any]) -> Exception | None:
    try:
        exec(code, namespace)
    except Exception as error:
        return error
    return None


def _shown(error: Exception) -> str:
    """Show an error as the last lines of a traceback do, without the module's name."""
    return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]) + "\n"


def _compare(expected: str, printed: str, where: str) -> None:
    """`...` stands for anything, and a line may be wrapped anywhere: pages are narrower than messages."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(expected, printed, flags), (
        f"{where}: the page says\n{expected}\nbut the block prints\n{printed}"
    )
