"""What stands out among the layers of a model at one look, the worst first.

Owns what belongs to a layer, what is usual, and the order. These are hints for whoever reads the table; who wants to be
told asks `Doctor`, whose rules look at more than one step.
"""

from __future__ import annotations

import math

from .choice import layer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onlooker.core.summary import Summary

    Summaries = Mapping[str, Mapping[str, Summary]]

USUAL_RATIO = 1e-3
"""Of the norm of an update to that of the weights: what a healthy training is near to."""

FAR = 30.0
"""By which factor an update may be smaller or larger than usual."""

APART = 100.0
"""By which factor gradients may be smaller or larger than the median of the layers'."""

DEAD_SHARE = 0.9
"""Which share of the outputs may be exactly zero."""


class LayerLook:
    """What one layer looked like.

    Attributes:
        name: the layer's.
        weights: all its weights together, None where they were not looked at; likewise the others.
        gradients: their gradients.
        updates: their updates.
        outputs: what the layer has put out.
        ratio: the norm of the updates to that of the weights; NaN where it is not known.
        remarks: what stands out, the worst first.
        weight: how much that is; 0 for nothing.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.weights: Summary | None = None
        self.gradients: Summary | None = None
        self.updates: Summary | None = None
        self.outputs: Summary | None = None
        self.ratio = math.nan
        self.remarks: list[str] = []
        self.weight = 0.0

    def remark(self, weight: float, words: str) -> None:
        """Take note of something that stands out."""
        self.remarks.append(words)
        self.weight += weight


def layer_looks(latest: Summaries) -> list[LayerLook]:
    """Return all layers in the model's order, with what stands out."""
    found: dict[str, LayerLook] = {}
    for what in ("weights", "gradients", "updates"):
        for name, summary in latest.get(what, {}).items():
            layer = found.setdefault(layer_of(name), LayerLook(layer_of(name)))
            before = getattr(layer, what)
            setattr(layer, what, summary if before is None else before + summary)
    for name, summary in latest.get("activations", {}).items():
        found.setdefault(name, LayerLook(name)).outputs = summary
    for name, ratio in ratios(latest).items():
        found[name].ratio = ratio
    layers = list(found.values())
    usual = _median(one.gradients.rms for one in layers if one.gradients is not None)
    for layer in layers:
        _judge(layer, usual)
        if layer.weights is not None and layer.updates is None and latest.get("updates"):
            layer.remark(50, "no optimizer changes it")
    return layers


def worst_first(layers: Iterable[LayerLook]) -> list[LayerLook]:
    """Return layers by how much they stand out; those that do not, in the model's order."""
    return sorted(layers, key=lambda layer: -layer.weight)


def ratios(latest: Summaries) -> dict[str, float]:
    """Return the norm of each layer's updates to that of the weights that were updated."""
    weights, updates = latest.get("weights", {}), latest.get("updates", {})
    squares: dict[str, list[float]] = {}
    for name, update in updates.items():
        if name in weights:
            of_layer = squares.setdefault(layer_of(name), [0.0, 0.0])
            of_layer[0] += update.squares
            of_layer[1] += weights[name].squares
    return {name: math.sqrt(of[0] / of[1]) if of[1] else math.nan for name, of in squares.items()}


def _judge(layer: LayerLook, usual: float) -> None:
    """Say what stands out in a layer.

    Args:
        layer: to be judged.
        usual: the median of the layers' gradients, per element.
    """
    for what in ("weights", "gradients", "updates", "outputs"):
        summary = getattr(layer, what)
        if summary is not None and summary.nan + summary.inf:
            bad = " and ".join(f"{n} {word}" for n, word in ((summary.nan, "NaN"), (summary.inf, "infinite")) if n)
            layer.remark(1e6, f"{bad} of {summary.count} {what}")
    if layer.ratio == 0:
        layer.remark(100, "was not changed by the step")
    elif not 1 / FAR <= layer.ratio / USUAL_RATIO <= FAR and layer.ratio == layer.ratio:
        layer.remark(*_apart(layer.ratio / USUAL_RATIO, 10, "updates are", "what is usual"))
    gradients = layer.gradients
    if gradients is not None and gradients.finite:
        if gradients.rms == 0:
            layer.remark(100, "its gradients are all zero")
        elif usual and not 1 / APART <= gradients.rms / usual <= APART:
            layer.remark(*_apart(gradients.rms / usual, 10, "gradients are", "those of the other layers"))
    if layer.outputs is not None and layer.outputs.zero_share > DEAD_SHARE:
        layer.remark(20 * layer.outputs.zero_share, f"{layer.outputs.zero_share:.1%} of its outputs are zero")


def _apart(factor: float, weight: float, words: str, usual: str) -> tuple[float, str]:
    times = max(factor, 1 / factor)
    rounded = f"{float(f'{times:.2g}'):,.0f}"
    return weight * math.log10(times), f"{words} {rounded} times {'larger' if factor > 1 else 'smaller'} than {usual}"


def _median(values: Iterable[float]) -> float:
    ordered = sorted(value for value in values if math.isfinite(value))
    return ordered[len(ordered) // 2] if ordered else math.nan
