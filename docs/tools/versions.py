"""Runs each host's contract with the oldest and the newest version of its framework, and writes the table of it.

Run by hand, since it takes long and needs a registry of packages: `python -m docs.tools.versions`, or with the names
of some hosts. The newest is what is installed here. An oldest one is put into an environment of its own, in front of
all that is installed here.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "tools" / "versions.json"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

HEAD = """# Versions

Made by `python -m docs.tools.versions`, which is run by hand: the contract suite (`tests/contract/`) of each host, with
the oldest version of its framework that `pip install 'onlooker[...]'` accepts, and with the newest that there was.
What a host declares absent is skipped.
"""


class Tried(NamedTuple):
    """What is tried for a host.

    Attributes:
        row: of the contract suite, as its tests are called.
        extra: of ours, whose lower bound is the oldest version.
        package: the framework's distribution.
        beside: what an old version needs beside it, as for pip.
        files: the tests, beyond the contract.
    """

    row: str
    extra: str
    package: str
    beside: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


HOSTS = (
    Tried("Keras (torch)", "keras", "keras"),
    Tried("Lightning", "lightning", "lightning"),
    Tried("Transformers", "transformers", "transformers"),
    Tried("XGBoost", "xgboost", "xgboost"),
    Tried("LightGBM", "lightgbm", "lightgbm"),
    Tried("CatBoost", "catboost", "catboost"),
    Tried("scikit-learn", "sklearn", "scikit-learn"),
    Tried("JAX", "jax", "jax"),
)


def oldest(host: Tried) -> str:
    """Return the lower bound that the extra sets."""
    for requirement in EXTRAS[host.extra]:
        found = re.fullmatch(rf"{re.escape(host.package)}(?:\[[^]]*\])?>=([\d.]+)", requirement)
        if found is not None:
            return found[1]
    raise ValueError(f"the extra {host.extra!r} sets no lower bound for {host.package}")


def try_host(python: Path, host: Tried) -> str:
    """Run a host's contract; return what pytest says at the end."""
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", host.row, "tests/contract", *host.files]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "torch"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:] if done.returncode else done.stdout[-200:])
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) (passed|failed|skipped|errors?)", done.stdout)}
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    if done.returncode not in (0, 1) or not counts.get("passed"):
        return "does not start: " + (done.stdout + done.stderr).strip().splitlines()[-1][:100]
    return f"{counts['passed']} passed, {counts.get('skipped', 0)} skipped" + (
        f", **{failed} failed**" if failed else ""
    )


def make_environment(directory: Path, host: Tried, number: str) -> Path:
    """Make an environment with an old version in front of all that is installed here; return its Python."""
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    own = sysconfig.get_path("purelib")
    site = directory / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "beside.pth").write_text(f"{own}\n{ROOT / 'src'}\n", "utf-8")
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, f"{host.package}=={number}", *host.beside], check=True)
    return python


def try_both(host: Tried) -> dict[str, Any]:
    """Try a host with its oldest and its newest version."""
    first, last = oldest(host), version(host.package)
    with tempfile.TemporaryDirectory() as directory:
        python = make_environment(Path(directory), host, first)
        old = try_host(python, host)
    new = try_host(Path(sys.executable), host)
    return {
        "package": host.package,
        "oldest": first,
        "beside": list(host.beside),
        "with the oldest": old,
        "newest": last,
        "with the newest": new,
        "date": datetime.date.today().isoformat(),
    }


def make_versions_page() -> str:
    """Return the page, from what was found last."""
    found = json.loads(RESULTS.read_text("utf-8"))
    lines = [HEAD, "| host | oldest | contract | newest | contract | date |", "| --- | --- | --- | --- | --- | --- |"]
    for name, one in found.items():
        beside = f" (with {', '.join(one['beside'])})" if one["beside"] else ""
        lines.append(
            f"| {name} | {one['package']} {one['oldest']}{beside} | {one['with the oldest']} | {one['newest']} "
            f"| {one['with the newest']} | {one['date']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try those that are named, or all."""
    wanted = sys.argv[1:] or [host.row for host in HOSTS]
    for host in HOSTS:
        if host.row in wanted:
            print(f"\n{host.row}")
            found = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
            found[host.row] = try_both(host)
            RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
