"""The parts of what a loader yields: those of tuples, lists and dicts, and of objects that hold arrays as attributes.

Owns the way through them and the names of the parts. What is an array is known by its `shape` and `dtype`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def named_parts(data: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is in a batch and is taken apart no further, each with the way to it, as one would write it.

    Args:
        data: as a loader has yielded it.

    Example:
        >>> list(named_parts(({"x": 1.0}, [2.0])))
        [("[0]['x']", 1.0), ('[1][0]', 2.0)]
    """
    return _walk("", data, set())


def attributes(thing: Any) -> dict[str, Any]:
    """Return the parts of an object by their names; none where it is an array, or holds none.

    A dataclass, and a class of `attrs`, has its fields. Of any other object those attributes count that are arrays, or
    tuples, lists and dicts with arrays in them: what else it holds, such as its data set, is no part of a batch.
    """
    kind = type(thing)
    if _is_array(thing) or isinstance(thing, type):
        return {}
    listed = getattr(kind, "__dataclass_fields__", None) or [one.name for one in getattr(kind, "__attrs_attrs__", ())]
    if listed:
        return {name: getattr(thing, name) for name in listed if hasattr(thing, name)}
    own = getattr(thing, "__dict__", None)
    if not isinstance(own, dict) or callable(thing):
        return {}
    return {name: one for name, one in own.items() if _holds_arrays(one, depth=3)}


def _holds_arrays(thing: Any, depth: int) -> bool:
    if _is_array(thing) or not depth:
        return _is_array(thing)
    inner = list(thing.values()) if isinstance(thing, dict) else thing
    return isinstance(inner, tuple | list) and any(_holds_arrays(part, depth - 1) for part in inner[:8])


def _walk(path: str, data: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if _is_mapping(data):
        for key, part in data.items():
            yield from _walk(f"{path}[{key!r}]", part, seen)
    elif isinstance(data, tuple | list):
        fields = getattr(data, "_fields", None)
        for at, part in enumerate(data):
            yield from _walk(f"{path}.{fields[at]}" if fields else f"{path}[{at}]", part, seen)
    elif (own := attributes(data)) and id(data) not in seen:  # an object may hold itself
        seen.add(id(data))
        for name, part in own.items():
            yield from _walk(f"{path}.{name}", part, seen)
    elif not own:
        yield path, data


def _is_mapping(thing: Any) -> bool:
    is_alike = hasattr(thing, "keys") and hasattr(thing, "items") and not isinstance(thing, type)
    return isinstance(thing, dict) or is_alike


def _is_array(thing: Any) -> bool:
    return hasattr(thing, "shape") and hasattr(thing, "dtype")
