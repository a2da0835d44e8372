"""Batches in which all labels are the same, more often than shuffling would make them."""

from __future__ import annotations

import math

from ..examination import Examination
from ..limits import COUNT, Limit, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from onlooker.core.summary import Summary

_TOGETHER = 4  # samples that may belong together though all is shuffled: views of one picture, lines of one patient


class OneClassBatches(Rule):
    """Finds labels that are of one class within each batch, and of others in other batches.

    It goes by how likely that is: a batch of n shuffled labels is of one class with a probability of the sum over the
    classes of their shares to the power of n. The shares are those of all batches looked at so far, so that data with a
    rare class are left alone, and data of a single class too. To be on the safe side, n is a quarter of the batch.

    Labels are one array: whole numbers, floats that are all 0 and 1 or -1 and 1, or rows with a single 1 (one-hot).
    Other floats are no classes; where there was a batch of them, the rule is silent from then on.

    Args:
        chance: how unlikely so many batches of one class must be.
        patience: after how many looks in a row it speaks.
    """

    name = "one_class_batches"
    why = "Each batch teaches that everything is of its one class, and undoes what the batch before has taught."
    advice = "Shuffle: the data are probably sorted by class."
    source = "Bengio 2012, Practical Recommendations (shuffling)"
    memory = ("pure", "mixed", "most", "least", "batches", "pure_batches", "is_continuous")
    limits = allowed(chance=Limit(0, 1, open=True), patience=COUNT)
    needs = "one array of labels from the loader"

    def __init__(self, chance: float = 1e-6, patience: int = 3) -> None:
        self.chance, self.patience = chance, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Begin to count."""
        self.pure: dict[str, dict[str, float]] = {}  # how many batches were of a class, by its range of classes
        self.mixed: dict[str, float] = {}  # and of the mixed batches, which part is in a range
        self.most = self.least = 0  # labels in a batch
        self.batches = self.pure_batches = 0
        self.is_continuous = False

    def examine(self, examination: Examination) -> list[Finding] | None:
        """Count the classes of the batch at hand; compare how many were of one class with what chance would make."""
        labels = None if self.is_continuous else self._labels(examination)
        if labels is None or labels.shape is None:
            return None
        size = labels.shape[0] if labels.shape else 1
        if 2 * size < self.most:  # the last of an epoch
            return None
        self.most, self.least = max(self.most, size), min(self.least or size, size)
        self.batches += 1
        groups = _groups(labels)
        if labels.min != labels.max:
            for group, count in groups.items():
                self.mixed[group] = self.mixed.get(group, 0) + count / labels.count
            return []
        self.pure_batches += 1
        classes = self.pure.setdefault(next(iter(groups)), {})
        classes[f"{labels.min:g}"] = classes.get(f"{labels.min:g}", 0) + 1
        expected, share = self._expected(), self.pure_batches / self.batches
        if share <= expected or self.batches * _distance(share, expected) < -math.log(self.chance):
            return []
        seen = (
            f"all {size} labels are of class {labels.min:g}; so far {self.pure_batches} of {self.batches} batches were "
            f"of one class, though not of the same"
        )
        return [Finding("targets", seen, {"one_class_share": share, "expected_share": expected})]

    def _expected(self) -> float:
        """Return how likely a batch is of one class at most.

        Of a range of classes that mixed batches have, all is taken to be of its commonest class.
        """
        power, expected = max(1, self.least // _TOGETHER), 0.0
        for group in {**self.pure, **self.mixed}:
            counts = sorted(self.pure.get(group, {}).values()) or [0.0]
            counts[-1] += self.mixed.get(group, 0)
            expected += sum((count / self.batches) ** power for count in counts)
        return expected

    def _labels(self, examination: Examination) -> Summary | None:
        """Return what the classes of the batch look like, or None where its targets are none."""
        targets = examination.targets
        if targets is None or not targets.finite or targets.finite < targets.count:
            return None
        if _is_one_hot(targets):
            return examination.summary("classes", _positions(examination.run.targets))
        if "int" in targets.dtype or "bool" in targets.dtype:
            return targets
        is_binary = targets.min >= 0 and targets.squares == targets.total == targets.count - targets.zeros
        is_signed = targets.min >= -1 and targets.squares == targets.count
        if targets.max <= 1 and (is_binary or is_signed):
            return targets
        self.is_continuous = True
        return None


def _is_one_hot(targets: Summary) -> bool:
    """Say whether an array has rows that each have a single 1."""
    shape = targets.shape
    if shape is None or len(shape) != 2 or shape[1] < 2:
        return False
    return targets.min == 0 and targets.max == targets.squares / shape[0] == targets.total / shape[0] == 1


def _positions(rows: Any) -> Any:
    """Return in which column each row is largest; None where the array cannot tell."""
    find = getattr(rows, "argmax", None)
    return find(1) if callable(find) else None


def _groups(labels: Summary) -> dict[str, float]:
    """Return how many labels are in each range of classes: the summary's bins, and 0."""
    found = {f"bin {place}": float(count) for place, count in enumerate(labels.bins) if count}
    return {**found, "0": float(labels.zeros)} if labels.zeros else found


def _distance(share: float, expected: float) -> float:
    """Return how far a share is from an expected one (Kullback-Leibler, in nats): the chance falls by it each time."""
    rest = (1 - share) * math.log((1 - share) / (1 - expected)) if share < 1 else 0.0
    return share * math.log(share / expected) + rest
