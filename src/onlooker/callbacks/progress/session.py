"""`Session`: what is under way, and when it is shown. One for each training, evaluation or prediction.

Owns the rule that logs are read no oftener than something is shown: reading them may have to wait for a device.
"""

from __future__ import annotations

from onlooker.callbacks.numbers_in import numbers_in

from .layout import Row, duration, lay_out, speed
from .lines import Lines
from .pace import EpochPace, Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from onlooker.core.run import Run

    from .bars import Bars
    from .layout import Line


class Stage:
    """A stage under way.

    Attributes:
        kind: `"train"`, `"test"` or `"predict"`.
        pace: how fast its batches go by.
        logs: its latest logs of which something was shown.
    """

    def __init__(self, kind: str, now_s: float, total: int | None) -> None:
        self.kind = kind
        self.pace = Pace(now_s, total)
        self.logs: Mapping[str, Any] = {}


class Session:
    """What is under way from the first begin to the last end, and where it is shown.

    Args:
        run: what is shown.
        output: where.
        refresh_interval_s: how long the bars stay as they are at least.

    Attributes:
        run: what is shown.
        clock: the run's.
        due_at_s: when the bars may be drawn next; never for lines.
        stage: the innermost stage under way; the last one, where none is.
    """

    def __init__(self, run: Run, output: Bars | Lines, refresh_interval_s: float) -> None:
        self.run = run
        self.clock = run.clock
        self.stage = Stage("train", self.clock(), None)
        self._bars = None if isinstance(output, Lines) else output
        self._lines = output if isinstance(output, Lines) else None
        self.due_at_s = self.clock() if self._bars else float("inf")
        self._refresh_interval_s = refresh_interval_s
        self._epochs: EpochPace | None = None
        self._epoch_logs: Mapping[str, Any] = {}
        self._stages: list[Stage] = []  # from outside in
        self._last_counts: dict[str, int] = {}  # of the stages within the training

    def begin_training(self) -> None:
        """Count epochs from here on."""
        self._epochs = EpochPace(self.clock(), self.run.params.get("epochs"))
        self._refresh_if_due()

    def begin_epoch(self, epoch: int) -> None:
        """Take note of an epoch, and that its train batches come."""
        if self._epochs is not None:
            self._epochs.begin(epoch, self.clock())
        self.begin_stage("train")

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Take note of an epoch's logs; they are read when they are shown."""
        self._epoch_logs = logs
        self._pop("train")
        if self._epochs is None or not self.run.is_epoch_complete:  # one that was cut off is none that is done
            return
        now_s = self.clock()
        took_s = self._epochs.end(epoch, now_s)
        if self._lines:
            self._lines.epoch(epoch, self._epochs.total, took_s, self._epochs.left_s(now_s), numbers_in(logs))
        self._refresh_if_due()

    def end_training(self) -> None:
        """Show how it has ended."""
        run, epochs = self.run, self._epochs
        if epochs is None:
            return
        ending = ""
        took_s = self.clock() - epochs.begun_at_s
        if run.outcome not in (None, "completed"):
            where = f" in epoch {epochs.at_hand}" if epochs.at_hand else ""
            ending = f"{run.outcome}{where} after {duration(took_s)}: {run.reason}"
        if self._lines and ending:
            self._lines.end(ending)
        if self._bars:
            took = [duration(took_s)]
            row = Row("epoch", epochs.at_hand, epochs.total, epochs.fraction(), took, numbers_in(self._epoch_logs))
            self._draw([row], [[(ending, run.outcome or "")]] if ending else [])

    def begin_stage(self, kind: str) -> None:
        """Take note of a stage within what is under way, or of one that stands alone."""
        self.stage = Stage(kind, self.clock(), self._announced(kind))
        self._stages.append(self.stage)
        self._refresh_if_due()

    def end_stage(self, kind: str, logs: Mapping[str, Any]) -> bool:
        """Take note that a stage has ended, and say whether it was all that was under way."""
        stage = self.stage
        self._pop(kind)
        self._last_counts[kind] = stage.pace.count
        if self._epochs is not None:
            return False
        pace, took_s = stage.pace, self.clock() - stage.pace.begun_at_s
        if self._lines:
            self._lines.stage(kind, pace.count, took_s, numbers_in(logs))
        if self._bars:
            self._draw([Row(kind, pace.count, pace.total, pace.fraction(), [duration(took_s)], numbers_in(logs))])
        return True

    def refresh(self, logs: Mapping[str, Any] | None = None) -> None:
        """Draw the bars anew, with the logs of the batch that has just ended."""
        epochs, stage, now_s = self._epochs, self.stage, self.clock()
        if logs is not None:
            stage.logs = logs
        pace = stage.pace
        if pace.total is None:
            pace.total = self._announced(stage.kind)  # a loop may not know it before the first batch
        pace.note(now_s)
        rows = []
        if epochs is not None:
            batches = self._stages[0].pace if self._stages and self._stages[0].kind == "train" else None
            time = _time(epochs.left_s(now_s, batches), now_s - epochs.begun_at_s)
            values = numbers_in(self._epoch_logs)
            rows.append(Row("epoch", epochs.at_hand, epochs.total, epochs.fraction(batches), [time], values))
        if self._stages:
            time, rate = _time(pace.left_s(), now_s - pace.begun_at_s), pace.rate()
            tail = [time] if rate is None else [time, speed(rate)]
            rows.append(Row(stage.kind, pace.count, pace.total, pace.fraction(), tail, numbers_in(stage.logs)))
        self._draw(rows)

    def close(self) -> None:
        """Give the terminal back."""
        if self._bars:
            self._bars.close()

    def _refresh_if_due(self) -> None:
        if self.clock() >= self.due_at_s:
            self.refresh()

    def _draw(self, rows: list[Row], more: list[Line] | None = None) -> None:
        bars = self._bars
        if bars and rows:
            bars.show([*lay_out(rows, bars.width, is_ascii=bars.is_ascii), *(more or [])])
        self.due_at_s = self.clock() + self._refresh_interval_s

    def _pop(self, kind: str) -> None:
        """Take the innermost stage of a kind, and all within, for ended."""
        while self._stages and self._stages.pop().kind != kind:
            pass
        if self._stages:
            self.stage = self._stages[-1]

    def _announced(self, kind: str) -> int | None:
        """Return how many batches a stage will have."""
        if self._epochs is not None and kind != "train":  # `params` is about the train batches
            announced = self.run.batch_count
            return self._last_counts.get(kind) if announced is None else announced
        steps: int | None = self.run.params.get("steps")
        return steps


def _time(left_s: float | None, elapsed_s: float) -> str:
    """Say how long it will still take; where that is unknown, how long it took so far."""
    return duration(elapsed_s) if left_s is None else f"{duration(left_s)} left"
