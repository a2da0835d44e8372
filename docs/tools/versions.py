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

Each host's contract suite (`tests/contract/`), run with the oldest version of its framework that we claim and with the
newest that there was. What a host declares absent is skipped. `pip install 'onlooker[...]'` accepts no older one.

Made by `python -m docs.tools.versions`, which is run by hand. All else, such as PyTorch and NumPy, is in the versions
that were newest on that day, but for what stands beside the oldest.
"""

MARK = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


class Tried(NamedTuple):
    """What is tried for a host.

    Attributes:
        row: what the table calls it.
        extra: of ours, whose lower bound is the oldest version.
        package: the framework's distribution.
        tests: which of the contract's tests are its own, as for `pytest -k`.
        beside: what an old version needs beside it, as for pip.
        note: what else a reader should know.
        is_oldest_tried: whether the oldest can be installed where this is run.
    """

    row: str
    extra: str
    package: str
    tests: str
    beside: tuple[str, ...] = ()
    note: str = ""
    is_oldest_tried: bool = True


HOSTS = (
    Tried(
        "PyTorch",
        "torch",
        "torch",
        "(Loop or Trainer) and not (JAX or Keras or scikit or XGBoost or LightGBM or CatBoost or Lightning or Transf)",
        note="`Loop` and `Trainer`; the oldest was not tried",
        is_oldest_tried=False,
    ),
    Tried("Keras", "keras", "keras", "(Keras and torch and not Loop) or gan_in_keras", note="on PyTorch"),
    Tried(
        "JAX",
        "jax",
        "jax",
        "JAX and not NNX",
        ("jaxlib==0.4.35", "optax==0.2.3", "equinox==0.11.8", "flax==0.10.0"),
        "trees and Equinox",
    ),
    Tried("Flax NNX", "dev", "flax", "NNX", ("jax==0.8.1", "jaxlib==0.8.1")),
    Tried("Lightning", "lightning", "lightning", "Lightning"),
    Tried("Transformers", "transformers", "transformers", "Transformers"),
    Tried(
        "XGBoost",
        "xgboost",
        "xgboost",
        "XGBoost",
        note="before 3.0 `train` returns a copy of the booster that callbacks see",
    ),
    Tried("LightGBM", "lightgbm", "lightgbm", "LightGBM"),
    Tried("CatBoost", "catboost", "catboost", "CatBoost"),
    Tried("scikit-learn", "sklearn", "scikit-learn", "scikit-learn"),
)


def oldest(host: Tried) -> str:
    """Return the lower bound that the extra sets."""
    for requirement in EXTRAS[host.extra]:
        found = re.fullmatch(rf"{re.escape(host.package)}(?:\[[^]]*\])?>=([\d.]+)", requirement)
        if found is not None:
            return found[1]
    raise ValueError(f"the extra {host.extra!r} sets no lower bound for {host.package}")


def try_host(python: Path, host: Tried) -> str:
    """Run a host's contract; return what pytest counts."""
    command = [python, "-m", "pytest", "-q", "-r", "fE", "--tb=line", "--disable-warnings", "-p", "no:cacheprovider"]
    # What JAX has kept of compiled functions: an old one loads it wrongly.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "torch", "JAX_ENABLE_COMPILATION_CACHE": "0"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    done = subprocess.run(
        [*command, "-k", host.tests, "tests/contract"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (done.stdout + done.stderr).strip().splitlines()
    print("\n".join(lines[-12 if done.returncode else -1 :]))
    counts = {kind: int(number) for number, kind in MARK.findall(lines[-1])}
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    if done.returncode not in (0, 1) or not counts.get("passed"):
        return f"does not run: {lines[-1][:100]}"
    told = [f"{counts['passed']} passed"]
    if failed:
        told.append(f"**{failed} failed**")
    if "skipped" in counts:
        told.append(f"{counts['skipped']} skipped")
    return ", ".join(told)


def make_environment(directory: Path, host: Tried, number: str) -> Path:
    """Make an environment with an old version in front of all that is installed here; return its Python."""
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    own = sysconfig.get_path("purelib")
    site = directory / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "beside.pth").write_text(f"{own}\n", "utf-8")
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    # What it says of others that want a newer one is no news: they are not used, or stand in `beside`.
    subprocess.run([*install, f"{host.package}=={number}", *host.beside], check=True, stderr=subprocess.DEVNULL)
    return python


def try_both(host: Tried) -> dict[str, Any]:
    """Try a host with its oldest and its newest version."""
    first, last = oldest(host), version(host.package).partition("+")[0]
    old = "not tried"
    if host.is_oldest_tried:
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
        "note": host.note,
        "date": datetime.date.today().isoformat(),
    }


def make_versions_page() -> str:
    """Return the page, from what was found last."""
    found = json.loads(RESULTS.read_text("utf-8"))
    lines = [HEAD, "| host | oldest | contract | newest | contract | tried |", "| --- | --- | --- | --- | --- | --- |"]
    notes = []
    for host in HOSTS:
        if host.row not in found:
            continue
        one = found[host.row]
        lines.append(
            f"| {host.row} | {one['package']} {one['oldest']} | {one['with the oldest']} | {one['newest']} "
            f"| {one['with the newest']} | {one['date']} |"
        )
        beside = f"the oldest with {', '.join(one['beside']).replace('==', ' ')}" if one["beside"] else ""
        told = "; ".join(part for part in (one["note"], beside) if part)
        if told:
            notes.append(f"- {host.row}: {told}.")
    return "\n".join([*lines, "", *notes]) + "\n"


def main() -> None:
    """Try those that are named, or all."""
    names = [host.row for host in HOSTS]
    unknown = set(sys.argv[1:]) - set(names)
    if unknown:
        raise SystemExit(f"no host is called {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    for host in HOSTS:
        if host.row in (sys.argv[1:] or names):
            print(f"\n{host.row}", flush=True)
            found = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
            found[host.row] = try_both(host)
            RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
