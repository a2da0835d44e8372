"""Callbacks' states: under which names they are kept, and what is said when they do not fit."""

import warnings

import pytest

from onlooker.core.callback import Callback
from onlooker.core.errors import OnlookerWarning
from onlooker.core.run import Run
from onlooker.core.state import collect_extra, collect_states, load_states


class Counts(Callback):
    def __init__(self, count=0):
        self.count = count

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class Named(Counts):
    state_key = "mine"


class OnlySaves(Callback):
    def state_dict(self):
        return 3


def test_there_and_back_with_several_of_a_class():
    states = collect_states([Counts(1), Callback(), Named(2), Counts(3), OnlySaves(), Named(4)])
    assert states == {
        "Counts": {"count": 1},
        "mine": {"count": 2},
        "Counts#2": {"count": 3},
        "OnlySaves": 3,
        "mine#2": {"count": 4},
    }
    fresh = [Counts(), Callback(), Named(), Counts(), OnlySaves(), Named()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_states(fresh, states)
    assert [one.count for one in fresh if isinstance(one, Counts)] == [1, 2, 3, 4]
    assert len(states) == 5  # what was handed in is left alone


def test_what_does_not_fit_is_said_and_the_rest_is_loaded():
    counts, named = Counts(), Named()
    with pytest.warns(OnlookerWarning) as records:
        load_states([counts, named], {"Counts": {"count": 1}, "Gone": 2})
    assert counts.count == 1
    assert str(records[0].message) == "resuming: no callback for the saved state of Gone; no saved state for mine"


def test_without_states_nothing_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_states([Callback()], {})


@pytest.mark.parametrize(
    ("epoch", "is_within", "next_epoch", "step"),
    [(None, False, 0, 9), (2, False, 3, 9), (2, True, 2, 6)],
)
def test_the_position_that_a_resumed_run_begins_with(epoch, is_within, next_epoch, step):
    run = Run()
    run.epoch, run.step, run.step_at_epoch_begin = epoch, 9, 6
    assert collect_extra(run, [Counts(1)], is_within) == {
        "next_epoch": next_epoch,
        "step": step,
        "callbacks": {"Counts": {"count": 1}},
    }
