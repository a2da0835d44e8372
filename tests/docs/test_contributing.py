"""The examples in CONTRIBUTING are complete: put into a copy of the repository, their tests pass."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.blocks import CHANGE, FILE, Block, read_blocks
from tests.docs.pages import ROOT

BLOCKS = read_blocks((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
FILES = {block.comment.removeprefix(FILE): block.code for block in BLOCKS if block.comment.startswith(FILE)}
CHANGES = [block for block in BLOCKS if block.comment.startswith(CHANGE)]


def changed(text: str, block: Block) -> str:
    """Apply a change that is shown as a diff without line numbers."""
    lines = block.code.splitlines()
    before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
    after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
    assert text.count(before) == 1, f"CONTRIBUTING.md:{block.line}: what it changes is not there once:\n{before}"
    return text.replace(before, after)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository with the examples in it."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for name, text in FILES.items():
        path = root / name
        assert not path.exists(), f"{name} is there already; choose another example"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for block in CHANGES:
        path = root / block.comment.removeprefix(CHANGE)
        path.write_text(changed(path.read_text("utf-8"), block), "utf-8")
    return root


def run(copy: Path, *command: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(copy / "src")}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_their_tests_pass(copy):
    examples = [name for name in FILES if name.startswith("src/") and "declared" not in name]
    run(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests", *examples)


def test_they_are_well_formed(copy):
    names = [name for name in FILES if name.endswith(".py")] + ["src/onlooker/core"]
    run(copy, "ruff", "check", "--no-cache", *names)
    run(copy, "ruff", "format", "--no-cache", "--check", *names)


def test_each_has_a_line_in_the_changelog():
    assert sum(name.startswith("changelog.d/") for name in FILES) == 3


def test_a_change_that_no_longer_fits_is_seen():
    block = Block(1, "diff", " a\n-b\n+c\n")
    assert changed("a\nb\n", block) == "a\nc\n"
    with pytest.raises(AssertionError, match="not there once"):
        changed("a\n", block)
