"""How fast batches and epochs go by, and how long the rest will take. Owns the arithmetic; it is told the time."""

from __future__ import annotations

WINDOW_S = 5.0
"""The rate is that of the last few seconds: the first batches are often slow, and a machine may be shared."""

EPOCHS_AVERAGED = 5


class Pace:
    """How fast the batches of a stage go by.

    Args:
        now_s: when the stage begins.
        total: how many batches there will be; None where unknown.

    Attributes:
        begun_at_s: when the stage began.
        count: how many batches are done; assigned by whoever counts them.
        total: how many batches there will be; None where unknown.

    Example:
        >>> pace = Pace(now_s=0.0, total=30)
        >>> pace.count = 10
        >>> pace.note(now_s=2.0)
        >>> pace.rate(), pace.left_s()
        (5.0, 4.0)
    """

    def __init__(self, now_s: float, total: int | None = None) -> None:
        self.begun_at_s = now_s
        self.count = 0
        self.total = total
        self._marks: list[tuple[float, int]] = [(now_s, 0)]

    def note(self, now_s: float) -> None:
        """Take note of how many batches are done by now. Called when something is shown, not for each batch."""
        if self.total is not None and self.count > self.total:
            self.total = None  # what was announced was wrong
        marks = self._marks
        marks.append((now_s, self.count))
        while now_s - marks[1][0] > WINDOW_S:
            del marks[0]

    def rate(self) -> float | None:
        """Return how many batches go by in a second; None as long as that cannot be known."""
        (first_s, first), (last_s, last) = self._marks[0], self._marks[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s and last > first else None

    def left_s(self) -> float | None:
        """Return how many seconds the rest will take; None where that cannot be known."""
        rate = self.rate()
        return None if self.total is None or rate is None else (self.total - self.count) / rate

    def fraction(self) -> float | None:
        """Return how much is done, from 0 to 1; None where that cannot be known."""
        return None if not self.total else self.count / self.total


class EpochPace:
    """How fast the epochs of a training go by.

    Args:
        now_s: when the training begins.
        total: how many epochs there will be; None where unknown.

    Attributes:
        begun_at_s: when the training began.
        total: how many epochs there will be; None where unknown.
        count: how many epochs are done, those before a resume included.
        epoch_begun_at_s: when the epoch at hand began; None between epochs.

    Example:
        >>> pace = EpochPace(now_s=0.0, total=3)
        >>> pace.begin(0, now_s=0.0)
        >>> pace.end(0, now_s=4.0)
        4.0
        >>> pace.left_s(now_s=4.0)
        8.0
    """

    def __init__(self, now_s: float, total: int | None = None) -> None:
        self.begun_at_s = now_s
        self.total = total
        self.count = 0
        self.epoch_begun_at_s: float | None = None
        self._durations_s: list[float] = []

    @property
    def at_hand(self) -> int:
        """Which epoch it is, counted from 1 as people do; between epochs the last one."""
        return self.count if self.epoch_begun_at_s is None else self.count + 1

    def begin(self, epoch: int, now_s: float) -> None:
        """Take note that an epoch begins."""
        self.count = epoch
        self.epoch_begun_at_s = now_s

    def end(self, epoch: int, now_s: float) -> float:
        """Take note that an epoch is done, and return how many seconds it took."""
        begun_at_s = now_s if self.epoch_begun_at_s is None else self.epoch_begun_at_s
        self.count = epoch + 1
        self.epoch_begun_at_s = None
        self._durations_s = [*self._durations_s, now_s - begun_at_s][-EPOCHS_AVERAGED:]
        return now_s - begun_at_s

    def left_s(self, now_s: float, batches: Pace | None = None) -> float | None:
        """Return how many seconds the rest will take; None where that cannot be known.

        Args:
            now_s: the time.
            batches: the pace of the train batches of the epoch at hand, which in the first epoch is all there is.
        """
        if self.total is None:
            return None
        elapsed_s = None if self.epoch_begun_at_s is None else now_s - self.epoch_begun_at_s
        if self._durations_s:
            epoch_s = sum(self._durations_s) / len(self._durations_s)
        else:
            batches_left_s = None if batches is None else batches.left_s()
            if elapsed_s is None or batches_left_s is None:
                return None
            epoch_s = elapsed_s + batches_left_s
        if elapsed_s is None:
            return max(0, self.total - self.count) * epoch_s
        return max(0, self.total - self.count - 1) * epoch_s + max(0.0, epoch_s - elapsed_s)

    def fraction(self, batches: Pace | None = None) -> float | None:
        """Return how much is done, from 0 to 1, with what is done of the epoch at hand; None where unknown."""
        if not self.total:
            return None
        within = batches.fraction() if batches is not None and self.epoch_begun_at_s is not None else None
        return min(1.0, (self.count + (within or 0.0)) / self.total)
