"""`Position`: what of a `Run` is moved, or asked for, in each batch; apart so that it lies together in memory.

Owns the slots and no more: what they mean is said at `Run`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .origin import Replay


class Position:
    """The base of `Run`. In slots, as those attributes are found without a look into a dict: ADR 0027."""

    __slots__ = (
        "batch",
        "data",
        "is_stop_requested",
        "outputs",
        "replay",
        "stage",
        "step",
        "step_at_batch_begin",
    )

    batch: int | None
    data: Any
    is_stop_requested: bool
    outputs: Any
    replay: Replay | None
    stage: str | None
    step: int
    step_at_batch_begin: int
