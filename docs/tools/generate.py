"""Writes whatever in the documentation is made from the code: `python -m docs.tools.generate`.

Owns which file is made from what. The tests compare: a file that is no longer what this writes fails.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks._results import make_page as make_benchmark_page

from .api_page import make_api_page
from .doctor_rules import make_doctor_page
from .host_tables import make_host_page, make_readme_table
from .keras_callbacks_page import make_page as make_keras_page
from .timeline import draw_timeline
from .versions import make_versions_page

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- hosts: made by docs/tools -->", "<!-- /hosts -->"


def make_readme() -> str:
    """Return the README with the table of hosts between its markers made anew."""
    before, begin, rest = README.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md must have {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{make_readme_table()}\n{END}{after}"


FILES = {
    "README.md": make_readme,
    "docs/reference/hosts.md": make_host_page,
    "docs/reference/api.md": make_api_page,
    "docs/reference/keras-callbacks.md": make_keras_page,
    "docs/benchmarks.md": make_benchmark_page,
    "docs/reference/versions.md": make_versions_page,
    "docs/guide/doctor.md": make_doctor_page,
    "docs/pictures/timeline.svg": draw_timeline,
}
"""Each made file, and what makes it."""


def main() -> None:
    """Write those that have changed."""
    for name, make in FILES.items():
        path, text = ROOT / name, make()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {name}")


if __name__ == "__main__":
    main()
