"""A terminal for tests: what was written to it, and what one would see on its screen."""

import io
import re

TOKEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([^\x1b])")


class Terminal(io.StringIO):
    """Understands what rich writes, and refuses what it does not understand."""

    encoding = "utf-8"

    def isatty(self):
        return True

    @property
    def screen(self):
        return render(self.getvalue())[0]

    @property
    def shows_cursor(self):
        return render(self.getvalue())[1]


def render(written):
    """Return the lines on the screen, without empty ones at the end, and whether the cursor shows."""
    lines, row, column, shows_cursor = [""], 0, 0, True
    end = 0
    for token in TOKEN.finditer(written):
        assert token.start() == end, f"not understood: {written[end : end + 20]!r}"
        end = token.end()
        argument, command, character = token.groups()
        if command is None:
            if character == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            elif character == "\r":
                column = 0
            else:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + character + line[column + 1 :]
                column += 1
        elif command == "A":
            row = max(0, row - int(argument or 1))
        elif command == "K":
            assert argument == "2"
            lines[row] = ""
        elif command in "hl":
            assert argument == "?25"
            shows_cursor = command == "h"
        else:
            assert command == "m"
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines], shows_cursor
