"""Each host has the abilities that it declares: native or emulated works, absent is refused, with the reason.

Driven by the row's declaration; what works means for each ability is in `ability_checks.py` and `model_checks.py`.
"""

import warnings

import pytest
from tests.contract import model_checks  # noqa: F401 - enters its checks
from tests.contract.ability_checks import CHECKS, look
from tests.contract.acting import on, recorder
from tests.contract.hosts import HOSTS
from tests.contract.shapes import some_hook

import onlooker as ol
from onlooker.core.declaration import ABILITIES, ABSENT, absent
from onlooker.core.errors import AbsentError, AttachError
from onlooker.host_table import find_declarations

ASKS = {
    "weights": lambda run: run.weights(),
    "gradients": lambda run: run.gradients(),
    "learning_rate": lambda run: run.learning_rate,
    "set_learning_rate": lambda run: setattr(run, "learning_rate", 0.1),
    "save": lambda run: run.save("run"),
    "observing": lambda run: run.observing().__enter__(),
}
"""The abilities that are asked of a run by a call of their own."""


@pytest.mark.parametrize("ability", ABILITIES)
def test_each_ability_is_as_declared(host, ability, tmp_path):
    support = host.declaration.abilities[ability]
    if support.level != ABSENT:
        CHECKS[ability](host, tmp_path)
        return
    with pytest.raises(AttachError) as caught:
        look(host, "on_epoch_end", lambda run: None, needs=(ability,))
    assert f"needs {ability!r}, which is absent in {host.declaration.name}: {support.reason}" in str(caught.value)
    if ability in ASKS:

        def ask(run):
            with pytest.raises(AbsentError) as caught:
                ASKS[ability](run)
            return str(caught.value)

        assert look(host, some_hook(host), ask)[0]


@pytest.mark.parametrize("ability", ABILITIES)
def test_what_is_there_may_be_needed(host, ability):
    if host.declaration.abilities[ability].level == ABSENT or (
        ability == "outputs" and not host.has_outputs_in_training
    ):
        return  # held to in the test above
    assert look(host, "on_epoch_end", lambda run: run.epoch, needs=(ability,)) == [0]


@pytest.mark.parametrize("stage", ["fit", "evaluate", "predict"])
def test_what_is_absent_may_not_be_needed(host, stage, monkeypatch):
    """Also in a host that has everything: there one is declared absent for this test."""
    host.declare(monkeypatch, "lazy_logs", absent("it is a test"))
    seen = recorder(host)
    with pytest.raises(AttachError, match=r"Acting needs 'lazy_logs', which is absent in .*: it is a test"):
        getattr(host, stage)(host.make(), [seen, on(host, needs=("lazy_logs",))])
    assert seen.events == []


def test_a_need_that_is_no_ability(host):
    with pytest.raises(AttachError, match="did you mean 'weights'"):
        look(host, "on_epoch_end", lambda run: None, needs=("weight",))


def test_the_run_knows_its_host(host):
    assert look(host, "on_epoch_end", lambda run: run.host.as_dict()) == [host.declaration.as_dict()]


def test_each_ability_has_a_check():
    assert set(CHECKS) == set(ABILITIES)


def test_each_host_has_a_row():
    rows = {row.declaration.name.partition(" (")[0] for row in HOSTS}
    assert {declaration.name.partition(" (")[0] for declaration in find_declarations()} == rows


@pytest.mark.parametrize("row", HOSTS, ids=lambda row: row.name)
def test_warnings_of_ours_are_no_part_of_a_training(row):
    host = row()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ol.OnlookerWarning)
        host.fit(host.make(), [recorder(host)])
