"""Which weights and layers are looked at: names and patterns, and what a name belongs to.

Owns how names are split into layers. A weight belongs to the layer whose name is in front of its own last part:
`"encoder.0.weight"` to `"encoder.0"`, and in Keras `"encoder/dense/kernel"` to `"encoder/dense"`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class Choice:
    """Names that match one of several shell patterns, themselves or by a layer that they are in.

    Args:
        patterns: one or several, for example `"encoder.*"` or `["head", "*.attention"]`; None for all names.

    Attributes:
        asked: every name that was asked about, for the message when none was chosen.

    Raises:
        ValueError: a pattern is no word, or there are none.

    Example:
        >>> choice = Choice("encoder")
        >>> choice("encoder.0.weight"), choice("head.weight")
        (True, False)
    """

    def __init__(self, patterns: str | Sequence[str] | None = None) -> None:
        listed = [patterns] if isinstance(patterns, str) else patterns
        is_list = isinstance(listed, list | tuple | set | frozenset)
        if listed is not None and not (is_list and listed and all(isinstance(one, str) and one for one in listed)):
            raise ValueError(
                f"layers={patterns!r}; expected a pattern on names such as 'encoder.*', a list of them, or None for all"
            )
        self.patterns = None if listed is None else tuple(listed)
        self._known: dict[str, bool] = {}
        self._idle = list(self.patterns or ())

    @property
    def asked(self) -> list[str]:
        """Every name that was asked about, in order."""
        return list(self._known)

    @property
    def idle(self) -> list[str]:
        """The patterns that no name has matched."""
        return self._idle

    def among(self, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return those whose names are chosen."""
        if self.patterns is None:
            return tensors
        return {name: tensor for name, tensor in tensors.items() if self(name)}

    def __call__(self, name: str) -> bool:
        """Say whether a name is chosen."""
        if self.patterns is None:
            return True
        if name not in self._known:
            names = (name, *_layers_around(name))
            matching = [pattern for pattern in self.patterns if any(fnmatchcase(one, pattern) for one in names)]
            self._known[name] = bool(matching)
            self._idle = [pattern for pattern in self._idle if pattern not in matching]
        return self._known[name]


def layer_of(name: str) -> str:
    """Return the layer that a weight belongs to; of one that is in none, its own name."""
    return name.rpartition(_separator(name))[0] or name


def _layers_around(name: str) -> list[str]:
    separator = _separator(name)
    parts = name.split(separator)
    return [separator.join(parts[:count]) for count in range(1, len(parts))]


def _separator(name: str) -> str:
    return "/" if "/" in name else "."
