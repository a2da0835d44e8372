"""Records: what a callback made and is worth keeping. Whoever has `keep(record)` gets them all.

Owns their shape only; keeping them is the sinks' business.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .summary import Summary


class Record:
    """What all records have.

    Attributes:
        epoch: index of the epoch in which it was made, or None outside one.
        step: how many steps the run had made.
    """

    def __init__(self, *, epoch: int | None = None, step: int | None = None) -> None:
        self.epoch, self.step = epoch, step

    def __repr__(self) -> str:
        content = self._content()
        return f"{type(self).__name__}({content}{', ' if content else ''}epoch={self.epoch}, step={self.step})"

    def _content(self) -> str:
        """Return what is in it, in a few words for one line; "" for nothing worth saying."""
        return ""


MOST_SHOWN = 6
"""Of the names in a record, how many its `repr` shows: it is to stay in one line."""


class Scalars(Record):
    """Numbers by name.

    Attributes:
        values: the numbers.
    """

    def __init__(self, values: Mapping[str, float], *, epoch: int | None = None, step: int | None = None) -> None:
        super().__init__(epoch=epoch, step=step)
        self.values = dict(values)

    def _content(self) -> str:
        shown = [f"{name!r}: {_number(value)}" for name, value in list(self.values.items())[:MOST_SHOWN]]
        return f"{{{', '.join(shown)}{_more(self.values)}}}"


class Picture(Record):
    """A picture.

    Attributes:
        name: what it shows, for example `"digits"`.
        pixels: uint8 array of shape (height, width) or (height, width, 3).
        path: the file that it was also written to, or None.
    """

    def __init__(
        self, name: str, pixels: Any, *, path: str | None = None, epoch: int | None = None, step: int | None = None
    ) -> None:
        super().__init__(epoch=epoch, step=step)
        self.name, self.pixels, self.path = name, pixels, path

    def _content(self) -> str:
        shape = getattr(self.pixels, "shape", None)
        size = f", {'×'.join(map(str, shape))} pixels" if shape else ""
        return f"{self.name!r}{size}" + (f", path={self.path!r}" if self.path is not None else "")


class Summaries(Record):
    """What the tensors of a model look like at one step.

    Attributes:
        what: what they are: `"weights"`, `"gradients"`, `"updates"`, `"activations"` or `"activation_gradients"`.
        summaries: by the name of the weight or of the module.
    """

    def __init__(
        self, what: str, summaries: Mapping[str, Summary], *, epoch: int | None = None, step: int | None = None
    ) -> None:
        super().__init__(epoch=epoch, step=step)
        self.what, self.summaries = what, dict(summaries)

    def _content(self) -> str:
        shown = ", ".join(map(repr, list(self.summaries)[:MOST_SHOWN]))
        return f"{self.what} of {shown or 'nothing'}{_more(self.summaries)}"


class Alert(Record):
    """Something in a training that a person should look at.

    Attributes:
        rule: the name of the rule that has seen it, for example `"vanishing_gradients"`.
        where: the layer, weight or value that it is about; `""` where it is about the whole training.
        seen: what was seen, in one sentence.
        evidence: the numbers that the rule went by, by name.
        why: why it matters, in one or two sentences.
        advice: what people usually do about it.
    """

    def __init__(
        self,
        rule: str,
        seen: str,
        *,
        where: str = "",
        evidence: Mapping[str, float] | None = None,
        why: str = "",
        advice: str = "",
        epoch: int | None = None,
        step: int | None = None,
    ) -> None:
        super().__init__(epoch=epoch, step=step)
        self.rule, self.where, self.seen = rule, where, seen
        self.evidence, self.why, self.advice = dict(evidence or {}), why, advice

    def _content(self) -> str:
        return f"{self.rule}{f' in {self.where}' if self.where else ''}: {self.seen!r}"

    def __str__(self) -> str:
        where = f" in {self.where}" if self.where else ""
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in self.evidence.items())
        return f"step {self.step}, {self.rule}{where}: {self.seen}" + (f" ({numbers})" if numbers else "")


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _more(names: Mapping[str, Any]) -> str:
    return f", and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
