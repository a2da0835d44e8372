"""Gradients that suddenly are far larger than usual, or far larger than the weights."""

from __future__ import annotations

import math

from ..examination import Examination, is_matrix, strength
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.summary import Summary

_MEMORY = 0.2  # of the running mean of the logarithm
_FIRST_LOOKS = 3


class ExplodingGradients(Rule):
    """Finds gradients that have grown by orders of magnitude, or that dwarf the weights.

    A model's norm is compared with its usual one, the geometric mean over the last looks or so, and with those of the
    first looks: a network that leaves a plateau has larger gradients than before, but does not explode.

    Args:
        growth: how many times its usual norm a model's gradient norm must be.
        ratio: how many times as large as its weights a layer's gradients must be (root mean squares).
        patience: after how many looks in a row it speaks.
    """

    name = "exploding_gradients"
    why = "One step along such a gradient throws the weights far away, and what was learned is lost."
    advice = (
        "Clip the gradient norm (1.0 is usual), lower the learning rate or warm it up, look at the initial weights, "
        "and at the batch for an outlier."
    )
    source = "Pascanu, Mikolov and Bengio 2013"
    reads = ("gradients", "weights")
    memory = ("usual", "first", "looks")
    explained_by = ("not_finite",)

    def __init__(self, growth: float = 100.0, ratio: float = 1e4, patience: int = 1) -> None:
        self.growth, self.ratio, self.patience = growth, ratio, patience
        self.begin()

    def begin(self) -> None:
        """Forget what was usual."""
        self.usual: dict[str, float] = {}  # logarithms of norms, by model
        self.first: dict[str, float] = {}  # the largest norm of the first looks
        self.looks: dict[str, int] = {}

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare with the past, and with the weights."""
        if not examination.gradients:
            return None
        found = []
        for model, gradients in examination.by_model("gradients").items():
            finding = self._compare(model, math.sqrt(sum(one.squares for one in gradients.values())), gradients)
            found += [finding] if finding else []
        for name, gradient in examination.gradients.items():
            weight = examination.weights.get(name)
            if weight is not None and is_matrix(gradient) and strength(gradient) > self.ratio * weight.rms > 0:
                evidence = {"rms": strength(gradient), "weight_rms": weight.rms}
                seen = f"the gradients are {strength(gradient) / weight.rms:.0e} times as large as the weights"
                found.append(Finding(name, seen, evidence, strength(gradient) / weight.rms))
        return found

    def _compare(self, model: str, norm: float, gradients: dict[str, Summary]) -> Finding | None:
        if not 0 < norm < math.inf:
            return None
        looks = self.looks[model] = self.looks.get(model, 0) + 1
        if looks <= _FIRST_LOOKS:
            self.first[model] = max(self.first.get(model, 0.0), norm)
        usual = self.usual.get(model, math.log(norm))
        has_grown = looks > _FIRST_LOOKS and norm > self.growth * math.exp(usual) and norm > 3 * self.first[model]
        self.usual[model] = usual + _MEMORY * (math.log(norm) - usual)
        if not has_grown:
            return None
        where = max(gradients, key=lambda name: gradients[name].squares)
        seen = f"the gradient norm is {norm / math.exp(usual):.0f} times its usual value, most of it here"
        return Finding(
            where, seen, {"norm": norm, "usual_norm": math.exp(usual), "first_norm": self.first[model]}, norm
        )
