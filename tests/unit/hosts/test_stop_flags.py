"""`StopFlags`: the quick look for `stop_training`, wherever a model keeps its attributes."""

from types import SimpleNamespace

import pytest

from onlooker.core.run import Run
from onlooker.core.view import ModelView
from onlooker.hosts.stop_flags import StopFlags
from onlooker.views.attributes import Attributes


class Holds(ModelView):
    """A view of models whose flags are in what it is given."""

    def __init__(self, *holders):
        super().__init__(None)
        self.holders = holders

    def flag_holders(self):
        return self.holders


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("make", [dict, lambda: Attributes(SimpleNamespace())])
def test_a_flag_is_found_by_its_name_in_whatever_holds_it(make, others):
    holder = make()
    flags = StopFlags(Run(view=Holds(*({} for _ in range(others)), holder)))
    assert "stop_training" not in flags.names
    assert not flags.look()
    holder["stop_training"] = True
    assert "stop_training" in flags.names
    assert flags.look()
    assert flags.is_up()


def test_without_a_model_there_is_no_flag():
    flags = StopFlags(Run(view=Holds()))
    assert "stop_training" not in flags.names
    assert not flags.look()
