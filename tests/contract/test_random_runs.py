"""Random runs: whatever the callbacks do, the grammar holds, and the outcome is what happened first."""

import warnings

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.contract.acting import on, recorder
from tests.contract.hosts import HOSTS
from tests.contract.shapes import FIT_HOOKS, fit_calls

from onlooker.core.errors import OnlookerWarning

ACTIONS = st.tuples(
    st.sampled_from(FIT_HOOKS),
    st.integers(0, 3),
    st.sampled_from(["stop", "raise", "Ctrl-C"]),
    st.sampled_from(["raise", "warn", "disable"]),
)


class Story:
    """What happened in a run, as those who did it noted it."""

    def __init__(self, seen):
        self.seen = seen
        self.stops, self.errors, self.is_over_at_first = [], [], None
        self.together = []  # the first error, and what was raised in the same call of the same hook
        self._call = None

    def actor(self, host, number, hook, at, what, policy):
        left = [at]

        def act(callback, *given):
            left[0] -= 1
            if left[0] != -1:
                return
            is_over = self.seen.hooks[-1] == "on_train_end"
            if what == "stop":
                if not is_over and not self.errors:  # later ones are in test_stop: "too late"
                    callback.run.stop(f"stop {number}")
                    self.stops.append(number)
                return
            error = KeyboardInterrupt(f"no {number}!") if what == "Ctrl-C" else ValueError(f"no {number}!")
            if what == "Ctrl-C" or policy == "raise":
                if not self.errors:
                    self.is_over_at_first, self._call = is_over, len(self.seen.events)
                self.errors.append(error)
                if len(self.seen.events) == self._call:
                    self.together.append(error)
            raise error

        return on(host, on_error=policy, name=f"Actor{number}", **{hook: act})

    def expected(self):
        """Return the outcome and the reason."""
        if self.errors and not self.is_over_at_first:
            first = _worst(self.together)
            return "failed" if isinstance(first, Exception) else "interrupted", f"{type(first).__name__}: {first}"
        return ("stopped", f"stop {self.stops[0]}") if self.stops else ("completed", "")

    def may_come_out(self):
        """Return what may come out: the first error, but that Ctrl-C is never swallowed; of several any."""
        interrupts = [error for error in self.errors if not isinstance(error, Exception)]
        return interrupts or self.errors[:1] or [None]


def _worst(errors):
    return next((error for error in errors if not isinstance(error, Exception)), errors[0])


@pytest.mark.needs("closing", "faults")
@pytest.mark.parametrize("row", HOSTS, ids=lambda row: row.name)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, max_size=4))
@example(actions=[("on_epoch_end", 0, "raise", "raise"), ("on_train_end", 0, "raise", "raise")])
@example(actions=[("on_test_end", 0, "raise", "raise"), ("on_epoch_end", 0, "Ctrl-C", "raise")])
@example(actions=[("on_train_batch_end", 1, "stop", "raise"), ("on_test_begin", 0, "raise", "disable")])
def test_any_run(row, actions):
    host = row()
    actions = [one for one in actions if host.gives(one[0]) and (one[2] != "stop" or host.gives("stop"))]
    seen = recorder(host)
    story = Story(seen)
    actors = [story.actor(host, number, *action) for number, action in enumerate(actions)]
    came_out = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OnlookerWarning)
        try:
            host.fit(host.make(), [seen, *actors], epochs=2)
        except (ValueError, KeyboardInterrupt) as error:
            came_out = error
    assert seen.check().hooks[-1] == "on_train_end"
    assert any(came_out is error for error in story.may_come_out())
    outcome, reason = story.expected()
    assert (seen.run.outcome, seen.run.reason) == (outcome, reason)
    if not story.errors and not story.stops:
        assert seen.calls == fit_calls(host)
    assert not seen.run.is_live
    if isinstance(came_out, Exception):  # no error is lost: the later ones are notes
        told = "\n".join([str(came_out), *getattr(came_out, "__notes__", ())])
        assert all(str(error) in told for error in story.errors)
