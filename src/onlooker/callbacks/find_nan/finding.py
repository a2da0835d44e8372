"""`Finding`: what was found of the numbers that stopped being finite, and its words.

Owns the message. Where it began is an `Origin`, which a view has found.
"""

from __future__ import annotations

from onlooker.core.record import Alert

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from onlooker.core.origin import Kept, Origin
    from onlooker.core.summary import Summary

_WHY = "from the first NaN on nothing is learned, and whatever it reaches is lost"
_ADVICE = "run the batch by hand: finding.data holds it, and the model is as it was right before it"
_PLACES = {
    "data": "in the data",
    "weights": "in the weights that the batch began with",
    "forward": "in the forward pass",
    "backward": "in the backward pass",
    "optimizer": "in the optimizer's step",
    "unknown": "somewhere",
}


class Finding:
    """Where numbers stopped being finite, as far as it was found.

    Attributes:
        phase: `"data"`, `"weights"`, `"forward"`, `"backward"`, `"optimizer"`, or `"unknown"`.
        module: the module; `""` where in none, as in a loss function.
        operation: the operation, such as `"log"`; `""` where none could be seen.
        parameter: the weight or the buffer, where it is about one; in phase `"weights"` also a tensor of an optimizer's
            state, such as `"exp_avg_sq of 2.weight"`.
        line: the line of your own code that led to it.
        why: what usually makes such an operation do so.
        origin: all that is known of the operation, with the ranges of its inputs and outputs; None in phase
            `"unknown"`.
        epoch: of the batch in which it began; None where that is not known.
        batch: its index in the epoch; likewise.
        step: the step of the run when that batch began; likewise.
        data: a copy of that batch, as the loader yielded it, or the batch itself where nothing is run once more; None
            where it was not kept.
        noticed: what was noticed, and when: for example `"loss is nan"`.
        noticed_step: the step of the run at which it was noticed.
        is_exact: whether the batches before it came out bit by bit the same when they were run once more; None where
            nothing was run once more, or there was nothing to compare.
        is_restored: whether the training was put back to right before that batch.
        notes: what else a person has to know.
    """

    def __init__(self, origin: Origin | None, kept: Kept | None, noticed: str, noticed_step: int) -> None:
        self.origin = origin
        self.phase = "unknown" if origin is None else origin.phase
        self.module = "" if origin is None else origin.module
        self.operation = "" if origin is None else origin.operation
        self.parameter = "" if origin is None else origin.parameter
        self.line = "" if origin is None else origin.line
        self.why = "" if origin is None else origin.why
        self.epoch: int | None = None if kept is None else kept.epoch
        self.batch: int | None = None if kept is None else kept.batch
        self.step: int | None = None if kept is None else kept.step
        self.data: Any = None if kept is None else kept.data
        self.noticed, self.noticed_step = noticed, noticed_step
        self.is_exact: bool | None = None
        self.is_restored = False
        self.notes: list[str] = []

    def __repr__(self) -> str:
        return f"<Finding: {self.headline()}>"

    @property
    def where(self) -> str:
        """The weight or the module that it is about, else the line of code."""
        return self.parameter or self.module or self.line

    def headline(self) -> str:
        """Say it in one line."""
        if self.origin is None:
            return f"{self.noticed}; where it began was not found"
        place = _PLACES[self.phase]
        if self.phase == "data":
            return f"NaN or infinities came with the data of batch {self.batch}, epoch {self.epoch}"
        if self.phase == "weights":
            return f"{self.parameter!r} was not finite when batch {self.batch} of epoch {self.epoch} began"
        what = f"{self.parameter!r} stopped being finite" if self.parameter else "numbers stopped being finite"
        module = f" of module {self.module!r}" if self.module else ""
        operation = f", in the operation {self.operation}" if self.operation else ""
        if self.parameter and self.phase == "forward" and not self.module:  # perhaps in no forward pass at all
            place = ""
        return f"{what}{f' {place}' if place else ''}{module}{operation}, at batch {self.batch} of epoch {self.epoch}"

    def __str__(self) -> str:
        lines = [self.headline()]
        origin = self.origin
        if origin is not None:
            if origin.line:
                lines.append(f"  at {origin.line}")
            if origin.why:
                lines.append(f"  why: {origin.why}")
            if origin.became:
                lines.append(f"  infinities became NaN in {origin.became}")
            lines += _ranges("", origin.inputs)
            lines += _ranges("", origin.outputs)
            lines += _ranges("module's ", origin.module_inputs)
            lines += _ranges("" if origin.phase in ("optimizer", "weights") else "weight ", origin.parameters)
            lines += [f"  {name.replace('_', ' ')}: {value:g}" for name, value in origin.numbers.items()]
        if origin is not None:
            if "largest_weight" in origin.numbers:
                lines.append("  weights as large as these come from large steps: the learning rate may be far too high")
            lines.append(f"  noticed at step {self.noticed_step}: {self.noticed}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def alert(self) -> Alert:
        """Return it as a record."""
        return Alert(
            "not_finite",
            str(self),
            where=self.where,
            evidence=self.evidence(),
            why=_WHY,
            advice=_ADVICE if self.is_restored and self.data is not None else "",
            epoch=self.epoch,
            step=self.step,
        )

    def evidence(self) -> dict[str, float]:
        """Return the numbers that it goes by, by name."""
        if self.origin is None:
            return {}
        found = dict(self.origin.numbers)
        for name, summary in {**self.origin.inputs, **self.origin.parameters}.items():
            found[f"{name} min"], found[f"{name} max"] = summary.min, summary.max
        return found


def _ranges(prefix: str, summaries: Mapping[str, Summary]) -> list[str]:
    return [f"  {prefix}{name}: {said(summary)}" for name, summary in summaries.items()]


def said(summary: Summary) -> str:
    """Say the range of a tensor, and what of it is not finite.

    Example:
        >>> import numpy, onlooker as ol
        >>> said(ol.summary(numpy.array([0.0, 2.0, numpy.nan], dtype="float32")))
        'from 0 to 2, 1 NaN, 1 zero of 3 (3 float32)'
    """
    shape = "×".join(map(str, summary.shape)) if summary.shape else "one number"
    parts = [f"from {summary.min:.4g} to {summary.max:.4g}"] if summary.finite else ["nothing finite"]
    if summary.nan:
        parts.append(f"{summary.nan} NaN")
    if summary.inf:
        parts.append(f"{summary.inf} infinite")
    if summary.zeros:
        parts.append(f"{summary.zeros} zero")
    total = f" of {summary.count}" if len(parts) > 1 else ""
    return f"{', '.join(parts)}{total} ({shape} {summary.dtype})"
