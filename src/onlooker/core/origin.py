"""`Origin`: where in a training step numbers stopped being finite; `Kept`: a batch kept to be run once more.

Owns their shape only. A view finds an origin, a host runs batches once more, and a callback makes words of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    from .logs import Logs
    from .summary import Summary

    class Snapshot(Protocol):
        """What a view keeps of a training's state, to go back to it."""

        @property
        def size_bytes(self) -> int:
            """How much memory it holds."""

        @property
        def is_whole(self) -> bool:
            """Whether nothing was missing, as the weights are that a module gets with its first batch."""

        def take(self, gradients: bool = False) -> None:
            """Keep the training as it stands."""

        def restore(self) -> None:
            """Put the training back to what was kept."""

    class Trace(Protocol):
        """What a view watches a step with, operation by operation; a context around it."""

        origin: Origin | None
        error: Exception | None
        """What went wrong in the watching itself."""

        def __enter__(self) -> Trace: ...
        def __exit__(self, *error: object) -> None: ...

    class Replay(Protocol):
        """What a host is asked to run once more, at the end of a train batch, with the user's own step.

        The host calls `next_batch`, runs its step on what comes, as silently as a stage that a hook begins, and calls
        `end_batch` with what was logged; until None comes. It calls `close` at the end, however that came.
        """

        def next_batch(self) -> Kept | None:
            """Return the batch to run next, or None where that is all."""

        def end_batch(self, logs: Logs, has_stepped: bool) -> None:
            """Hear what the batch has logged, and whether an optimizer stepped."""

        def close(self) -> None:
            """Let go of what was set up."""


class Kept:
    """A train batch as it was, to be run once more.

    Attributes:
        epoch: its epoch.
        batch: its index in it.
        step: the step of the run when it began.
        data: a copy of what the loader yielded.
        moment: what the view needs to begin it in the same way: random states and learning rates.
        logs: its own values, as far as they were known without waiting for a device; None before its end.
        has_stepped: whether an optimizer stepped in it.
    """

    __slots__ = ("batch", "data", "epoch", "has_stepped", "logs", "moment", "step")

    def __init__(self, epoch: int, batch: int, step: int, data: Any, moment: Any) -> None:
        self.epoch, self.batch, self.step, self.data, self.moment = epoch, batch, step, data, moment
        self.logs: Mapping[str, float] | None = None
        self.has_stepped = False

    def __repr__(self) -> str:
        stepped = "an optimizer stepped" if self.has_stepped else "no optimizer stepped"
        return f"<Kept batch {self.batch} of epoch {self.epoch}, begun at step {self.step}: {stepped}>"


class Origin:
    """Where numbers stopped being finite: the first operation that put out NaN or infinities, with none put in.

    Attributes:
        phase: `"data"`, `"weights"` (they were not finite when the batch began), `"forward"`, `"backward"`,
            `"optimizer"`, or `"unknown"`.
        module: the module that it happened in, as in `named_modules()`; `""` where in none, as in a loss function.
        operation: such as `"log"`, and in the backward pass of which operation it is the derivative; `""` where none
            could be seen.
        parameter: the weight that it is about, in the phases `"weights"` and `"optimizer"`; in the first also a tensor
            of an optimizer's state, such as `"exp_avg_sq of 2.weight"`, or a buffer; in the phase `"forward"` a weight
            that the operation has written to, or a buffer that its module has lost; else `""`.
        line: the line of the user's code that led to it, such as `"model.py:12, in forward"`.
        inputs: of the operation, by name.
        outputs: likewise.
        module_inputs: what was given to the module, in the forward pass.
        parameters: the module's own weights; for an optimizer the weight, its gradient and the optimizer's state.
        numbers: more that there is to know, such as the learning rate.
        why: what usually makes such an operation do so, in words.
        became: where infinities became NaN, in words, if that was elsewhere; else `""`.
    """

    def __init__(self, phase: str, module: str = "", operation: str = "", parameter: str = "", line: str = "") -> None:
        self.phase, self.module, self.operation = phase, module, operation
        self.parameter, self.line = parameter, line
        self.inputs: dict[str, Summary] = {}
        self.outputs: dict[str, Summary] = {}
        self.module_inputs: dict[str, Summary] = {}
        self.parameters: dict[str, Summary] = {}
        self.numbers: dict[str, float] = {}
        self.why = self.became = ""

    def __repr__(self) -> str:
        said = {"module": self.module, "operation": self.operation, "parameter": self.parameter, "line": self.line}
        words = "".join(f", {name}={value!r}" for name, value in said.items() if value)
        return f"Origin({self.phase}{words})"
