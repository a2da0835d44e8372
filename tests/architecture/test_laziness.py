"""What an import loads, shown in a fresh process: a promise would not do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

FRAMEWORKS = {"torch", "keras", "jax", "tensorflow", "sklearn"}
HEAVY = FRAMEWORKS | {"numpy", "rich", "PIL", "matplotlib"}

# What core may load besides modules that are built into the interpreter, and those that every
# interpreter has loaded once it has started (`os` and its company). A newcomer costs nothing worth
# measuring, or it is imported where the error comes that needs it.
CHEAP = {"__future__", "time", "math", "itertools", "operator", "types"}


def modules_of(package: str) -> list[str]:
    """Every module below a package of onlooker, found by looking at files."""
    directory = SRC / "onlooker" / package
    return [
        ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(directory.rglob("*.py"))
    ]


def loaded_by(*modules: str, interpreter: tuple[str, ...] = ()) -> set[str]:
    """Names of all modules that a fresh interpreter loads for these imports, over none."""
    code = (
        f"import os, sys; sys.path.insert(0, {str(SRC)!r}); before = set(sys.modules)\n"
        + "".join(f"import {module}\n" for module in modules)
        + "after = set(sys.modules) - before\n"
        "import json; print(json.dumps(sorted(after)))"
    )
    done = subprocess.run([sys.executable, *interpreter, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def roots(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def loaded_by_core() -> set[str]:
    # Without `site`, whose .pth files may load modules of which we then would not see the cost.
    return loaded_by(*modules_of("core"), interpreter=("-I", "-S"))


def test_import_onlooker_loads_nothing_heavy():
    assert not roots(loaded_by("onlooker")) & HEAVY


def test_import_onlooker_loads_only_what_is_cheap():
    foreign = roots(loaded_by("onlooker", interpreter=("-I", "-S"))) - {"onlooker"}
    assert foreign <= CHEAP | set(sys.builtin_module_names)


def test_core_loads_only_cheap_standard_library():
    loaded = loaded_by_core()
    assert "onlooker.core.errors" in loaded  # we did look
    assert roots(loaded) - {"onlooker"} <= CHEAP | set(sys.builtin_module_names)


def test_core_loads_no_other_part_of_onlooker():
    parts = {name.split(".")[1] for name in loaded_by_core() if name.startswith("onlooker.")}
    assert parts == {"core"}


@pytest.mark.parametrize("module", ["onlooker.cli", "onlooker.__main__"])
def test_the_command_line_starts_without_a_framework(module):
    assert not roots(loaded_by(module)) & FRAMEWORKS


@pytest.mark.parametrize("package", ["callbacks", "hosts/declared"])
def test_loads_no_framework(package):
    modules = modules_of(package)
    assert modules
    assert not roots(loaded_by(*modules)) & FRAMEWORKS


def test_a_heavy_import_would_be_seen():
    assert "numpy" in roots(loaded_by("numpy"))
    assert "inspect" in loaded_by("inspect", interpreter=("-I", "-S"))
