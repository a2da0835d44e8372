"""What stands in the lines of the live display, for the width that there is.

Owns the words, the numbers and what gives way when there is no room for all. Lines are lists of pieces of text with the
name of their role, so that this knows nothing of rich; `bars` gives the roles their colors.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Line = list[tuple[str, str]]  # text and role

WIDEST_BAR = 40
NARROWEST_BAR = 8
MOST_VALUE_LINES = 3
INDENT = "  "


class Row:
    """One bar and the values under it.

    Args:
        name: what is counted: `"epoch"`, `"train"`, `"test"` or `"predict"`.
        count: how many are done, or, of epochs, which is at hand.
        total: how many there are; None where unknown.
        fraction: how much is done, from 0 to 1; None where unknown: then there is no bar.
        tail: what stands behind the bar, the most important first.
        values: numbers by name.
    """

    def __init__(
        self,
        name: str,
        count: int,
        total: int | None,
        fraction: float | None,
        tail: Sequence[str],
        values: Mapping[str, float],
    ) -> None:
        self.label = f"{name} {counted(count, total)}"
        self.fraction = fraction
        self.tail = tail
        self.values = values


def lay_out(rows: Sequence[Row], width: int, *, is_ascii: bool = False) -> list[Line]:
    """Return the lines for some rows: for each its bar, all of one width, and its values under it.

    Example:
        >>> row = Row("train", 5, 10, 0.5, ["0:03 left"], {"loss": 0.5})
        >>> for line in lay_out([row], 36, is_ascii=True):
        ...     print("".join(text for text, _ in line))
        train  5/10 ####-----  50% 0:03 left
          loss 0.5000
    """
    label_width = max(len(row.label) for row in rows)
    tails = [[_percent(row.fraction), *row.tail] for row in rows]
    columns = max(len(tail) for tail in tails)
    widths = [max(len(tail[n]) if n < len(tail) else 0 for tail in tails) for n in range(columns)]
    while len(widths) > 1 and _room(width, label_width, widths) < NARROWEST_BAR:
        widths.pop()
    bar_width = min(WIDEST_BAR, _room(width, label_width, widths))
    has_bar = bar_width >= NARROWEST_BAR and any(row.fraction is not None for row in rows)
    lines = []
    for row, tail in zip(rows, tails, strict=True):
        line = [(row.label.ljust(label_width), "label")]
        if has_bar:
            line += [(" ", ""), *_bar(row.fraction, bar_width, is_ascii)]
        for part, part_width in zip(tail, widths, strict=False):
            line.append((f" {part.rjust(part_width)}", "tail"))
        lines += [_cropped(line, width), *_values(row.values, width, is_ascii)]
    return lines


def counted(count: int, total: int | None) -> str:
    """Return a count of a total, as wide in the end as in the beginning."""
    return str(count) if total is None else f"{str(count).rjust(len(str(total)))}/{total}"


def number(value: float) -> str:
    """Return a number with four digits.

    Example:
        >>> [number(value) for value in (0.25, 123.456, 12345.6, 0.0000125, float("nan"))]
        ['0.2500', '123.5', '12346', '1.250e-05', 'nan']
    """
    if 1000 <= abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:#.4g}".rstrip(".")


def duration(seconds: float) -> str:
    """Return a time span as on a clock.

    Example:
        >>> [duration(seconds) for seconds in (7.6, 75, 3725, 200_000)]
        ['0:08', '1:15', '1:02:05', '2d 07:33']
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24}d {hours % 24:02}:{minute:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def speed(rate: float) -> str:
    """Return a rate, or, where it is slow, its inverse.

    Example:
        >>> speed(812.3), speed(12.34), speed(0.25)
        ('812 batches/s', '12.3 batches/s', '4.0 s/batch')
    """
    if rate < 1:
        return f"{1 / rate:.1f} s/batch"
    return f"{rate:.0f} batches/s" if rate >= 100 else f"{rate:.1f} batches/s"


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{int(fraction * 100):3}%"


def _room(width: int, label_width: int, widths: Sequence[int]) -> int:
    """Return what is left for the bar."""
    return width - label_width - 1 - sum(part + 1 for part in widths)


def _bar(fraction: float | None, width: int, is_ascii: bool) -> Line:
    if fraction is None:
        return [(" " * width, "")]
    done = int(fraction * width)
    full, rest = ("#", "-") if is_ascii else ("━", "─")
    return [(full * done, "done"), (rest * (width - done), "rest")]


def _values(values: Mapping[str, float], width: int, is_ascii: bool) -> list[Line]:
    """Return the lines of values: as many beside each other as fit, and how many there was no room for."""
    lines: list[list[Line]] = []
    used = width
    for name, value in values.items():
        shown = number(value)
        name = _shortened(name, max(4, width - len(INDENT) - 1 - len(shown)), "..." if is_ascii else "…")
        item = [(INDENT, ""), (f"{name} ", "name"), (shown, "value" if value - value == 0 else "alarm")]
        if used + _length(item) > width:
            if len(lines) == MOST_VALUE_LINES:
                break
            lines.append([])
            used = 0
        lines[-1].append(item)
        used += _length(item)
    shown_count = sum(map(len, lines))
    if shown_count < len(values):
        if used + len(_rest(values, shown_count)) > width and len(lines[-1]) > 1:
            lines[-1].pop()
            shown_count -= 1
        lines[-1].append([(_rest(values, shown_count), "name")])
    return [_cropped([piece for item in line for piece in item], width) for line in lines]


def _rest(values: Mapping[str, float], shown_count: int) -> str:
    return f"{INDENT}+{len(values) - shown_count}"


def _length(line: Line) -> int:
    return sum(len(text) for text, _ in line)


def _shortened(name: str, width: int, dots: str) -> str:
    """Return a name with its middle left out, if it is too long: its ends tell more."""
    if len(name) <= width:
        return name
    kept = max(2, width - len(dots))
    return f"{name[: kept // 2]}{dots}{name[len(name) - (kept - kept // 2) :]}"


def _cropped(line: Line, width: int) -> Line:
    """Return what fits of a line."""
    kept: Line = []
    for text, role in line:
        if len(text) > width:
            kept.append((text[: max(0, width)], role))
            break
        kept.append((text, role))
        width -= len(text)
    return kept
