"""Inputs with a mean far from 0, or a spread far from 1."""

from __future__ import annotations

import math

from ..examination import Examination, strength
from ..limits import COUNT, NUMBER_FROM_0, POSITIVE, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.summary import Summary


class InputNotNormalized(Rule):
    """Finds, in the first looks, inputs that are far too large, or far too small.

    Only where the inputs are one array of floats, so no token ids, and where the first layer does not normalize
    them itself: its weights then have one axis.

    Args:
        most: the largest root mean square; that of normalized inputs is 1.
        least: the smallest, of those that are not 0: words of a text, or marks of classes, are 0 nearly everywhere.
        looks: at how many looks from the beginning it is judged.
        patience: after how many looks in a row it speaks.
    """

    name = "input_not_normalized"
    why = "With inputs far from 0 all weights of a unit move up or down together, and initial weights do not fit them."
    advice = (
        "Subtract the training data's mean and divide by its standard deviation, and do the same when predicting; "
        "look whether pixels were divided by 255 not at all, or twice."
    )
    source = "LeCun, Bottou, Orr and Müller 1998, Efficient BackProp"
    reads = ("weights",)
    needs = "one float array from the loader"
    memory = ("looks_so_far",)
    limits = allowed(most=POSITIVE, least=NUMBER_FROM_0, looks=COUNT, patience=COUNT)

    def __init__(self, most: float = 3.0, least: float = 0.02, looks: int = 5, patience: int = 3) -> None:
        self.most, self.least, self.looks, self.patience = most, least, looks, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Begin to count."""
        self.looks_so_far = 0

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Judge by the batch at hand."""
        if self.looks_so_far >= self.looks:
            return []
        inputs = examination.inputs
        if inputs is None or "float" not in inputs.dtype or not inputs.finite:
            return None
        self.looks_so_far += 1
        is_fine = inputs.rms < self.most and strength(inputs) > self.least
        if is_fine or _is_normalized_within(examination):
            return []
        seen = f"the inputs have mean {inputs.mean:.3g} and standard deviation {inputs.std:.3g}"
        evidence = {"mean": inputs.mean, "std": inputs.std, "min": inputs.min, "max": inputs.max}
        return [Finding("inputs", seen, evidence, abs(math.log(inputs.rms or 1e-30)))]


def _is_normalized_within(examination: Examination) -> bool:
    first: Summary | None = next(iter(examination.weights.values()), None)
    return first is not None and first.shape is not None and len(first.shape) == 1
