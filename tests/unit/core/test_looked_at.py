"""Looking at what a model or a batch holds: what cannot be looked at is left out, and no other fault is hidden."""

import numpy as np
import pytest

from onlooker.core.view import looked_at
from onlooker.inside import Look


class Broken:
    def __array__(self, *given, **named):
        raise MemoryError("no room")


def test_what_cannot_be_looked_at_is_left_out():
    found = looked_at(Look(), {"text": "a word", "numbers": np.ones(3)})
    assert list(found) == ["numbers"]


def test_another_fault_is_raised():
    with pytest.raises(MemoryError, match="no room"):
        looked_at(Look(), {"broken": [Broken()]})
