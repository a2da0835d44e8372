"""Who may import whom: the contracts in pyproject.toml hold, and each of them bites."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
PACKAGE = SRC / "onlooker"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]

# Who may import the root package, which is the user's shelf: `import onlooker as ol`.
SHELF_USERS = ("cli.py", "__main__.py", "examples")

# contract, the file that breaks it, with which import
BREACHES = [
    ("core", "core/errors.py", "import onlooker.views"),
    ("core", "core/errors.py", "import numpy"),
    ("arrays", "arrays/torch.py", "import onlooker.views"),
    ("arrays", "arrays/torch.py", "import onlooker.inside"),
    ("inside", "inside/torch.py", "import onlooker.arrays"),
    ("views", "views/torch.py", "import onlooker.hosts"),
    ("callbacks", "callbacks/history.py", "import onlooker.views"),
    ("callbacks", "callbacks/history.py", "from torch import nn"),
    ("hosts", "hosts/keras.py", "import onlooker.callbacks.history"),
    ("hosts", "hosts/trainer/trainer.py", "import onlooker.callbacks.progress"),
    ("hosts-apart", "hosts/keras.py", "import onlooker.hosts.loop"),
    ("hosts-apart", "hosts/loop.py", "import onlooker.hosts.trainer"),
    ("declared", "hosts/declared/loop.py", "import torch"),
    ("cli", "hosts/loop.py", "import onlooker.cli"),
]
# What the house allows, though it looks like a breach.
PERMISSIONS = [
    ("hosts/trainer/trainer.py", "import onlooker.hosts.loop"),
    ("hosts/trainer/trainer.py", "import onlooker.callbacks.history"),
    ("hosts/keras.py", "import onlooker.hosts.declared.keras"),
    ("examples/gan_digits.py", "import onlooker"),
    ("__main__.py", "import onlooker.cli"),
]
FILES = {file for _, file, _ in BREACHES} | {
    "callbacks/progress.py",
    "hosts/declared/keras.py",
    "examples/gan_digits.py",
    "cli.py",
    "__main__.py",
}


def lint_imports(src: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [command, "--no-cache", "--no-logo", *arguments, ROOT / "pyproject.toml"],
        env=os.environ | {"PYTHONPATH": str(src), "COLUMNS": "200"},
        cwd=src,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path):
    """An empty copy of the house: every room, nobody imports anybody."""
    package = tmp_path / "onlooker"
    for file in FILES:
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).touch()
    for directory in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (directory / "__init__.py").touch()
    yield package
    shutil.rmtree(package)


def test_the_contracts_hold():
    done = lint_imports(SRC)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "file", "statement"), BREACHES)
def test_a_breach_is_seen(house, contract, file, statement):
    assert lint_imports(house.parent, "--contract", contract).returncode == 0
    (house / file).write_text(statement + "\n", "utf-8")
    done = lint_imports(house.parent, "--contract", contract)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "statement"), PERMISSIONS)
def test_what_is_allowed_passes(house, file, statement):
    (house / file).write_text(statement + "\n", "utf-8")
    done = lint_imports(house.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_contract_has_a_breach():
    assert {contract["id"] for contract in CONTRACTS} == {contract for contract, _, _ in BREACHES}


def test_every_package_has_a_rule():
    """A newcomer (store, dashboard, replay …) is written into the contracts."""
    packages = {f"onlooker.{init.parent.name}" for init in PACKAGE.glob("*/__init__.py")}
    ruled = {
        module
        for contract in CONTRACTS
        for key in ("source_modules", "forbidden_modules", "protected_modules")
        for module in contract.get(key, [])
    }
    assert packages <= ruled


def shelf_imports(source: str) -> list[int]:
    """The lines that import the root package `onlooker` itself, not one of its modules."""
    rooms = {path.stem for path in PACKAGE.iterdir()}
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Import) and any(name.name == "onlooker" for name in node.names))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "onlooker"
            and any(name.name not in rooms for name in node.names)
        )
    ]


def test_nobody_inside_imports_the_shelf():
    """`onlooker/__init__.py` names everything: who imports it depends on everything."""
    found = [
        f"{path.relative_to(SRC)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in SHELF_USERS
        for line in shelf_imports(path.read_text("utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import onlooker", [1]),
        ("x = 1\nfrom onlooker import Loop", [2]),
        ("from onlooker import core", []),
        ("import onlooker.core", []),
        ("from onlooker.core.logs import Logs", []),
    ],
)
def test_a_shelf_import_is_seen(source, lines):
    assert shelf_imports(source) == lines
