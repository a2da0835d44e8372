"""A trigger at work for one attachment: it remembers what a trigger, being shared, must not.

Owns the verdict of each begin and end pair and the time of the last pass. What the condition is stands in `trigger`.
"""

from __future__ import annotations

from .hooks import HOOKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .logs import Logs
    from .run import Run
    from .trigger import Trigger


class Moment:
    """What a trigger may look at when it is asked.

    Attributes:
        run: the run itself.
        epoch: index of the epoch at hand, or None outside one.
        batch: index of the batch at hand, or None in an epoch hook.
        step: the number of steps made, in a batch's begin hook as if this batch made one.
        step_before: the number of steps made when this batch, or epoch, began.
        seconds_since_pass: since the trigger last passed, or else since the run began.
        seconds_since_begin: since the run began.
    """

    __slots__ = ("batch", "epoch", "run", "seconds_since_begin", "seconds_since_pass", "step", "step_before")

    run: Run
    epoch: int | None
    batch: int | None
    step: int
    step_before: int
    seconds_since_pass: float
    seconds_since_begin: float

    def index(self, unit: str) -> int | None:
        """Return the index of the epoch or batch at hand."""
        return self.epoch if unit == "epochs" else self.batch

    def count(self, unit: str) -> int | float | None:
        """Return how many of a unit are behind."""
        if unit == "steps":
            return self.run.step
        return self.seconds_since_begin if unit == "seconds" else self.index(unit)


class Gate:
    """Lets the calls of one callback's hooks through, or not.

    Args:
        trigger: the condition.
        run: the run that is asked.
    """

    def __init__(self, trigger: Trigger, run: Run) -> None:
        self._trigger = trigger
        self._run = run
        self._passed_at_s: float | None = None
        self._verdicts: dict[str, bool] = {}
        self._moment = Moment()
        self._moment.run = run

    def wrap(self, hook: str, call: Callable[..., None]) -> Callable[..., None]:
        """Return a hook's call with the condition in front of it."""
        scope = HOOKS[hook]
        name, is_begin = scope.name, hook == scope.begin

        def gated(index: int, logs: Logs | None = None) -> None:
            if self._decide(name, is_begin, index):
                call(index, logs)

        return gated

    def _decide(self, scope: str, is_begin: bool, index: int) -> bool:
        """Ask the trigger, once for a begin and end pair."""
        if is_begin:
            verdict = self._verdicts[scope] = self._ask(scope, True, index)
            return verdict
        begun = self._verdicts.pop(scope, None)
        if begun is None or (begun and self._trigger.waits_for_step):
            return self._ask(scope, False, index)
        return begun

    def _ask(self, scope: str, is_begin: bool, index: int) -> bool:
        run, moment = self._run, self._moment
        moment.epoch = index if scope == "epoch" else run.epoch
        moment.batch = None if scope == "epoch" else index
        moment.step = run.step + (1 if is_begin and scope == "train_batch" else 0)
        moment.step_before = run.step if is_begin else run.step_at_begin(scope)
        now_s = run.clock()
        moment.seconds_since_begin = now_s - run.begun_at_s
        moment.seconds_since_pass = now_s - (run.begun_at_s if self._passed_at_s is None else self._passed_at_s)
        passed = self._trigger.passes(moment)
        if passed:
            self._passed_at_s = now_s
        return passed
