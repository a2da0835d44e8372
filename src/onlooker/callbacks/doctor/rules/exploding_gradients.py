"""Gradients that suddenly are far larger than usual, or far larger than the weights."""

from __future__ import annotations

import math

from ..examination import Examination, is_matrix, strength, was_zero
from ..limits import COUNT, POSITIVE, TIMES, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.summary import Summary

_MEMORY = 0.2  # of the running mean of the logarithm
_FIRST_LOOKS = 3
_IN_A_ROW = 3  # for small batches


class ExplodingGradients(Rule):
    """Finds gradients that have grown by orders of magnitude, or that dwarf the weights.

    A model's norm is compared with its usual one, the geometric mean over the last looks or so, and with those of
    the first looks: a network that leaves a plateau has larger gradients than before, but does not explode. A batch
    of fewer than eight samples may be an odd one, so there it takes three looks in a row.

    A layer's gradients are compared with its weights as they are for a loss whose gradient at the model's end is of
    the order of 1. Where that is larger because the targets are (prices, for example), all gradients are, and Adam
    does not mind: the smallest of the biases' gradients tells, at the look at which it was largest. Weights that began
    as zeros, as the last ones of a residual block may, have no size of their own to compare with.

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
    reads = ("gradients", "weights", "updates")
    memory = ("usual", "first", "looks", "grown", "scale", "from_zero")
    explained_by = ("not_finite",)
    limits = allowed(growth=TIMES, ratio=POSITIVE, patience=COUNT)

    def __init__(self, growth: float = 100.0, ratio: float = 1e4, patience: int = 1) -> None:
        self.growth, self.ratio, self.patience = growth, ratio, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget what was usual."""
        self.usual: dict[str, float] = {}  # logarithms of norms, by model
        self.first: dict[str, float] = {}  # the largest norm of the first looks
        self.looks: dict[str, int] = {}
        self.grown: dict[str, int] = {}  # at how many looks in a row
        self.scale: dict[str, float] = {}  # of the loss's gradient
        self.from_zero: dict[str, bool] = {}  # weights that began as zeros

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare with the past, and with the weights."""
        if not examination.gradients:
            return None
        found = []
        for model, gradients in examination.by_model("gradients").items():
            finding = self._compare(model, gradients, _IN_A_ROW if examination.is_small_batch else 1)
            found += [finding] if finding else []
            least = min((strength(one) for one in gradients.values() if _is_bias(one)), default=1.0)
            scale = self.scale[model] = max(self.scale.get(model, 1.0), least)
            for name, gradient in gradients.items():
                weight, own = examination.weights.get(name), strength(gradient)
                if weight is None or not is_matrix(gradient) or self._began_as_zeros(name, weight, examination):
                    continue
                if own > self.ratio * scale * weight.rms > 0:
                    seen = f"the gradients are {own / weight.rms:.0e} times as large as the weights"
                    found.append(Finding(name, seen, {"rms": own, "weight_rms": weight.rms}, own / weight.rms))
        return found

    def _began_as_zeros(self, name: str, weight: Summary, examination: Examination) -> bool:
        if was_zero(weight, examination.updates.get(name)):
            self.from_zero[name] = True
        return name in self.from_zero

    def _compare(self, model: str, gradients: dict[str, Summary], patience: int) -> Finding | None:
        """Compare a model's norm with its past."""
        norm = math.sqrt(sum(one.squares for one in gradients.values()))
        if not 0 < norm < math.inf:
            return None
        looks = self.looks[model] = self.looks.get(model, 0) + 1
        if looks <= _FIRST_LOOKS:
            self.first[model] = max(self.first.get(model, 0.0), norm)
        usual = self.usual.get(model, math.log(norm))
        has_grown = looks > _FIRST_LOOKS and norm > self.growth * math.exp(usual) and norm > 3 * self.first[model]
        self.grown[model] = self.grown.get(model, 0) + 1 if has_grown else 0
        if not has_grown or self.grown[model] >= patience:
            self.usual[model] = usual + _MEMORY * (math.log(norm) - usual)
        if self.grown[model] < patience:
            return None
        where = max(gradients, key=lambda name: gradients[name].squares)
        seen = f"the gradient norm is {norm / math.exp(usual):.0f} times its usual value, most of it here"
        return Finding(
            where, seen, {"norm": norm, "usual_norm": math.exp(usual), "first_norm": self.first[model]}, norm
        )


def _is_bias(gradient: Summary) -> bool:
    return not is_matrix(gradient) and gradient.squares > 0
