"""Looks at tensors: one file for each array library, all with the same numbers.

Owns which file is for which tensor. What a summary is stands in `core.summary`. A library's file is loaded only when
one of its tensors turns up.
"""

from __future__ import annotations

import sys
from importlib import import_module

from onlooker.core.errors import LookError
from onlooker.core.summary import Summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_FILES = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "numpy": "numpy", "keras": "keras"}
"""By the root module of a tensor's class, the file here that knows it."""


class Look:
    """Looks at tensors as they come by, and fetches all numbers together: one transfer for each device.

    A tensor may be changed, or let go, as soon as it was added.

    Example:
        >>> import numpy
        >>> look = Look()
        >>> look.add("weights", numpy.ones(3))
        >>> look.fetch()["weights"].mean
        1.0
    """

    def __init__(self) -> None:
        self._found: dict[Any, Any] = {}
        self._sent: list[tuple[Any, dict[Any, Any], Any]] = []  # a module, what it has sent of, by key, and how

    def add(self, key: Any, tensor: Any) -> None:
        """Look at a tensor. Nothing is waited for.

        Args:
            key: under which its summary will be found; of two with the same, the last counts.
            tensor: of PyTorch, JAX or NumPy, or a Keras variable.

        Raises:
            LookError: it is no tensor of numbers, or of a kind that cannot be summarised.
        """
        begin = _begins.get(type(tensor)) or find_begin(tensor)
        self._found[key] = begin(key, tensor)

    def add_all(self, tensors: Mapping[Any, Any]) -> dict[Any, Exception]:
        """Look at several tensors, by key: those on the CPU are gone over together, by all threads that may work.

        Returns:
            Of those that cannot be looked at, the error that `add` would raise.
        """
        together = _together("begin_all", tensors)
        return self._take(_in_order(together(tensors), tensors) if together else each("begin", tensors))

    def keep_all(
        self, tensors: Mapping[Any, Any], kept: dict[Any, Any], meanwhile: Mapping[Any, Any] | None = None
    ) -> dict[Any, Exception]:
        """Copy several tensors, to which `add_differences` compares them later.

        Args:
            tensors: by key.
            kept: gets the copies, by the same keys. The memory of earlier ones of the same tensors is used again.
            meanwhile: other tensors, by other keys, to look at as `add_all` does: while numbers are counted, memory can
                be copied.

        Returns:
            Of those that cannot be copied, the error. Nothing is kept of them. And of those that cannot be looked at.
        """
        looked_at = meanwhile or {}
        together = _together("begin_and_keep_all", tensors, looked_at) if looked_at else None
        if together is None:
            found, copies = each("begin", looked_at), each("keep", tensors, kept)
        else:
            found, copies = together(looked_at, tensors, kept)
        errors = _errors(copies)
        kept.update(copies)
        for key in errors:
            del kept[key]
        return {**self._take(_in_order(found, looked_at)), **errors}

    def add_differences(self, tensors: Mapping[Any, Any], kept: Mapping[Any, Any]) -> dict[Any, Exception]:
        """Look at what several tensors are now less what was kept of them. On the CPU that is one pass over both.

        Args:
            tensors: by key, as they are now.
            kept: what `keep_all` has put there, by the same keys.

        Returns:
            Of those that cannot be looked at, or whose shape or type is no longer the same, the error.

        Example:
            >>> import numpy
            >>> look, weights, kept = Look(), {"weight": numpy.ones(3, dtype="float32")}, {}
            >>> look.keep_all(weights, kept)
            {}
            >>> weights["weight"] -= 0.5
            >>> look.add_differences(weights, kept)
            {}
            >>> look.fetch()["weight"].mean
            -0.5
        """
        together = _together("begin_difference_all", tensors)
        if together:
            return self._take(_in_order(together(tensors, kept), tensors))
        return self._take(each("begin_difference", tensors, kept))

    def _take(self, found: dict[Any, Any]) -> dict[Any, Exception]:
        errors = _errors(found)
        for key in errors:
            del found[key]
        self._found.update(found)
        return errors

    def send(self) -> bool:
        """Begin to bring all numbers here that are on a device, once all tensors were added. Nothing is waited for.

        Returns:
            Whether some are on their way, so that it is worth to `fetch` them later. Of what is here already, and of
            libraries that cannot send, there are none.

        Example:
            >>> import numpy
            >>> look = Look()
            >>> look.add("weights", numpy.ones(3))
            >>> look.send()
            False
        """
        for module, waiting in self._on_devices():
            if hasattr(module, "send"):
                self._sent.append((module, waiting, module.send(list(waiting.values()))))
        return bool(self._sent)

    def fetch(self) -> dict[Any, Summary]:
        """Return what the tensors looked like, by key, in the order in which they were added."""
        while self._sent:
            module, waiting, sent = self._sent[-1]
            for (key, one), summary in zip(waiting.items(), module.finish_sent(sent), strict=True):
                if self._found[key] is one:  # nothing was added by this key since
                    self._found[key] = summary
            self._sent.pop()
        for module, waiting in self._on_devices():
            self._found.update(zip(waiting, module.finish(list(waiting.values())), strict=True))
        return self._found

    def _on_devices(self) -> list[tuple[Any, dict[Any, Any]]]:
        """Return what is neither a summary yet nor was sent, by key, and the module that knows it."""
        sent = {id(one) for _, waiting, _ in self._sent for one in waiting.values()}
        by_module: dict[str, dict[Any, Any]] = {}
        for key, found in self._found.items():
            if not isinstance(found, Summary) and id(found) not in sent:
                by_module.setdefault(type(found).__module__, {})[key] = found
        return [(sys.modules[module], waiting) for module, waiting in by_module.items()]


def _together(name: str, *given: Mapping[Any, Any]) -> Callable[..., Any] | None:
    """Return the function for all tensors together, where one file knows them all and has one."""
    kinds = {type(one): one for tensors in given for one in tensors.values()}
    files = {tried(file_of, one) for one in kinds.values()}
    return getattr(files.pop(), name, None) if len(files) == 1 else None


def _in_order(found: dict[Any, Any], tensors: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: found[key] for key in tensors}


def _errors(found: Mapping[Any, Any]) -> dict[Any, Exception]:
    return {key: one for key, one in found.items() if isinstance(one, Exception)}


def summarise(tensor: Any) -> Summary:
    """Return what a tensor looks like.

    Args:
        tensor: of PyTorch, JAX or NumPy, or a Keras variable; a number, or nested lists of numbers.

    Raises:
        LookError: it is no tensor of numbers, or of a kind that cannot be summarised; the message says why.

    Example:
        >>> import numpy
        >>> summarise(numpy.zeros((2, 3)))
        <Summary of 2×3 float64: 0 to 0, mean 0 ± 0, norm 0, 100% zero>
    """
    look = Look()
    try:
        look.add("", tensor)
    except LookError as error:  # its words name the tensor, and this one has no name
        words = str(error).removeprefix("the tensor ")
        raise LookError(f"it {words[3:]}" if words.startswith("'' ") else str(error)) from None
    return look.fetch()[""]


def summarise_all(tensors: Mapping[Any, Any]) -> dict[Any, Summary]:
    """Return what several tensors look like, by name. Of those on one device, all numbers come in one transfer.

    Raises:
        LookError: one is no tensor of numbers, or of a kind that cannot be summarised.
    """
    look = Look()
    for error in look.add_all(tensors).values():
        raise error
    return look.fetch()


def tried(function: Callable[..., Any], *given: Any) -> Any:
    """Return what a function returns, or the error that it raises."""
    try:
        return function(*given)
    except Exception as error:
        return error


def each(what: str, tensors: Mapping[Any, Any], kept: Mapping[Any, Any] | None = None) -> dict[Any, Any]:
    """Call a function for each tensor, of the file that knows it; where there is one for all together, that.

    Args:
        what: the function's name: it gets a key and a tensor. The one for all together has `_all` in its name's end,
            and gets tensors by their keys.
        tensors: by key.
        kept: what was kept of them, as a further argument; None where the function takes none.

    Returns:
        By the same keys, in the same order, what the function returned, or the error that it raised.
    """
    found: dict[Any, Any] = dict.fromkeys(tensors)
    by_file: dict[Any, dict[Any, Any]] = {}
    for key, tensor in tensors.items():
        file = tried(file_of, tensor)
        if isinstance(file, Exception):
            found[key] = file
        else:
            by_file.setdefault(file, {})[key] = tensor
    for file, some in by_file.items():
        if together := getattr(file, f"{what}_all", None):
            found.update(together(some) if kept is None else together(some, kept))
            continue
        one_by_one = getattr(file, what)
        for key, tensor in some.items():
            more = () if kept is None else (kept.get(key),)
            found[key] = tried(one_by_one, key, tensor, *more)
    return found


_begins: dict[type, Callable[[Any, Any], Any]] = {}
_files: dict[type, Any] = {}


def find_begin(tensor: Any) -> Callable[[Any, Any], Any]:
    """Return what looks at tensors of this type, and remember it."""
    begin: Callable[[Any, Any], Any] = file_of(tensor).begin
    _begins[type(tensor)] = begin
    return begin


def file_of(tensor: Any) -> Any:
    """Return the module here that knows tensors of this type, and remember it.

    Raises:
        LookError: there is none.
    """
    kind = type(tensor)
    if kind in _files:
        return _files[kind]
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in _FILES and root in sys.modules:
            file = _FILES[root]
            break
    else:
        if not isinstance(tensor, int | float | complex | list | tuple):
            shown = " ".join(f"{tensor!r:.200}".split())
            raise LookError(f"{shown:.60} is a {kind.__qualname__}; expected a tensor of PyTorch, JAX or NumPy")
        file = "numpy"
    _files[kind] = module = import_module(f"{__name__}.{file}")
    return module
