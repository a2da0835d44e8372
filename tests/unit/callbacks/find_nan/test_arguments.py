"""What `FindNaN` takes as arguments, what it refuses, and which logged values have to be finite."""

import math

import pytest
from tests.unit.callbacks.find_nan.trainings import Net, adam, batches, mean_square

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")


@pytest.mark.parametrize(
    "named",
    [{"then": "go on"}, {"steps_back": 0}, {"at_most": True}, {"limit_bytes": 1.5}],
)
def test_refused(named):
    with pytest.raises(ValueError, match=next(iter(named))):
        FindNaN(**named)


def test_only_losses_have_to_be_finite():
    def train(find_nan):
        model = Net()
        optimizer = adam(model)
        with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
            for x, y in course.train(batches()):
                value = mean_square(model(x), y)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                course.log(loss=value, perplexity=math.inf)
        return find_nan

    assert train(FindNaN()).finding is None
    finding = train(FindNaN(losses=["*loss*", "perplexity"])).finding
    assert finding.noticed == "'perplexity' is inf"
    assert finding.phase == "unknown"
    assert "the numbers were finite in all operations" in str(finding)
