"""`Attributes`: the attributes of an object one by one, where its `__dict__` is better left alone.

In CPython 3.11 to ask for the `__dict__` of an object makes each look at its attributes slower from then on. Boosters
are looked at often, by their trainers, and between two rounds of work with other memory.
"""

from __future__ import annotations

from typing import Any


class Attributes(dict[str, Any]):
    """Stands for an object's `__dict__` where one attribute is asked for, or set.

    Args:
        of: the object.
    """

    def __init__(self, of: Any) -> None:
        super().__init__()
        self._of = of

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or the default where there is none."""
        return getattr(self._of, name, default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and hasattr(self._of, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._of, name, value)
