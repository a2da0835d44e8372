"""Gradients that get smaller from layer to layer, until the first layers learn nothing."""

from __future__ import annotations

from ..examination import Examination, is_matrix, strength
from ..limits import COUNT, SHARE, allowed
from ..rule import Finding, Rule


class VanishingGradients(Rule):
    """Finds weights whose gradients are far smaller than those of the model's other layers.

    Of a tensor's gradients those that are exactly 0 do not count: rows of an embedding that a batch does not use.

    Args:
        ratio: below which share of the model's strongest gradients (root mean squares) a layer's are too small.
        patience: after how many looks in a row it speaks.
    """

    name = "vanishing_gradients"
    why = "Layers with far smaller gradients than the others hardly learn, and the others learn on top of noise."
    advice = (
        "Use ReLU or GELU instead of sigmoid and tanh, He or Glorot initialization, residual connections, or "
        "normalization layers; for recurrent networks gates, as in an LSTM."
    )
    source = "Hochreiter 1991; Bengio, Simard and Frasconi 1994; Glorot and Bengio 2010"
    reads = ("gradients",)
    explained_by = ("not_finite", "exploding_gradients")
    limits = allowed(ratio=SHARE, patience=COUNT)

    def __init__(self, ratio: float = 1e-4, patience: int = 5) -> None:
        self.ratio, self.patience = ratio, patience
        self.check()

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare each layer with the strongest of its model."""
        if not examination.gradients:
            return None
        found = []
        for gradients in examination.by_model("gradients").values():
            strengths = {name: strength(one) for name, one in gradients.items()}
            strongest = max(strengths, key=strengths.__getitem__)
            most = strengths[strongest]
            for name, own in strengths.items():
                if 0 < own < self.ratio * most and is_matrix(gradients[name]):
                    seen = f"the gradients are {most / own:.0e} times smaller than those of {strongest}"
                    evidence = {"rms": own, "strongest_rms": most, "ratio": own / most}
                    found.append(Finding(name, seen, evidence, most / own))
        return found
