"""The table of versions says the lower bounds that the extras set, and each of them was green when it was tried."""

import json
import re

import pytest
from docs.tools import versions
from docs.tools.versions import EXTRAS, HOSTS, RESULTS, oldest

from onlooker.host_table import find_declarations

FOUND = json.loads(RESULTS.read_text("utf-8"))
NO_FRAMEWORKS = {"demo", "plot", "inside", "dev", "bench"}


def bounds():
    """Return the lower bound of each package that an extra names, as the table writes it."""
    found = (re.match(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", one) for extra in EXTRAS.values() for one in extra)
    return {match[1]: match[2] for match in found if match}


def test_each_extra_with_a_framework_has_a_row():
    assert {host.extra for host in HOSTS} == {*EXTRAS} - NO_FRAMEWORKS | {"dev"}
    assert {host.row for host in HOSTS} == {*FOUND}


def test_each_host_that_is_declared_is_among_those_tried():
    assert {declaration.package for declaration in find_declarations()} == {host.package for host in HOSTS} - {"flax"}


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.row)
def test_the_oldest_is_the_lower_bound(host):
    assert FOUND[host.row]["oldest"] == oldest(host), f"run: python -m docs.tools.versions '{host.row}'"
    assert f"| {host.row} | {host.package} {oldest(host)} |" in versions.make_versions_page()


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.row)
def test_it_was_green(host):
    green = re.compile(r"\d+ passed(, \d+ skipped)?")
    assert green.fullmatch(FOUND[host.row]["with the newest"])
    assert green.fullmatch(FOUND[host.row]["with the oldest"]) or not host.is_oldest_tried


@pytest.mark.parametrize("package", ["optax", "equinox"])
def test_what_stands_beside_is_the_lower_bound_too(package):
    beside = dict(one.split("==") for host in HOSTS if host.row == "JAX" for one in host.beside)
    assert beside[package] == bounds()[package]


def test_an_extra_without_a_bound(monkeypatch):
    monkeypatch.setitem(EXTRAS, "keras", ["keras"])
    with pytest.raises(ValueError, match="'keras' sets no lower bound for keras"):
        oldest(next(host for host in HOSTS if host.row == "Keras"))


def test_no_host_is_called_so(monkeypatch):
    monkeypatch.setattr("sys.argv", ["versions", "Kerass"])
    with pytest.raises(SystemExit, match="no host is called Kerass; there are: PyTorch, Keras"):
        versions.main()
