"""GANs: a generator that no gradient reaches."""

from __future__ import annotations

import math

from ..examination import Examination
from ..limits import COUNT, POSITIVE, allowed, words
from ..rule import Finding, Rule

GENERATOR = ("generator", "gen", "g", "G", "netG")


class NoGeneratorGradient(Rule):
    """Finds a generator whose gradient is missing, or vanishing beside its weights, while another model learns.

    Only where several models are trained, in a dict. A look at a batch in which only the discriminator steps shows no
    gradient of the generator; so its weights must have stayed the same since the last look, too.

    Args:
        ratio: of the norm of the generator's gradients to that of its weights.
        generator: under which names the generator may be in the dict of models.
        patience: after how many looks in a row it speaks.
    """

    name = "no_generator_gradient"
    why = (
        "The generator learns only by the gradient that comes through the discriminator; without it, it stays as it is."
    )
    advice = (
        "Look for detach() on what the generator's loss is made of, for frozen weights, or for an optimizer with the "
        "wrong weights; and train with -log D(G(z)) rather than log(1 - D(G(z)))."
    )
    source = "Goodfellow and others 2014, section 3; Arjovsky and Bottou 2017"
    reads = ("gradients", "weights")
    memory = ("weights",)
    explained_by = ("not_finite",)
    is_general = False
    limits = allowed(ratio=POSITIVE, patience=COUNT)

    def __init__(self, ratio: float = 1e-7, generator: tuple[str, ...] = GENERATOR, patience: int = 5) -> None:
        self.ratio, self.patience = ratio, patience
        self.generator = words(self.name, "generator", generator)
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the weights."""
        self.weights: list[float] = []

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare the generator's gradients with its weights, and those with the look before."""
        weights, gradients = examination.by_model("weights"), examination.by_model("gradients")
        model = next((name for name in self.generator if name in weights), None)
        if model is None or len(weights) < 2 or not gradients:
            return None
        size = math.sqrt(sum(one.squares for one in weights[model].values()))
        now, before = [one.squares for one in weights[model].values()], self.weights
        self.weights = now
        own = gradients.get(model, {})
        norm = math.sqrt(sum(one.squares for one in own.values()))
        if (not own and now != before) or not norm <= self.ratio * size:
            return []
        seen = "the generator gets no gradient" if not norm else f"the generator's gradient norm is only {norm:.1e}"
        return [Finding(model, seen, {"gradient_norm": norm, "weight_norm": size})]
