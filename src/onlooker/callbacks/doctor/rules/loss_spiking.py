"""A loss that suddenly jumps up."""

from __future__ import annotations

import math

from ..examination import Examination
from ..limits import COUNT, COUNT_FROM_0, POSITIVE, SHARE, TIMES, allowed, words
from ..rule import Finding, Rule

_MEMORY = 0.1
_FEWEST = 9  # small batches that tell something together: as many as there are between the first looks by default


class LossSpiking(Rule):
    """Finds a loss that jumps far beyond its own noise, and back over a good part of what had been gained.

    It goes by the mean over the batches since the last look, so that a single odd sample is no spike; of batches of
    fewer than eight samples it takes nine at least. It is silent where the loss is no measure of what is learned: where
    players are against each other, as in GANs, and where rewards or returns are logged.

    Args:
        deviations: how many of its usual deviations from its running mean.
        share: which part of the way back up to its beginning.
        start_ratio: while it warms up, how many times its first value instead.
        loss: under which names it may be logged; the first that is there counts.
        warm_up: at how many looks from the beginning it does not know yet what is usual.
        patience: after how many looks in a row it speaks.
    """

    name = "loss_spiking"
    why = "A spike says that a step has left the region in which the gradient meant something; some never recover."
    advice = (
        "Lower the learning rate or warm it up longer, clip the gradient norm, lower Adam's second beta (0.95), and "
        "look at the batches of these steps."
    )
    source = "Chowdhery and others (PaLM) 2022, section 5.1; Takase and others 2023"
    memory = ("first", "usual", "deviation", "looks", "waiting")
    explained_by = ("not_finite",)
    needs = "a loss, no game's or reward's"
    limits = allowed(
        deviations=POSITIVE,
        share=SHARE,
        start_ratio=TIMES,
        warm_up=COUNT_FROM_0,
        patience=COUNT,
    )

    def __init__(
        self,
        deviations: float = 8.0,
        share: float = 0.3,
        start_ratio: float = 3.0,
        loss: str | tuple[str, ...] = "loss",
        warm_up: int = 10,
        patience: int = 2,
    ) -> None:
        self.deviations, self.share, self.start_ratio = deviations, share, start_ratio
        self.warm_up, self.patience = warm_up, patience
        self.loss = words(self.name, "loss", loss)
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the losses."""
        self.first = self.usual = self.deviation = 0.0
        self.looks = 0
        self.waiting: list[float] = []  # losses of small batches that are too few yet

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare the loss since the last look with its running mean."""
        losses = self.waiting + next(filter(None, map(examination.values, self.loss)), [])
        if not losses or examination.is_game:
            return None
        is_too_few = self.looks and examination.is_small_batch and len(losses) < _FEWEST
        self.waiting = losses if is_too_few else []
        mean = sum(losses) / len(losses)
        if is_too_few or not math.isfinite(mean):
            return None
        self.looks += 1
        if self.looks == 1:
            self.first = self.usual = mean
            return []
        jump, usual = mean - self.usual, self.usual
        limit = max(self.deviations * self.deviation, self.share * (self.first - usual), 1e-3 * abs(usual))
        has_jumped = jump > limit if self.looks > self.warm_up else mean > self.start_ratio * self.first > 0
        if has_jumped:
            # What is usual stays: a loss that stays up there is still far from it.
            seen = f"the loss has jumped from {usual:.4g} to {mean:.4g}"
            return [
                Finding("", seen, {"loss": mean, "usual": usual, "deviation": self.deviation, "largest": max(losses)})
            ]
        self.usual += _MEMORY * jump
        self.deviation += _MEMORY * (abs(jump) - self.deviation)
        return []
