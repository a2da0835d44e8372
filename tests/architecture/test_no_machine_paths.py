"""Nothing in the repository knows the machine that it was written on."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# A home or work directory, at the start of a path: not the middle of an address.
MACHINE_PATH = re.compile(r"(?<![\w./:-])/(?:home|Users|root|work)/\w")
# Here the pattern's own examples stand.
SELF = Path(__file__).resolve()


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # an unpacked archive
        paths = [path for top in ("src", "tests", "benchmarks") for path in (ROOT / top).rglob("*")]
    return [path for path in paths if path.is_file() and path != SELF]


def test_no_machine_paths():
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "ignore")
        if "\0" in text:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
            for number, line in enumerate(text.splitlines(), 1)
            if MACHINE_PATH.search(line)
        ]
    assert not found


def test_a_machine_path_is_seen():
    assert MACHINE_PATH.search("open('/home/somebody/x')")
    assert MACHINE_PATH.search("cd /work/main")
    assert not MACHINE_PATH.search("https://example.org/home/somebody")
    assert not MACHINE_PATH.search("docs/work/x")
