"""What stands out among the layers of a model at one look, the worst first.

Owns what belongs to a layer, what is usual, and the order: where something stands out because of another layer, the
other one should come before it, as far as one look and its past can tell. These are hints for whoever reads the table,
and no diagnosis; who wants to be told asks `Doctor`, whose rules look at more than one step.
"""

from __future__ import annotations

import math

from .choice import layer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onlooker.core.summary import Summary

    from .beginnings import Beginnings

    Summaries = Mapping[str, Mapping[str, Summary]]

USUAL_RATIO = 1e-3
"""Of the norm of an update to that of the weights: what a healthy training is near to."""

FAR = 30.0
"""By which factor an update may be smaller or larger than usual."""

APART = 100.0
"""By which factor gradients may be smaller or larger than the median of the layers', and weights than usual."""

GROWN = 4.0
"""By which factor the weights of a layer may have grown since the first look, compared with the median of the layers';
or have become smaller."""

DEAD_SHARE = 0.9
"""Which share of the outputs may be exactly zero."""

NOT_FINITE, DEAD, STILL, UNTRAINED = 1e6, 300.0, 100.0, 50.0
"""How much it stands out that a layer is not finite, puts out nothing but zeros, has no gradient or did not change,
and is changed by no optimizer. By what factor something is off counts less: ten for each power of ten, and more where
it is the layer's own."""

OWN, OTHERS = 15.0, 5.0
"""For each power of ten, what is off by a layer's own past or make, and compared with the gradients of others, which
are as they are because of what is above and below."""

WORTH_A_COLOR = 5.0

ATTRIBUTES = ("outputs", "gradients", "updates", "weights")
"""Of a layer, as they stand in `beginnings.ORDER`."""


class LayerLook:
    """What one layer looked like.

    Attributes:
        name: the layer's.
        weights: all its weights together, None where they were not looked at; likewise the others.
        gradients: their gradients.
        updates: their updates.
        outputs: what the layer has put out.
        ratio: the norm of the updates to that of the weights; NaN where it is not known.
        gain: about how many times larger its outputs are than its inputs, as far as that is a matter of the size of its
            weights; as a range, because which axis is that of the inputs is not known; None where it has no matrix.
        remarks: what stands out, in the order in which it was found.
        weight: how much that is; 0 for nothing.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.weights: Summary | None = None
        self.gradients: Summary | None = None
        self.updates: Summary | None = None
        self.outputs: Summary | None = None
        self.ratio = math.nan
        self.gain: tuple[float, float] | None = None
        self.remarks: list[str] = []
        self.weight = 0.0

    @property
    def is_not_finite(self) -> bool:
        """Whether something is NaN or infinite."""
        return self.weight >= NOT_FINITE

    @property
    def stands_out(self) -> bool:
        """Whether it is worth a color."""
        return self.weight >= WORTH_A_COLOR

    def remark(self, weight: float, words: str) -> None:
        """Take note of something that stands out."""
        self.remarks.append(words)
        self.weight += weight


def layer_looks(latest: Summaries, beginnings: Beginnings | None = None) -> list[LayerLook]:
    """Return what the layers look like at the last look, in the order in which data passes them.

    Args:
        latest: summaries by what and by name.
        beginnings: what the looks before have left.
    """
    found: dict[str, LayerLook] = {name: LayerLook(name) for name in _in_order(latest)}
    for what in ("weights", "gradients", "updates"):
        for name, summary in latest.get(what, {}).items():
            layer = found[layer_of(name)]
            before = getattr(layer, what)
            setattr(layer, what, summary if before is None else before + summary)
            if what == "weights" and summary.shape is not None and len(summary.shape) > 1:
                low, high = _gain(summary)
                layer.gain = (low, high) if layer.gain is None else (max(low, layer.gain[0]), min(high, layer.gain[1]))
    for name, summary in latest.get("activations", {}).items():
        found[name].outputs = summary
    for name, ratio in ratios(latest).items():
        found[name].ratio = ratio
    layers = list(found.values())
    usual = _median(one.gradients.rms for one in layers if one.gradients is not None)
    for place, layer in enumerate(layers):
        _judge(layer, usual, place / len(layers))
    _judge_untrained(layers, bool(latest.get("updates")))
    if beginnings is not None:
        _judge_growth(layers, beginnings.growth(latest))
        _judge_beginning(layers, beginnings.not_finite())
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


def _in_order(latest: Summaries) -> list[str]:
    """Return the names of all layers: as their outputs came, and those without outputs behind what is before them."""
    of_weights = dict.fromkeys(
        layer_of(name) for what in ("weights", "gradients", "updates") for name in latest.get(what, {})
    )
    ordered = list(latest.get("activations", {}))
    known, at = set(ordered), 0
    for name in of_weights:
        if name in known:
            at = ordered.index(name) + 1
        else:
            ordered.insert(at, name)
            at += 1
    return ordered


def _gain(weight: Summary) -> tuple[float, float]:
    """Return the root of the summed squares that reach one output, which may be either end of the shape."""
    shape = weight.shape or (1,)
    inputs = sorted(weight.count / max(length, 1) for length in (shape[0], shape[-1]))
    return weight.rms * math.sqrt(inputs[0]), weight.rms * math.sqrt(inputs[1])


def _judge(layer: LayerLook, usual: float, place: float) -> None:
    """Say what stands out in a layer by itself, and next to the others.

    Args:
        layer: to be judged.
        usual: the median of the layers' gradients, per element.
        place: of the layer in the model, from 0 to 1, for those that are alike: what is dead comes down from the first,
            and a gradient that is lost is so from the last.
    """
    if bad := _not_finite(layer):
        layer.remark(NOT_FINITE, bad)
    if layer.weights is not None and not layer.weights.count:
        layer.remark(0.0, "empty: no elements")
    if layer.outputs is not None and layer.outputs.zero_share > DEAD_SHARE:
        share = layer.outputs.zero_share
        layer.remark(5 + 100 * (share - DEAD_SHARE), f"{share:.1%} of its outputs are zero")
    if layer.ratio == 0:
        layer.remark(STILL + place, "was not changed by the step")
    elif not 1 / FAR <= layer.ratio / USUAL_RATIO <= FAR and layer.ratio == layer.ratio:
        weight, words = _apart(layer.ratio / USUAL_RATIO, 10, "updates are", "what is usual")
        layer.remark(max(0.0, weight - 10 * _explained(layer, usual)), words)
    if layer.gain is not None:
        low, high = layer.gain
        is_new = layer.ratio > 0.1  # began with zeros, and is on its way
        if low > APART or (0 < high < 1 / APART and not is_new):
            layer.remark(
                *_apart(low if low > APART else high, OWN, "weights are", "what keeps the size of what passes")
            )
    gradients = layer.gradients
    if gradients is not None and gradients.finite:
        if gradients.rms == 0:
            layer.remark(STILL + place, "its gradients are all zero")
        elif usual and not 1 / APART <= gradients.rms / usual <= APART:
            layer.remark(*_apart(gradients.rms / usual, OTHERS, "gradients are", "those of the other layers"))
    if layer.outputs is not None and layer.outputs.zero_share == 1:
        layer.weight = max(layer.weight if layer.is_not_finite else 0.0, DEAD + 1 - place)  # whatever else there is


def _not_finite(layer: LayerLook) -> str:
    """Return what is NaN or infinite in a layer, in words; "" where nothing is."""
    all_nan, some = [], []
    for what in ("weights", "gradients", "updates", "outputs"):
        summary = getattr(layer, what)
        if summary is not None and summary.nan + summary.inf:
            if summary.nan == summary.count:
                all_nan.append(what)
            else:
                bad = " and ".join(f"{n} {word}" for n, word in ((summary.nan, "NaN"), (summary.inf, "infinite")) if n)
                some.append(f"{bad} of {summary.count} {what}")
    return "; ".join([*([f"all {', '.join(all_nan)} are NaN"] if all_nan else []), *some])


def _explained(layer: LayerLook, usual: float) -> float:
    """Return how many powers of ten of what is unusual in a layer's updates come from its gradients, which count."""
    gradients = layer.gradients
    if gradients is None or not gradients.finite or not gradients.rms or not usual:
        return 0.0
    of_updates, of_gradients = math.log10(layer.ratio / USUAL_RATIO), math.log10(gradients.rms / usual)
    return min(abs(of_updates), abs(of_gradients)) if of_updates * of_gradients > 0 else 0.0


def _judge_untrained(layers: Sequence[LayerLook], has_updates: bool) -> None:
    """Say which layers no optimizer changes. Where those are most, as below a new head, it is so on purpose."""
    if has_updates:
        having = [layer for layer in layers if layer.weights is not None and layer.weights.count]
        untrained = [layer for layer in having if layer.updates is None]
        for layer in untrained:
            layer.remark(UNTRAINED if 2 * len(untrained) < len(having) else 1.0, "no optimizer changes it")


def _judge_growth(layers: Sequence[LayerLook], growth: Mapping[str, float]) -> None:
    """Say of which layers the weights have become larger or smaller since the first look, as others have not."""
    usual = _median(growth.values())
    for layer in layers:
        times = growth.get(layer.name)
        if times and not 1 / GROWN <= times / usual <= GROWN and not 1 / GROWN <= times <= GROWN:
            layer.remark(*_apart(times, OWN, "weights are", "at the first look"))


def _judge_beginning(layers: Sequence[LayerLook], since: Mapping[str, tuple[int, int]]) -> None:
    """Say where it began that something was not finite.

    Args:
        layers: in the order in which data passes them.
        since: by layer, the step since which it is not finite, and what was so first: its place in `ORDER`.
    """
    places = {layer.name: place for place, layer in enumerate(layers)}

    def order(layer: LayerLook) -> tuple[int, int, int]:
        step, what = since[layer.name]
        return step, what, -places[layer.name] if what == 1 else places[layer.name]  # gradients come from the end

    sick = sorted((layer for layer in layers if layer.is_not_finite and layer.name in since), key=order)
    for place, layer in enumerate(sick):
        layer.weight = NOT_FINITE + len(sick) - place
        layer.remarks.insert(0, f"not finite since step {since[layer.name][0]}")
    if len(sick) > 1:
        first = since[sick[0].name]
        having = [one for one in layers if getattr(one, ATTRIBUTES[first[1]]) is not None]
        is_told = sum(since.get(one.name) == first for one in having) < len(having)
        sick[0].remarks[0] += (
            ", before all others" if is_told else ", as are all others: which was first cannot be told"
        )


def _apart(factor: float, weight: float, words: str, usual: str) -> tuple[float, str]:
    times = max(factor, 1 / factor)
    rounded = f"{float(f'{times:.2g}'):,.0f}"
    return weight * math.log10(times), f"{words} {rounded} times {'larger' if factor > 1 else 'smaller'} than {usual}"


def _median(values: Iterable[float]) -> float:
    ordered = sorted(value for value in values if math.isfinite(value))
    return ordered[len(ordered) // 2] if ordered else math.nan
