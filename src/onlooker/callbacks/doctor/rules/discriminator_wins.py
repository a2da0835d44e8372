"""GANs: a discriminator that is right about everything, and teaches nothing any more."""

from __future__ import annotations

from ..examination import Examination
from ..limits import COUNT, POSITIVE, TIMES, allowed, words
from ..rule import Finding, Rule

DISCRIMINATOR = ("discriminator_loss", "critic_loss", "d_loss", "loss_d", "discriminator", "critic")
GENERATOR = ("generator_loss", "g_loss", "loss_g", "gen_loss", "generator")


class DiscriminatorWins(Rule):
    """Finds a discriminator's loss near 0 while the generator's has risen.

    Args:
        loss: below which the discriminator's loss is near 0; one that guesses has log 2 = 0.69, or twice that.
        rise: how many times its lowest value the generator's loss is by then.
        discriminator: under which names its loss may be logged; the first that is there counts.
        generator: likewise.
        patience: after how many looks in a row it speaks.
    """

    name = "discriminator_wins"
    why = "A discriminator that is sure of everything is flat around what the generator makes: no gradient is left."
    advice = (
        "Lower the discriminator's learning rate or make it smaller, blur its inputs with noise, smooth its labels, "
        "penalize its gradient, or take a loss that does not saturate."
    )
    source = "Goodfellow and others 2014; Arjovsky and Bottou 2017"
    memory = ("lowest",)
    explained_by = ("not_finite",)
    is_general = False
    limits = allowed(loss=POSITIVE, rise=TIMES, patience=COUNT)

    def __init__(
        self,
        loss: float = 0.1,
        rise: float = 2.0,
        discriminator: tuple[str, ...] = DISCRIMINATOR,
        generator: tuple[str, ...] = GENERATOR,
        patience: int = 5,
    ) -> None:
        self.loss, self.rise, self.patience = loss, rise, patience
        self.discriminator = words(self.name, "discriminator", discriminator)
        self.generator = words(self.name, "generator", generator)
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the generator's losses."""
        self.lowest = float("inf")

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare the losses since the last look."""
        discriminator, generator = examination.mean(self.discriminator), examination.mean(self.generator)
        if discriminator is None or generator is None:
            return None
        self.lowest = min(self.lowest, abs(generator))
        if not (0 <= discriminator < self.loss and generator > self.rise * self.lowest):
            return []
        seen = f"the discriminator's loss is {discriminator:.3g}, the generator's {generator:.3g}"
        evidence = {"discriminator": discriminator, "generator": generator, "generator_lowest": self.lowest}
        return [Finding("discriminator", seen, evidence)]
