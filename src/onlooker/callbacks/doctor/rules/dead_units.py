"""Units that are 0 for every input, so that they learn nothing and never come back."""

from __future__ import annotations

from onlooker.callbacks.inside.choice import layer_of

from ..examination import Examination
from ..limits import COUNT, SHARE, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from onlooker.core.summary import Summary

_LOOKS = 5
_FEW = 4  # of fewer units the gradients may cancel out, as in the last layer of a critic


class DeadUnits(Rule):
    """Finds layers in which most units put out 0 at every look, as dead ReLUs do.

    By activations: the share of zeros in what a layer without weights puts out, if nothing in it is negative, and
    if not all that it gets is 0. Where no layer puts out such zeros, as when ReLU is a function and no layer, by
    gradients: the share of zeros in those of biases, and of other weights with one number for each unit. Such a
    gradient is exactly 0 for a unit that no sample of the batch has reached. Of layers that are dead altogether the
    last is named then: those before it get no gradient because of it. What counts is the smallest share over five
    looks, as small batches leave many units out by chance; of fewer than eight samples nearly all gradients must be
    0. What comes before the first weights is no unit's output, and layers behind frozen weights are as they are.

    Args:
        activation_share: of the outputs that are 0.
        share: of the units whose gradient is 0.
        patience: after how many looks in a row, beyond the first five, it speaks.
    """

    name = "dead_units"
    why = "A unit whose output is 0 for every input gets no gradient, so it can never change again."
    advice = (
        "Lower the learning rate, start biases at 0 or slightly above, use He initialization, LeakyReLU or GELU, or a "
        "normalization layer in front."
    )
    source = "Maas, Hannun and Ng 2013; Lu, Shin, Su and Karniadakis 2020"
    reads = ("activations", "gradients", "weights")
    memory = ("shares",)
    explained_by = ("not_finite", "saturated_units")
    limits = allowed(activation_share=SHARE, share=SHARE, patience=COUNT)

    def __init__(self, activation_share: float = 0.95, share: float = 0.7, patience: int = 1) -> None:
        self.activation_share, self.share, self.patience = activation_share, share, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the last shares."""
        self.shares: dict[str, list[float]] = {}

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Take the shares of this look; judge by the smallest of the last ones."""
        if not examination.gradients and not examination.activations:
            return None
        found = []
        limit = max(self.share, self.activation_share) if examination.is_small_batch else self.share
        for model in examination.by_model("weights") or examination.by_model("gradients"):
            activations = examination.by_model("activations").get(model, {})
            outputs = _rectified(activations, examination)
            if outputs:
                found += self._judge(outputs, "the outputs", self.activation_share)
                continue
            units = _unreached(examination.by_model("gradients").get(model, {}), activations)
            dead = self._judge(units, "the units' gradients", limit)
            wholly = [finding for finding in dead if finding.weight == 1]
            if len(wholly) < len(units):  # else it is not for want of activity
                found += [finding for finding in dead if finding not in wholly[:-1]]
        return found

    def _judge(self, shares: dict[str, float], what: str, limit: float) -> list[Finding]:
        """Take the shares of zeros at this look; return what was above the limit at each of the last looks."""
        found = []
        for name, share in shares.items():
            last = self.shares.setdefault(f"{name} {what}", [])
            last.append(share)
            del last[:-_LOOKS]
            least = min(last)
            if len(last) == _LOOKS and least >= limit:
                found.append(Finding(name, f"{least:.0%} of {what} are 0 at every look", {"zero_share": least}, least))
        return found


def _unreached(gradients: Mapping[str, Summary], activations: Mapping[str, Summary]) -> dict[str, float]:
    """Return for weights with one number for each unit the share of those whose gradients are 0 in all of the layer.

    A bias's gradient alone may cancel out: in a critic that sees as many real samples as others, for example.
    """
    least: dict[str, float] = {}
    for name, one in gradients.items():
        layer = layer_of(name)
        least[layer] = min(least.get(layer, 1.0), one.zero_share)
    found = {}
    for name, one in gradients.items():
        layer, own = layer_of(name), activations.get(layer_of(name))
        is_for_units = one.shape is not None and len(one.shape) == 1 and one.count >= _FEW
        if is_for_units and not (own is not None and own.zeros == own.count):  # else it is not for want of a ReLU
            found[name] = least[layer]
    return found


def _rectified(activations: dict[str, Summary], examination: Examination) -> dict[str, float]:
    """Return the shares of zeros in what looks like the outputs of ReLU, in the order of the layers."""
    layers = {layer_of(name) for name in examination.weights}
    found, is_fed, is_inside = {}, True, not layers.intersection(activations)
    for name, one in activations.items():
        is_inside = is_inside or name in layers
        is_unit = is_inside and name not in layers and name not in examination.frozen_layers
        if is_fed and is_unit and one.min >= 0 and one.zeros:
            found[name] = one.zero_share
        is_fed = one.zeros < one.count
    return found
