"""Runs train batches once more for a callback that has asked for it, with the loop's own body.

Owns that nothing of it shows: no hook is called, what is logged counts nowhere, and the run stands where it stood. What
the batches are for, and the state that they begin with, is the business of whoever asked: `core.origin.Replay`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from onlooker.hosts.ledger import UNWEIGHED

if TYPE_CHECKING:
    from .course import Course
    from .stage import Iteration


def rerun(course: Course, iteration: Iteration) -> Iterator[Any]:
    """Yield batches for the body of a loop, between two of its own."""
    run, ledger, scopes = course.run, course.ledger, course.scopes
    replay, run.replay = run.replay, None
    if replay is None:
        return
    names = ("epoch", "batch", "step", "step_at_batch_begin", "data", "outputs")
    before = {name: getattr(run, name) for name in (*names, "is_stop_requested", "reason", "stopped_by")}
    weight = ledger.weight
    ledger.begin_stage()
    ledger.means.nan_notice.is_quiet = True
    scopes.is_in_hook = True  # so that tests within the body are as silent as those of a hook
    try:
        while (kept := replay.next_batch()) is not None:
            run.epoch, run.batch, run.data, run.outputs = kept.epoch, kept.batch, kept.data, None
            run.step = run.step_at_batch_begin = kept.step
            run.replayed, ledger.weight = kept, UNWEIGHED
            yield kept.data
            if not iteration.is_innermost:
                course.return_to(iteration)
            ledger.weight = None
            replay.end_batch(ledger.means.batch_logs(), run.step > kept.step)
    finally:
        course.end_within(iteration)
        run.replayed = None
        ledger.end_stage()
        ledger.weight = weight
        scopes.is_in_hook = False
        for name, value in before.items():
            setattr(run, name, value)
        replay.close()
