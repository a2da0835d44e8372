"""Every test here that takes a `host` runs for each row of the table, but for what the row's host cannot give.

`@pytest.mark.needs("on_train_batch_end", "save", "predict", ...)` names the hooks, abilities, stages that stand alone
and traits of rows that a test needs: `Row.why_not` says which there are. Where the row's host calls one absent the test
is skipped, with the host's own reason. A parameter called `hook` is needed by itself, and so is the stage that a
parameter called `stage` names.
"""

import random

import numpy as np
import pytest
from tests.contract.hosts import ALL_HOSTS, HOSTS

_STAGES = {"test": "evaluate", "evaluate": "evaluate", "predict": "predict"}


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*names): hooks, abilities, stages or traits without which it is skipped")


@pytest.fixture(autouse=True)
def known_seeds_of_hosts():
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(params=HOSTS, ids=lambda row: row.name)
def host(request):
    """A host of Onlooker's callbacks."""
    return request.param()


@pytest.fixture(params=ALL_HOSTS, ids=lambda row: row.name)
def any_host(request):
    """The same, and Keras' own callbacks in a host of ours."""
    return request.param()


@pytest.fixture(autouse=True)
def what_is_needed(request):
    """Skip a test of what the row's host declares absent."""
    given = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    row = next((given[name] for name in ("host", "any_host", "row") if name in given), None)
    if row is None:
        return
    host = row()
    needs = [name for marker in request.node.iter_markers("needs") for name in marker.args]
    if "hook" in given:
        needs.append(given["hook"])
    if given.get("stage") in _STAGES:
        needs.append(_STAGES[given["stage"]])
    for name in needs:
        reason = host.why_not(name)
        if reason is not None:
            pytest.skip(f"{name}: {reason}")
