"""Whether an iteration that stands in the way of another is still gone through by a `for`, or merely kept.

When a `for` is left, nothing holds its generator any more, and CPython closes it. So where one is not closed, either
its `for` goes on, and to end it would be a mistake to be told at once; or somebody has kept it in a variable, a list,
an object. Owns how the two are told apart, as far as they can be. It costs a look at all objects of the program, so it
is asked only when something is in the way.
"""

from __future__ import annotations

import gc
import sys
from types import FrameType, GeneratorType
from typing import TYPE_CHECKING, Any

from onlooker.core.errors import LoopError

if TYPE_CHECKING:
    from .stage import Iteration

MOST_HOLDERS = 4
"""How far out the iterators are followed that go through one another, such as `enumerate` or a progress bar."""


def check_is_kept(iteration: Iteration, what: str) -> None:
    """Refuse to end an iteration for another that it cannot hold, where its `for` is still going on.

    Args:
        iteration: which is in the way.
        what: which call would end it, for the message.

    Raises:
        LoopError: the two were nested.
    """
    if is_in_for(iteration):
        raise LoopError(
            f"{what} cannot be nested here: it would end the {iteration.what} around it, which is still under way. "
            f"Nest only test and predict within a train batch; two loaders side by side are one: "
            f"loop.train(zip(first, second))"
        )


def is_in_for(iteration: Iteration) -> bool:
    """Say whether a `for` is sure to go on with an iteration: nothing that lasts holds its generator."""
    held: Any = next((other for other in gc.get_referrers(iteration) if isinstance(other, GeneratorType)), None)
    if held is None:
        return False
    for _ in range(MOST_HOLDERS):
        if _is_in_a_variable(held):
            return False
        holders = gc.get_referrers(held)
        if not holders:
            return True  # only the stack of a `for` is left: that holds what no collector sees
        if len(holders) > 1:
            return False
        held, inner = holders.pop(), held  # the list must not hold it itself
        if not (isinstance(held, tuple) or hasattr(type(held), "__next__")):  # `zip` has a tuple of iterators
            return False
        if isinstance(held, GeneratorType) and _has(held.gi_frame, inner):
            return False
        del inner
    return False


def _is_in_a_variable(held: object) -> bool:
    """Say whether a function that is being called has an object in a variable."""
    frame: FrameType | None = sys._getframe(3)  # that of who asks
    while frame is not None and not _has(frame, held):
        frame = frame.f_back
    return frame is not None


def _has(frame: FrameType | None, held: object) -> bool:
    return frame is not None and any(value is held for value in frame.f_locals.values())
