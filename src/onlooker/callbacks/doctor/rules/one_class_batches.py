"""Batches in which all labels are the same."""

from __future__ import annotations

from ..examination import Examination
from ..rule import Finding, Rule


class OneClassBatches(Rule):
    """Finds batches whose labels are all of one class, several looks in a row.

    Only where the targets are one array of whole numbers, and of at least eight. Data in which one class is rare has
    such batches too, with mixed ones in between: it is left alone.

    Args:
        mixed: at most which share of the batches so far had more than one class.
        patience: after how many looks in a row it speaks.
    """

    name = "one_class_batches"
    why = "Each batch teaches that everything is of its one class, and undoes what the batch before has taught."
    advice = "Shuffle: the data are probably sorted by class. If they are all of one class, look at how they are read."
    source = "Bengio 2012, Practical Recommendations (shuffling)"
    memory = ("batches", "mixed_batches")

    def __init__(self, mixed: float = 0.2, patience: int = 5) -> None:
        self.mixed, self.patience = mixed, patience
        self.begin()

    def begin(self) -> None:
        """Begin to count."""
        self.batches = self.mixed_batches = 0

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Judge by the batch at hand."""
        targets = examination.targets
        if targets is None or targets.count < 8 or "int" not in targets.dtype:
            return None
        self.batches += 1
        if targets.min != targets.max:
            self.mixed_batches += 1
            return []
        if self.mixed_batches > self.mixed * self.batches:
            return []
        seen = (
            f"all {targets.count} labels of the batch are {targets.min:g}, and so were the batches before of one class"
        )
        return [Finding("targets", seen, {"class": targets.min, "labels": targets.count, "batches": self.batches})]
