"""Keeps what a benchmark measured in `results.json`, and makes the page `docs/benchmarks.md` of it.

Each benchmark writes its own part, with the versions and the date, so that one can be run again alone.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results.json")
PAGE = ROOT / "docs" / "benchmarks.md"

INTRODUCTION = """# Benchmarks

Made by `make bench` from `benchmarks/`. Figures are ratios to a baseline that ran in turn with the candidate, in one
process, chunk by chunk of a few milliseconds; the median, with the quartiles in brackets. The clock is the CPU time of
the process, since the machine is shared. A peer that is not installed is said to be missing.
"""


def versions(*packages: str) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def keep(name: str, title: str, note: str, rows: list[dict[str, Any]], packages: tuple[str, ...]) -> None:
    """Write down the rows of one benchmark, show them, and make the page anew.

    Args:
        name: of the benchmark, as its file is called.
        title: over its table.
        note: what was done, and what the baseline is.
        rows: the table's rows, each a dict with the same keys.
        packages: whose versions matter.
    """
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    results[name] = {
        "title": title,
        "note": note,
        "rows": rows,
        "date": datetime.date.today().isoformat(),
        "versions": versions("onlooker", *packages),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the end",
    }
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(as_markdown(results[name]))
    PAGE.write_text(make_page(), "utf-8")


def make_page() -> str:
    """The page that shows what `results.json` holds."""
    results = json.loads(RESULTS.read_text("utf-8"))
    return "\n".join([INTRODUCTION, *(as_markdown(result) for result in results.values())])


def as_markdown(result: dict[str, Any]) -> str:
    keys = list(result["rows"][0])
    lines = [f"## {result['title']}", "", result["note"], ""]
    lines += [f"| {' | '.join(keys)} |", f"|{' --- |' * len(keys)}"]
    lines += [f"| {' | '.join(str(row.get(key, '')) for key in keys)} |" for row in result["rows"]]
    named = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    lines += ["", f"{result['date']}; {named}; {result['machine']}.", ""]
    return "\n".join(lines)


def as_ratio(summary: dict[str, Any]) -> str:
    """A ratio of `_paired`, as the page shows it."""
    low, high = summary["cpu"]["quartiles"]
    return f"{summary['cpu']['ratio']:.2f} ({low:.2f}–{high:.2f})"
