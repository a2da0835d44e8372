"""Looks whether a batch came with NaN: the one origin that can be told without running anything once more.

Owns the words for the places in a batch.
"""

from __future__ import annotations

from onlooker.core.errors import AbsentError
from onlooker.core.origin import Origin
from onlooker.core.parts import attributes, named_parts
from onlooker.core.view import looked_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from onlooker.core.run import Run


def origin_in(run: Run, data: Any) -> Origin | None:
    """Return an origin in the data of a batch, or None where they are finite, or cannot be looked at.

    Args:
        run: the training.
        data: as the loader yielded them.
    """
    try:
        look = run.look()
    except AbsentError:
        return None
    found = looked_at(look, dict(_named(data)))
    sick = {name: summary for name, summary in found.items() if summary.nan or summary.inf}
    if not sick:
        return None
    origin = Origin("data")
    origin.inputs = sick
    return origin


def size_of(data: Any) -> int:
    """Return how many bytes the arrays in the data of a batch take."""
    sizes = [getattr(part, "nbytes", 0) for _, part in _named(data)]
    return sum(size for size in sizes if isinstance(size, int))


def _named(data: Any) -> Iterator[tuple[str, Any]]:
    """Yield all that is in a batch, each by its place in words."""
    if isinstance(data, tuple | list):
        for number, part in enumerate(data):
            name = ("the inputs", "the targets")[number] if number < 2 else f"part {number} of the batch"
            yield from ((f"{name}{path}", inner) for path, inner in named_parts(part))
        return
    name = "batch" if attributes(data) else "the inputs"
    yield from ((f"{name}{path}", inner) for path, inner in named_parts(data))
