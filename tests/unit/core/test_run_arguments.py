"""What a run is asked for and nobody can give: refused in the same words in every host, before the view is asked."""

import numpy
import pytest

import onlooker as ol
from onlooker.core.errors import AbsentError
from onlooker.core.run import Run
from onlooker.core.view import ModelView


class Asked(ModelView):
    """Takes note of what comes through."""

    def __init__(self):
        super().__init__(None)
        self.got = []

    def weights(self, pattern=None):
        self.got.append(pattern)

    gradients = set_learning_rate = scale_learning_rate = weights


@pytest.fixture
def run():
    return Run(view=Asked())


@pytest.mark.parametrize("record", [{"a": 1}, 5, None, "a", ol.Scalars], ids=repr)
def test_what_is_no_record_names_those_that_are(run, record):
    kept = []
    run.sinks.append(kept.append)
    with pytest.raises(TypeError) as caught:
        run.record(record)
    assert str(caught.value).startswith(f"run.record() takes a record, not {record!r}; records are ")
    for kind in ("Scalars", "Picture", "Summaries", "Alert"):
        assert kind in str(caught.value)
        assert hasattr(ol, kind)
    assert kept == []


@pytest.mark.parametrize("pattern", [5, b"a", ["a"], ("a", "b"), 1.5])
@pytest.mark.parametrize("asked", ["weights", "gradients"])
def test_what_is_no_pattern(run, asked, pattern):
    with pytest.raises(TypeError) as caught:
        getattr(run, asked)(pattern)
    assert str(caught.value) == (
        f"run.{asked}({pattern!r}): give a name, or a pattern on names such as 'encoder.*', or nothing for all"
    )
    assert run.view.got == []


def test_patterns(run):
    for pattern in (None, "a", "*"):
        run.weights(pattern)
        run.gradients(pattern)
    assert run.view.got == [None, None, "a", "a", "*", "*"]


@pytest.mark.parametrize("asked", ["weights", "gradients"])
def test_how_they_are_handed_out_is_said_by_name_only(run, asked):
    with pytest.raises(TypeError, match="positional"):
        getattr(run, asked)("*", True)
    assert run.view.got == []


@pytest.mark.parametrize("asked", ["weights", "gradients"])
def test_a_view_that_hands_out_no_copies_says_so(run, asked):
    assert getattr(run, asked)("*", numpy=False, copy=False) is None
    for how in ({"numpy": True}, {"copy": True}, {"numpy": True, "copy": True}):
        with pytest.raises(AbsentError, match=r"copies and arrays of NumPy cannot be had from a NoneType"):
            getattr(run, asked)("*", **how)


BAD = [
    (float("nan"), ValueError),
    (float("inf"), ValueError),
    (-1, ValueError),
    (-1e-9, ValueError),
    (numpy.float32("nan"), ValueError),
    (None, TypeError),
    ([0.1], TypeError),
    ((0.1,), TypeError),
    ("0.1", TypeError),
    (True, TypeError),
    (numpy.ones(2), TypeError),
    (object, TypeError),
]


@pytest.mark.parametrize(("value", "kind"), BAD, ids=repr)
def test_what_is_no_learning_rate(run, value, kind):
    words = "must be a finite number of at least 0, not "
    with pytest.raises(kind) as caught:
        run.learning_rate = value
    assert str(caught.value) == f"run.learning_rate {words}{value!r}"
    with pytest.raises(kind) as caught:
        run.learning_rate = {"encoder": 0.1, "decoder": value}
    assert str(caught.value) == f"run.learning_rate['decoder'] {words}{value!r}"
    with pytest.raises(kind) as caught:
        run.scale_learning_rate(value)
    assert str(caught.value) == f"the factor of run.scale_learning_rate {words}{value!r}"
    assert run.view.got == []


@pytest.mark.parametrize("value", [0, 0.0, 1, 1e-7, numpy.float32(0.5), numpy.array(0.5)], ids=repr)
def test_learning_rates(run, value):
    run.learning_rate = value
    run.scale_learning_rate(value)
    run.learning_rate = {"encoder": value}
    assert run.view.got == [value, value, {"encoder": value}]


def test_a_tensor_of_one_element_is_a_number(run):
    torch = pytest.importorskip("torch")
    rate = torch.tensor(0.5)
    run.learning_rate = rate
    assert run.view.got == [rate]
    with pytest.raises(ValueError, match="must be a finite number"):
        run.learning_rate = torch.tensor(float("nan"))
    with pytest.raises(TypeError, match="must be a finite number"):
        run.learning_rate = torch.ones(2)
