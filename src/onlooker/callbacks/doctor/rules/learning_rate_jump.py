"""A learning rate that jumps by orders of magnitude."""

from __future__ import annotations

from ..examination import Examination
from ..limits import COUNT, COUNT_FROM_0, TIMES, allowed
from ..rule import Finding, Rule


class LearningRateJump(Rule):
    """Finds a learning rate that has jumped from one look to the next.

    The first steps of a warm-up are left out, and so is a warm restart, which goes back to a rate that was there
    before. Downwards it takes more than the division by 10 that many schedules make, and a rate that is not nearly at
    its end.

    Args:
        up: how many times larger it must have become, and larger than ever before.
        down: how many times smaller.
        warm_up_steps: how many steps from the beginning are not judged.
        patience: after how many looks in a row it speaks.
    """

    name = "learning_rate_jump"
    why = "A sudden large rate undoes what was learned; a sudden tiny one ends the learning. Both are seldom meant."
    advice = "Look at the schedule's units: steps or epochs, and at what resuming does to it. Warm up over many steps."
    source = "Goyal and others 2017 (warm-up); Loshchilov and Hutter 2017 (restarts)"
    memory = ("rates", "largest")
    needs = "a learning rate, which the model's optimizer would have"
    limits = allowed(up=TIMES, down=TIMES, warm_up_steps=COUNT_FROM_0, patience=COUNT)

    def __init__(self, up: float = 10.0, down: float = 20.0, warm_up_steps: int = 20, patience: int = 1) -> None:
        self.up, self.down, self.warm_up_steps, self.patience = up, down, warm_up_steps, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the rates."""
        self.rates: dict[str, float] = {}
        self.largest: dict[str, float] = {}

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare with the look before."""
        rates = examination.learning_rate
        if not rates:
            return None
        found = []
        for name, rate in rates.items():
            before, largest = self.rates.get(name), self.largest.get(name, 0.0)
            self.rates[name], self.largest[name] = rate, max(largest, rate)
            if not before or examination.step <= self.warm_up_steps:
                continue
            is_up = rate >= self.up * before and rate > 1.5 * largest
            is_down = 0 < rate <= before / self.down and before > 0.1 * largest
            if is_up or is_down:
                seen = f"the learning rate has jumped from {before:.3g} to {rate:.3g}"
                found.append(Finding(name or "learning_rate", seen, {"before": before, "now": rate}))
        return found
