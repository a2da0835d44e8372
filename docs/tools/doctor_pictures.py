"""The pictures of the guide's page on the Doctor, drawn anew: `python -m docs.tools.doctor_pictures`.

Owns where they come from: the page's own code, which is run as the tests run it.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
from pathlib import Path

from .doctor_rules import PAGE

PICTURES = PAGE.parents[1] / "pictures"


def main() -> None:
    """Run the page up to its last picture; take the files that it has written."""
    text = PAGE.read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    end = code.index('savefig("cured.png")') + len('savefig("cured.png")')
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code[:end], str(PAGE), "exec"), {"__name__": "page"})
            for name in ("sick", "cured"):
                shutil.copy(f"{name}.png", PICTURES / f"doctor-{name}.png")
        finally:
            os.chdir(here)


if __name__ == "__main__":
    main()
