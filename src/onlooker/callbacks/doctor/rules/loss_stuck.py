"""A loss that is, after many steps, where it was at the beginning."""

from __future__ import annotations

from ..examination import SMALL_BATCH, Examination
from ..limits import COUNT, SHARE, allowed, words
from ..rule import Finding, Rule

_LOOKS = 5
_BEYOND_NOISE = 3


class LossStuck(Rule):
    """Finds a loss that has hardly fallen since the beginning, and not at all since the first few looks.

    In the first few steps a network learns how often each class comes, and its loss falls a little. A loss that has
    fallen further, and then stays, is not meant. Batches of fewer than eight samples count as parts of one of
    eight.

    It is silent where the loss is no measure of what is learned: where players are against each other, as in GANs,
    where rewards or returns are logged, and where the loss is on both sides of 0, as that of a policy is.

    Args:
        after_steps: how many steps it is given.
        share: by which share of itself it must have fallen by then,
        late_share: and by which share since the fifth look; a third of it is enough where it stands out from the noise.
        loss: under which names it may be logged; the first that is there counts.
        patience: after how many looks in a row it speaks.
    """

    name = "loss_stuck"
    why = "If hundreds of steps have not lowered the loss at all, more of them will not either."
    advice = (
        "Try to learn a single batch by heart. If that fails: a learning rate that is far too small or too large, a "
        "loss that does not fit the model's outputs, dead units, labels that do not belong to the inputs."
    )
    source = (
        "Karpathy, A Recipe for Training Neural Networks, 2019; Goodfellow, Bengio and Courville 2016, section 11.5"
    )
    memory = ("first", "last", "lowest", "highest")
    explained_by = ("not_finite", "exploding_gradients")
    needs = "a loss, no game's or reward's, for long enough"
    limits = allowed(after_steps=COUNT, share=SHARE, late_share=SHARE, patience=COUNT)

    def __init__(
        self,
        after_steps: int = 300,
        share: float = 0.1,
        late_share: float = 0.03,
        loss: str | tuple[str, ...] = "loss",
        patience: int = 3,
    ) -> None:
        self.after_steps, self.share, self.late_share, self.patience = after_steps, share, late_share, patience
        self.loss = words(self.name, "loss", loss)
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the losses."""
        self.lowest = self.highest = 0.0
        self.first: list[float] = []
        self.last: list[float] = []

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare the last losses with the first."""
        mean = examination.mean(self.loss)
        if mean is None or examination.is_game:
            return None
        if len(self.first) < _LOOKS:
            self.first.append(mean)
        self.last.append(mean)
        del self.last[:-_LOOKS]
        self.lowest, self.highest = min(self.lowest, mean), max(self.highest, mean)
        size = min(examination.batch_size or SMALL_BATCH, SMALL_BATCH)
        if examination.step * size < self.after_steps * SMALL_BATCH or self.lowest < 0 < self.highest:
            return None
        first, early, last = self.first[0], self.first[-1], sum(self.last) / len(self.last)
        if last < first - self.share * abs(first) or last < early - self.late_share * abs(early):
            return []
        noise = max(self.last) - min(self.last)
        if early - last > max(_BEYOND_NOISE * noise, self.late_share / 3 * abs(early)):
            return []
        seen = f"after {examination.step} steps the loss is {last:.4g}, and was {first:.4g} at the beginning"
        evidence = {"first": first, f"at_look_{_LOOKS}": early, "last": last, "steps": examination.step}
        return [Finding("", seen, evidence)]
