"""How alerts are shown: as a few lines when they come, as a table at the end.

Owns the words around them, and nothing of what they mean.
"""

from __future__ import annotations

import textwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from rich.table import Table
    from rich.text import Text

    from onlooker.callbacks.inside import Inside
    from onlooker.callbacks.inside.counted import CountedLooking
    from onlooker.core.record import Alert

    from .rule import Rule

MOST_ERROR = 200  # characters
WIDTH = 100


def as_text(alert: Alert) -> str:
    """Return an alert as plain lines, for a terminal, a notebook and a log file alike."""
    where = f" in {alert.where}" if alert.where else ""
    epoch = "" if alert.epoch is None else f"epoch {alert.epoch}, "
    lines = [f"Doctor, {epoch}step {alert.step}: {alert.rule}{where}"]
    for label, text in (("", f"{alert.seen} ({numbers(alert)})"), ("why: ", alert.why), ("try: ", alert.advice)):
        indent = "  "
        lines += textwrap.wrap(label + text, WIDTH, initial_indent=indent, subsequent_indent=indent + " " * len(label))
    return "\n".join(lines)


def numbers(alert: Alert) -> str:
    """Return an alert's evidence in short."""
    return ", ".join(f"{name} {value:.3g}" for name, value in alert.evidence.items())


def counts_of(looking: CountedLooking | None, insides: Iterable[Inside] | None) -> list[CountedLooking]:
    """Return what counts the looks: the Doctor's own, or those of each `Inside` that it reads."""
    return [looking] if looking is not None else [inside.counts() for inside in insides or ()]


def failures(counts: Iterable[CountedLooking]) -> str:
    """Return in words how many looks have failed, and why; `""` if none has."""
    failed = [one for one in counts if one.failed]
    if not failed:
        return ""
    number, looks = sum(one.failed for one in failed), sum(one.failed + one.succeeded for one in failed)
    error = textwrap.shorten(failed[-1].last_error, MOST_ERROR, placeholder=" ...")
    return f"{number} of {looks} looks failed, the last with {error}"


def alert_table(alerts: Sequence[Alert], unjudged: Mapping[str, str], failed: str = "") -> Table | Text:
    """Return a table of alerts; where there are none, a line that says so.

    Args:
        alerts: what is shown.
        unjudged: below it: which rules could not judge, and what they need.
        failed: above those: that looks have failed.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    lines = [f"not judged: {name}, which needs {needs}" for name, needs in unjudged.items()]
    silent = "\n".join([failed, *lines] if failed else lines)
    if not alerts:
        return Text(f"Doctor: no alerts\n{silent}".rstrip())
    title = f"Doctor: {len(alerts)} alert{'s' if len(alerts) > 1 else ''}"
    table = Table(box=SIMPLE_HEAD, title=title, caption=Text(silent) if silent else None, caption_justify="left")
    for column in ("step", "rule", "where", "what was seen", "what to try"):
        table.add_column(column, justify="right" if column == "step" else "left", overflow="fold")
    for alert in alerts:
        words = (str(alert.step), alert.rule, alert.where, f"{alert.seen} ({numbers(alert)})", alert.advice)
        table.add_row(*map(Text, words), end_section=True)  # as text without markup: a name may have brackets
    return table


def needs_of(
    rules: Iterable[Rule], judged: Container[str], looked: Container[str], counts: Sequence[CountedLooking] = ()
) -> dict[str, str]:
    """Return by their names what rules need that have not judged; those for some kinds of training only are left out.

    Args:
        rules: all rules.
        judged: the names of those that have.
        looked: what is looked at, as in `Rule.reads`.
        counts: of the looks.
    """
    found = {}
    has_seen = not counts or any(one.succeeded for one in counts)
    for rule in rules:
        if rule.is_general and rule.name not in judged:
            missing = [what.replace("_", " ") for what in rule.reads if what not in looked]
            why = "which this run does not show"
            if not missing and not has_seen:
                missing, why = [what.replace("_", " ") for what in rule.reads], "and no look has succeeded"
            found[rule.name] = f"to look at {' and '.join(missing)}, {why}" if missing else rule.needs
    return {name: needs for name, needs in found.items() if needs}
