"""The leaves of JAX's trees: what they are called, how they become plain arrays, and how others take their place.

Owns names, and what of a leaf outlives a file: types that NumPy does not know, random keys, weak types, placement.
Which leaves are wanted is the views' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy

from onlooker.core.errors import DataError

_WORDS = {
    jax.tree_util.SequenceKey: "idx",
    jax.tree_util.DictKey: "key",
    jax.tree_util.GetAttrKey: "name",
    jax.tree_util.FlattenedIndexKey: "key",
}
"""The kinds of steps in the path to a leaf, each with the attribute that tells it from the others."""

_NUMBERS = {"bool": bool, "int": int, "float": float, "complex": complex}


def is_of(thing: object, root: str, name: str = "") -> bool:
    """Say whether one of a thing's classes, of this name if one is given, comes from a framework; imports nothing."""
    return any(
        kind.__module__.partition(".")[0] == root and name in ("", kind.__name__) for kind in type(thing).__mro__
    )


def is_variable(node: object) -> bool:
    """Say whether a node of a tree is a variable of Flax NNX, which is a small tree of its own."""
    return is_of(node, "flax", "Variable")


def value_of(leaf: Any) -> Any:
    """Return the array of a leaf, also where a variable of Flax NNX holds it."""
    return leaf.get_raw_value() if is_variable(leaf) else leaf


def is_inexact(leaf: object) -> bool:
    """Say whether a leaf is an array of floating numbers, as weights are."""
    return isinstance(leaf, jax.Array | numpy.ndarray) and jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact)


def named_arrays(tree: Any, is_left_out: Any = lambda node: False) -> Iterator[tuple[str, Any]]:
    """Yield the floating arrays of a tree, each with its path as a name: `"layers.0.weight"`.

    Args:
        tree: any tree.
        is_left_out: says of a node whether to leave it out, with all that is in it.
    """

    def is_leaf(node: object) -> bool:
        return is_variable(node) or is_left_out(node)

    for path, leaf in jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_leaf):
        value = None if is_left_out(leaf) else value_of(leaf)
        if is_inexact(value):
            yield name_of(path), value


def name_of(path: Any) -> str:
    """Return the name of a path in a tree, as `keystr(path, simple=True, separator=".")` does in newer versions."""
    return ".".join(str(getattr(key, _WORDS[type(key)]) if type(key) in _WORDS else key) for key in path)


def is_deleted(leaf: object) -> bool:
    """Say whether an array was given away: JAX deletes what is donated."""
    ask = getattr(leaf, "is_deleted", None)
    return isinstance(leaf, jax.Array) and ask is not None and bool(ask())


def is_key(leaf: object) -> bool:
    """Say whether a leaf holds random keys of their own type: what `jax.random.key` returns."""
    return isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def is_saved(leaf: object) -> bool:
    """Say whether a leaf can change in a training: a function or a word in the tree cannot."""
    return isinstance(leaf, jax.Array | numpy.ndarray | numpy.generic | bool | int | float | complex)


def packed(leaves: list[Any]) -> tuple[list[numpy.ndarray[Any, Any]], list[dict[str, str]]]:
    """Return leaves as NumPy's arrays, fetched in one transfer, and what is needed to make leaves of them again."""
    plain = [jax.random.key_data(leaf) if is_key(leaf) else leaf for leaf in leaves]
    arrays = [numpy.asarray(value) for value in jax.device_get(plain)]
    return [_as_known(array) for array in arrays], [_kind_of(leaf) for leaf in leaves]


def replaced(leaf: Any, array: numpy.ndarray[Any, Any], kind: dict[str, str], name: str) -> Any:
    """Return what takes the place of a leaf: the array of a file, where the leaf is.

    Its type is the file's, also in what JAX calls weak: else the resumed steps would compute in other types.

    Raises:
        DataError: it has another shape or type than the leaf.
    """
    if kind["kind"] == "number":
        _check(leaf, (), None, name)
        return _NUMBERS[kind["type"]](array.item())
    if kind["kind"] == "key":
        _check(leaf, array.shape[:-1], None, name)
        return placed_like(leaf, jax.random.wrap_key_data(jax.numpy.asarray(array), impl=kind["type"]))
    dtype = jax.numpy.dtype(kind["type"])
    _check(leaf, array.shape, dtype, name)
    array = array if array.dtype == dtype else array.view(dtype)
    if kind["kind"] == "numpy":
        return array
    return placed_like(leaf, _weak(array) if kind["kind"] == "weak" else jax.numpy.asarray(array))


def number_like(leaf: Any, number: float) -> Any:
    """Return a number as what a leaf is: a number of Python's, or an array of the same type in the same place."""
    if not isinstance(leaf, jax.Array):
        return float(number)
    return placed_like(leaf, _weak(number) if leaf.weak_type else jax.numpy.asarray(number, leaf.dtype))


def placed_like(leaf: Any, array: Any) -> Any:
    """Return an array on the devices of a leaf, where that was put there on purpose."""
    return jax.device_put(array, leaf.sharding) if getattr(leaf, "committed", False) else array


def _weak(array: Any) -> Any:
    """Return a number or an array that is weakly typed, as JAX makes one of a number of Python's.

    There is no word for it, but what is filled with such a number is weak, and stays so when it is overwritten.
    """
    strong = jax.numpy.asarray(array)
    if not jax.numpy.issubdtype(strong.dtype, jax.numpy.number):
        return strong
    zero = next(kind(0) for kind in (int, float, complex) if isinstance(strong.dtype.type(0).item(), kind))
    filled = jax.numpy.full(strong.shape, zero)
    return filled.at[...].set(strong) if filled.dtype == strong.dtype else strong


def _kind_of(leaf: Any) -> dict[str, str]:
    if isinstance(leaf, tuple(_NUMBERS.values())) and not isinstance(leaf, numpy.generic):
        return {"kind": "number", "type": type(leaf).__name__}
    if is_key(leaf):
        return {"kind": "key", "type": str(jax.random.key_impl(leaf))}
    if not isinstance(leaf, jax.Array):
        return {"kind": "numpy", "type": str(leaf.dtype)}
    return {"kind": "weak" if leaf.weak_type else "array", "type": str(leaf.dtype)}


def _check(leaf: Any, shape: tuple[int, ...], dtype: Any, name: str) -> None:
    if leaf is None:
        return
    own_shape, own_dtype = getattr(leaf, "shape", ()), getattr(leaf, "dtype", dtype)
    if own_shape != shape or (dtype is not None and own_dtype != dtype):
        raise DataError(
            f"{name} is {dtype or 'a value'} of shape {shape} in the file, but {own_dtype} of shape {own_shape} in the "
            f"state; it was saved from another model"
        )


def _as_known(array: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """Return an array under a type that every NumPy can read: bfloat16 and the like as integers of the same size."""
    if array.dtype.kind in "biufc" and array.dtype.isbuiltin == 1:
        return array
    return array.view(f"u{array.dtype.itemsize}")
