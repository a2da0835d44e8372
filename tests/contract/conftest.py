"""Every test here that takes a `host` runs for each row of the table."""

import random

import numpy as np
import pytest
from tests.contract.hosts import ALL_HOSTS, HOSTS


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
