"""Looks whether the batch at hand came with NaN: the one origin that can be told without running anything once more.

Owns the way through tuples, lists and dicts.
"""

from __future__ import annotations

from onlooker.core.errors import AbsentError, LookError
from onlooker.core.origin import Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from onlooker.core.run import Run


def origin_in_batch(run: Run) -> Origin | None:
    """Return an origin in the data of the batch at hand, or None where they are finite, or cannot be looked at."""
    try:
        look = run.look()
    except AbsentError:
        return None
    for name, part in [*_parts("the inputs", run.inputs), *_parts("the targets", run.targets)]:
        try:
            look.add(name, part)
        except LookError:
            continue
    sick = {name: summary for name, summary in look.fetch().items() if summary.nan or summary.inf}
    if not sick:
        return None
    origin = Origin("data")
    origin.inputs = sick
    return origin


def _parts(name: str, data: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        for key, part in data.items():
            yield from _parts(f"{name}[{key!r}]", part)
    elif isinstance(data, tuple | list):
        for number, part in enumerate(data):
            yield from _parts(f"{name}[{number}]", part)
    elif data is not None:
        yield name, data
