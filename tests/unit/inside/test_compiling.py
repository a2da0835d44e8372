"""What is compiled is kept on the disk, and compiled anew when any of the files changes that it is made of."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import onlooker
from onlooker.inside import compiling

PROGRAM = """
import numpy
from onlooker.inside.kernel import compiled_pass
print(int(compiled_pass(numpy.ones(8, dtype="float32"))[0][2]))
"""


@pytest.mark.slow
def test_a_change_in_a_file_that_others_call(tmp_path):
    package = tmp_path / "onlooker"
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(onlooker.__file__).parent, package, ignore=without_caches)

    def total():
        command = [sys.executable, "-c", PROGRAM]
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return int(found.stdout)

    assert total() == 8
    kept = sorted((package / "inside" / "__pycache__").glob("*.nbi"))
    assert kept
    assert total() == 8
    assert sorted((package / "inside" / "__pycache__").glob("*.nbi")) == kept, "the second time nothing is compiled"
    blocks = package / "inside" / "blocks.py"
    blocks.write_text(blocks.read_text().replace("total += value", "total += value + value"))
    assert total() == 16


def test_every_file_with_something_compiled_is_counted():
    here = Path(compiling.__file__).parent
    uses = {file.name for file in here.glob("*.py") if "from .compiling" in file.read_text()}
    assert (uses | {"compiling.py", "instructions.py"}) == set(compiling._FILES)
