"""The promises that hold in every host, tried on every host: one suite, driven by the table of hosts in `hosts.py`.

A new host is a new row in that table. What belongs to one host alone is tested under `tests/unit/hosts`.
"""

import pytest

pytest.register_assert_rewrite("tests.contract.ability_checks", "tests.contract.model_checks")
