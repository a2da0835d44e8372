"""The table of hosts: every test of this folder runs for each row. A new host is a new row.

A row is a small class that trains a tiny real model in its host's own way. What its methods and attributes mean is said
at `Row` in `row.py`. A row whose framework is not installed stays in the table, and each of its tests is skipped.
"""

import importlib

import pytest
from tests.contract.torch_hosts import KerasCallbackInLoop, LoopHost, TrainerHost

from onlooker.hosts.declared.catboost import CATBOOST
from onlooker.hosts.declared.keras import KERAS_TORCH
from onlooker.hosts.declared.lightgbm import LIGHTGBM
from onlooker.hosts.declared.lightning import LIGHTNING
from onlooker.hosts.declared.loop_jax import LOOP_JAX
from onlooker.hosts.declared.sklearn import PARTIAL_FIT, WARM_START
from onlooker.hosts.declared.transformers import TRANSFORMERS
from onlooker.hosts.declared.xgboost import XGBOOST


class MissingRow:
    """Stands for a row whose framework is not installed: to make one of it skips the test.

    Args:
        declaration: what the host says of itself, which needs no framework.
        package: what is missing.
    """

    def __init__(self, declaration, package):
        self.declaration, self.name, self.package = declaration, declaration.name, package

    def __call__(self):
        pytest.skip(f"{self.package} is not installed")


def find_row(module, row, declaration):
    """Return a row by the names of its module in this folder and of its class, or what stands for it."""
    try:
        return getattr(importlib.import_module(f"{__package__}.{module}"), row)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in ("tests", "onlooker") or importlib.util.find_spec(error.name.split(".")[0]):
            raise  # a slip of our own
        return MissingRow(declaration, error.name)


HOSTS = (
    LoopHost,
    TrainerHost,
    find_row("jax_host", "NnxHost", LOOP_JAX),
    find_row("jax_host", "EquinoxHost", LOOP_JAX),
    find_row("jax_host", "TreeHost", LOOP_JAX),
    find_row("keras_host", "KerasHost", KERAS_TORCH),
    find_row("sklearn_host", "PartialFitHost", PARTIAL_FIT),
    find_row("sklearn_host", "WarmStartHost", WARM_START),
    find_row("xgboost_host", "XGBoostHost", XGBOOST),
    find_row("lightgbm_host", "LightGBMHost", LIGHTGBM),
    find_row("catboost_host", "CatBoostHost", CATBOOST),
    find_row("lightning_host", "LightningHost", LIGHTNING),
    find_row("transformers_host", "TransformersHost", TRANSFORMERS),
)
"""Where Onlooker's callbacks run."""

ALL_HOSTS = (*HOSTS, KerasCallbackInLoop)
"""And where Keras' own run too: for the promises that ask nothing of `self.run`."""
