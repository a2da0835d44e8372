"""Initial weights with which the signal grows or dies from layer to layer."""

from __future__ import annotations

from ..examination import Examination
from ..limits import COUNT, TIMES, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.summary import Summary


class BadInitialVariance(Rule):
    """Finds, at the first look, activations or their gradients that grow or shrink from layer to layer.

    What is compared is the median root mean square of a model's last quarter of layers with that of its first
    quarter. Layers whose weights are frozen do not count: they were trained elsewhere.

    Args:
        ratio: how many times larger or smaller it may become.
        looks: at how many looks from the beginning it is judged; later the weights are no longer the initial ones.
        patience: after how many looks in a row it speaks.
    """

    name = "bad_initial_variance"
    why = "A signal that grows or dies on its way through the layers carries nothing from the inputs to the loss."
    advice = (
        "Use He initialization (variance 2 / inputs) before ReLU, Glorot before tanh and sigmoid; put normalization "
        "layers or residual connections in between."
    )
    source = "Glorot and Bengio 2010; He, Zhang, Ren and Sun 2015; Mishkin and Matas 2016"
    reads = ("activations",)
    memory = ("looks_so_far",)
    explained_by = ("not_finite",)
    limits = allowed(ratio=TIMES, looks=COUNT, patience=COUNT)

    def __init__(self, ratio: float = 1e3, looks: int = 1, patience: int = 1) -> None:
        self.ratio, self.looks, self.patience = ratio, looks, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Begin to count."""
        self.looks_so_far = 0

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Compare the last layers with the first."""
        if not examination.activations and not examination.activation_gradients:
            return None
        self.looks_so_far += 1
        if self.looks_so_far > self.looks:
            return []
        found = []
        for what, way in (("activations", 1), ("activation_gradients", -1)):
            for summaries in examination.by_model(what).values():
                own = {name: one for name, one in summaries.items() if name not in examination.frozen_layers}
                finding = self._compare(what.replace("_", " "), own, way)
                found += [finding] if finding else []
        return found

    def _compare(self, what: str, summaries: dict[str, Summary], way: int) -> Finding | None:
        sizes = [(name, one.rms) for name, one in list(summaries.items())[::way] if one.squares > 0]
        quarter = len(sizes) // 4
        if quarter < 2:  # too few layers to tell
            return None
        first, last = _median(sizes[:quarter]), _median(sizes[-quarter:])
        ratio = last / first
        if 1 / self.ratio < ratio < self.ratio:
            return None
        limit = ratio**0.5  # half of the way, in orders of magnitude
        where = next(name for name, rms in sizes if (rms > first * limit) == (ratio > 1))
        change = f"grow {ratio:.0e} times" if ratio > 1 else f"shrink to {ratio:.0e}"
        return Finding(where, f"the {what} {change} through the layers", {"first_rms": first, "last_rms": last}, 1.0)


def _median(sizes: list[tuple[str, float]]) -> float:
    return sorted(rms for _, rms in sizes)[len(sizes) // 2]
