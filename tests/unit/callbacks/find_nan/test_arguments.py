"""What `FindNaN` takes as arguments, what it refuses, and which logged values have to be finite."""

import math
import re
import warnings

import pytest
from tests.unit.callbacks.find_nan.trainings import Net, adam, batches, mean_square

import onlooker as ol
from onlooker.callbacks import FindNaN
from onlooker.callbacks.find_nan.notice import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")


@pytest.mark.parametrize(
    "named",
    [
        {"then": "go on"},
        {"steps_back": 0},
        {"at_most": True},
        {"limit_bytes": 1.5},
        *({"losses": wrong} for wrong in (5, None, "", ["loss", 5], {"loss": 1.0}, b"loss")),
    ],
    ids=str,
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
    assert "on purpose is left out by FindNaN(losses=[...])" in str(finding)


def test_what_is_refused_is_said_with_what_is_expected():
    with pytest.raises(
        ValueError, match=re.escape("losses=5; expected a pattern on the names of logged values, such as")
    ):
        FindNaN(losses=5)


def said(losses, log, epochs=2, count=4, find_nan=None):
    """What is said in a training that logs so in each batch."""
    find_nan = find_nan or FindNaN(losses=losses)
    find_nan.on_error = "raise"
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        with ol.Loop(Net(), callbacks=[find_nan]) as course:
            for _ in course.epochs(epochs):
                for number in course.train(range(count)):
                    log(course, number)
    return [str(record.message) for record in records]


def test_a_name_that_is_never_logged_is_said_once():
    (words,) = said("los", lambda course, number: course.log(loss=1.0, accuracy=0.5))
    assert words == (
        "FindNaN(losses=['los']): in epoch 0 no train batch logged a value named 'los', so none is looked at; "
        "logged: 'loss', 'accuracy'"
    )


def test_of_several_only_those_that_are_missing_are_said():
    (words,) = said(["loss", "d_*", "g_*"], lambda course, number: course.log(loss=1.0, g_loss=0.5))
    assert "a value named 'd_*', so" in words


@pytest.mark.parametrize("losses", ["*loss*", ["loss", "[ab]_loss"], []])
def test_nothing_is_said_where_all_are_logged(losses):
    """A batch of the epoch is enough."""
    assert said(losses, lambda course, number: course.log(loss=1.0, a_loss=1.0) if number == 3 else None) == []


def test_nothing_is_said_where_nothing_is_logged_and_nothing_was_asked_for():
    assert said("*loss*", lambda course, number: None) == []
    (words,) = said("loss", lambda course, number: None)
    assert words.endswith("logged: nothing")


def test_no_value_with_loss_in_its_name_is_said():
    (words,) = said("*loss*", lambda course, number: course.log(mse=1.0))
    assert "named '*loss*'" in words
    assert words.endswith("logged: 'mse'")


def test_a_long_first_epoch_is_not_waited_for():
    (words,) = said("*loss*", lambda course, number: course.log(mse=1.0), count=PATIENCE + 9)
    assert f"in the first {PATIENCE} batches no train batch logged" in words


def test_an_epoch_that_was_cut_off_says_nothing():
    def log(course, number):
        course.log(loss=1.0)
        raise OSError("no")

    with warnings.catch_warnings(record=True) as records, pytest.raises(OSError, match="no"):
        said("los", log)
    assert records == []


def test_it_is_said_again_in_the_next_training():
    find_nan = FindNaN(losses="los")
    for _ in range(2):
        assert len(said(None, lambda course, number: course.log(loss=1.0), find_nan=find_nan)) == 1
