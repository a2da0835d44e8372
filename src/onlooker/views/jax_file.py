"""The file that `run.save` writes of a JAX state: NumPy's `.npz`, with arrays under numbers and one text in JSON.

Owns the format. Reading it runs no code. The leaves are written without the tree around them: that is code, and who
resumes has it.
"""

from __future__ import annotations

import json
import zipfile
from typing import Any

import jax
import numpy

from onlooker.core.atomic_file import AtomicFile
from onlooker.core.errors import DataError

from .jax_leaves import is_saved, name_of, packed, replaced

_FORMAT = "onlooker jax 1"
_TAG = "__onlooker__"
_PLAIN = (type(None), bool, int, float, str)


def write(path: str, state: Any, random: dict[str, Any], extra: dict[str, Any]) -> None:
    """Write a state, random states and what else there is to a file, atomically.

    Raises:
        DataError: there is something in `extra` that such a file cannot hold.
    """
    found = [(name_of(key), leaf) for key, leaf in jax.tree_util.tree_leaves_with_path(state) if is_saved(leaf)]
    arrays, kinds = packed([leaf for _, leaf in found])
    names = [name for name, _ in found]
    packed_extra = _pack(extra, "the checkpoint", arrays)
    index = {"format": _FORMAT, "names": names, "kinds": kinds, "random": random, "extra": packed_extra}
    text = numpy.frombuffer(json.dumps(index).encode(), dtype=numpy.uint8)
    with AtomicFile(path) as beside, open(beside, "wb") as file:
        members: dict[str, Any] = {str(number): array for number, array in enumerate(arrays)}
        numpy.savez(file, index=text, **members)


def read(path: str, state: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return a state like the given one with the values of a file, the random states, and `extra`.

    Raises:
        DataError: it is no such file, or was written of a state with another structure.
    """
    index, arrays = _read(path)
    leaves, structure = jax.tree_util.tree_flatten_with_path(state)
    names = [name_of(key) for key, leaf in leaves if is_saved(leaf)]
    if names != index["names"]:
        raise DataError(f"{path} holds another state than this one: {_difference(index['names'], names)}")
    values = iter(zip(arrays, index["kinds"], names, strict=False))  # behind them come the arrays of `extra`
    new = [replaced(leaf, *next(values)) if is_saved(leaf) else leaf for _, leaf in leaves]
    return jax.tree_util.tree_unflatten(structure, new), index["random"], _unpack(index["extra"], arrays)


def _read(path: str) -> tuple[dict[str, Any], list[numpy.ndarray[Any, Any]]]:
    try:
        with numpy.load(path, allow_pickle=False) as file:
            index = json.loads(file["index"].tobytes())
            arrays = [file[str(number)] for number in range(len(file.files) - 1)]
        is_ours = index["format"] == _FORMAT
    except OSError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a file of run.save on a JAX state: {error!r:.200}") from error
    if not is_ours:
        raise DataError(f"{path} was written by another version of Onlooker: {index['format']!r:.40}")
    return index, arrays


def _difference(saved: list[str], own: list[str]) -> str:
    missing = [name for name in saved if name not in set(own)]
    more = [name for name in own if name not in set(saved)]
    parts = [f"it has {', '.join(missing[:3])}{' …' * (len(missing) > 3)}, which the state lacks"] if missing else []
    parts += [f"it lacks {', '.join(more[:3])}{' …' * (len(more) > 3)}"] if more else []
    return "; ".join(parts) or "the order differs"


def _pack(value: Any, where: str, arrays: list[numpy.ndarray[Any, Any]]) -> Any:
    """Return a value as JSON can hold it; arrays go to `arrays`, and what JSON has no word for gets a tag."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, numpy.generic):
        return value.item()
    if kind is list:
        return [_pack(part, f"{where}[{number}]", arrays) for number, part in enumerate(value)]
    if isinstance(value, dict):
        if all(type(name) is str for name in value) and _TAG not in value:
            return {name: _pack(part, f"{where}[{name!r}]", arrays) for name, part in value.items()}
        pairs = [[_pack(k, f"a key of {where}", arrays), _pack(v, f"{where}[{k!r}]", arrays)] for k, v in value.items()]
        return {_TAG: "dict", "items": pairs}
    if kind in (tuple, set):
        return {_TAG: kind.__name__, "items": _pack(list(value), where, arrays)}
    if kind is bytes:
        return {_TAG: "bytes", "hex": value.hex()}
    if kind is complex:
        return {_TAG: "complex", "parts": [value.real, value.imag]}
    if isinstance(value, jax.Array) or (isinstance(value, numpy.ndarray) and value.dtype.kind in "biufc"):
        (array,), (leaf,) = packed([value])
        arrays.append(array)
        return {_TAG: "array", "number": len(arrays) - 1, "leaf": leaf}
    raise DataError(
        f"{where} is of type {kind.__qualname__}, which a checkpoint cannot hold; "
        f"let state_dict return numbers, words, arrays, and lists, tuples, sets and dicts of these"
    )


def _unpack(value: Any, arrays: list[numpy.ndarray[Any, Any]]) -> Any:
    """Return what was given to `_pack`."""
    if isinstance(value, list):
        return [_unpack(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(_TAG)
    if tag is None:
        return {name: _unpack(part, arrays) for name, part in value.items()}
    if tag == "array":
        array, leaf = arrays[value["number"]], value["leaf"]
        return replaced(None, array, leaf, "an array")
    if tag == "bytes":
        return bytes.fromhex(value["hex"])
    if tag == "complex":
        return complex(*value["parts"])
    kinds: dict[str, Any] = {"dict": dict, "tuple": tuple, "set": set}
    return kinds[tag](_unpack(value["items"], arrays))
