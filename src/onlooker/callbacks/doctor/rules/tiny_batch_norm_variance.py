"""Normalization layers that get hardly any variance, and so divide by their own epsilon."""

from __future__ import annotations

from onlooker.callbacks.inside.choice import layer_of

from ..examination import Examination
from ..frozen import is_evaluating
from ..limits import COUNT, POSITIVE, SHARE, allowed
from ..rule import Finding, Rule

_RUNNING = ("running_var", "moving_variance")


class TinyBatchNormVariance(Rule):
    """Finds normalization layers whose inputs hardly vary.

    Where running variances are among the weights, as in Keras, it goes by their median. Elsewhere it goes by what
    the layer puts out: a variance v becomes v / (v + epsilon), so outputs that are much smaller than the layer's
    scale say that v is far below epsilon. Layers that are frozen, or in evaluation mode, are left out: they go by
    the variance of other data.

    Args:
        variance: below which the median of the running variances is tiny; 1e-5 is the usual epsilon.
        share: below which share of the expected mean square the outputs are too small.
        patience: after how many looks in a row it speaks.
    """

    name = "tiny_batch_norm_variance"
    why = (
        "The layer divides by its epsilon instead of the variance: what it gets is nearly constant, or noise blown up."
    )
    advice = (
        "Look at the layer in front: dead units, tiny weights, or inputs that do not vary. A larger epsilon hides it."
    )
    source = "Ioffe and Szegedy 2015"
    reads = ("activations", "weights")
    explained_by = ("not_finite", "dead_units")
    limits = allowed(variance=POSITIVE, share=SHARE, patience=COUNT)

    def __init__(self, variance: float = 1e-5, share: float = 0.1, patience: int = 5) -> None:
        self.variance, self.share, self.patience = variance, share, patience
        self.check()

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Judge by running variances, and by what the layers put out."""
        weights, activations = examination.weights, examination.activations
        if not weights:
            return None
        found = []
        for name, one in weights.items():
            is_tiny = name.endswith(_RUNNING) and (median := one.quantile(0.5)) < self.variance
            if is_tiny and not _is_fixed(layer_of(name), examination):
                found.append(Finding(name, f"half of the variances are below {median:.1e}", {"median": median}))
        for layer, one in activations.items():
            scale, shift = weights.get(f"{layer}.weight"), weights.get(f"{layer}.bias")
            if scale is None or shift is None or scale.shape != shift.shape or len(scale.shape or ()) != 1:
                continue
            # Not less the shift's square: in layer norm, scale, shift and inputs may depend on each other.
            is_small = one.finite and one.squares < self.share * one.finite * scale.rms**2
            if is_small and not _is_fixed(layer, examination):
                share = one.rms**2 / scale.rms**2
                seen = f"the outputs have {share:.1%} of the mean square that normalization gives"
                found.append(Finding(layer, seen, {"rms": one.rms, "scale_rms": scale.rms, "share": share}, 1 - share))
        return found


def _is_fixed(layer: str, examination: Examination) -> bool:
    own = [name for name in examination.weights if layer_of(name) == layer]
    return examination.frozen.issuperset(own) or is_evaluating(examination.run, layer)
