"""What a boosting run leaves on disk: the model as its trainer writes it, and a file of plain JSON beside it.

Owns the name and the form of the second file: where the run stood and what its callbacks remember. Both appear whole or
not at all. How a model is written and read is for the view of its family.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from onlooker.core.atomic_file import AtomicFile
from onlooker.core.errors import DataError

SUFFIX = ".run.json"
"""What the name of the second file has more than that of the model."""

_ARRAY = "__numpy_array__"


def save(path: str, write_model: Callable[[str], object], extra: dict[str, Any]) -> None:
    """Write both files.

    Args:
        path: of the model.
        write_model: writes the model to the path that it is given, which has the same suffix.
        extra: position and states.

    Raises:
        DataError: a state holds what JSON cannot; then nothing is written.
    """
    text = json.dumps(_plain(extra, "the state"))
    with AtomicFile(path) as beside:
        write_model(beside)
    with AtomicFile(path + SUFFIX) as beside, open(beside, "w", encoding="utf-8") as file:
        file.write(text)


def load_extra(path: str) -> dict[str, Any]:
    """Return the `extra` that was saved with the model at a path.

    Raises:
        DataError: there is none beside it, or it is not one of ours.
    """
    try:
        with open(path + SUFFIX, encoding="utf-8") as file:
            extra = json.load(file, object_hook=_arrays)
    except FileNotFoundError:
        raise DataError(f"{path + SUFFIX} is not there: run.save(path) writes it beside the model") from None
    except ValueError as error:
        raise DataError(f"{path + SUFFIX} is no file of run.save: {error}") from None
    if not isinstance(extra, dict) or not {"next_epoch", "step", "callbacks"} <= set(extra):
        raise DataError(f"{path + SUFFIX} is no file of run.save: it says not where the run stood")
    return extra


def _plain(value: Any, where: str) -> Any:
    """Return a value as JSON has it; arrays of NumPy as lists that say what they were, tuples as lists."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict) and all(type(name) is str for name in value):
        return {name: _plain(part, f"{where}[{name!r}]") for name, part in value.items()}
    if type(value) in (list, tuple):
        return [_plain(part, f"{where}[{number}]") for number, part in enumerate(value)]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in "biuf":
        return value.item()
    if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind in "biuf":
        return {_ARRAY: value.tolist(), "dtype": str(value.dtype)}
    what = "has names that are no words" if isinstance(value, dict) else f"is of type {type(value).__qualname__}"
    raise DataError(
        f"{where} {what}, which a file of JSON cannot hold; let state_dict return numbers, words, arrays of numbers, "
        f"and lists and dicts of these"
    )


def _arrays(value: dict[str, Any]) -> Any:
    if set(value) == {_ARRAY, "dtype"}:
        import numpy

        return numpy.array(value[_ARRAY], dtype=value["dtype"])
    return value
