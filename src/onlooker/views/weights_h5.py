"""State of a model in a `.weights.h5` file: what a Keras callback writes through the facade.

Owns the file's layout, and nothing about models: it takes and gives a tree of dicts, lists, tuples, plain values and
arrays. The file holds no pickle, so reading one runs no code of a stranger.

Layout: each array is a dataset under its path in the tree, so that `file["model/0.weight"]` is a weight; the dataset
`tree` is JSON that says how they hang together. An array of a type that HDF5 does not know (bfloat16, float8) is kept
as its bits, with the type's name in the dataset's attribute `dtype`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import h5py  # type: ignore[import-untyped]
import numpy as np

from onlooker.core.atomic_file import AtomicFile
from onlooker.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1
_PLAIN = (bool, int, float, str, type(None))
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def write_weights(path: str, tree: dict[str, Any]) -> None:
    """Write a tree, replacing the file only when all of it is on the disk.

    Args:
        path: of the file; its folder exists.
        tree: dicts (keys are strings or whole numbers), lists, tuples, plain values, arrays of numpy, PyTorch or JAX.

    Raises:
        DataError: something in the tree is none of these.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a directory; pass the path of a file")
    with AtomicFile(path) as beside, h5py.File(beside, "w") as file:
        file.attrs["onlooker_version"] = VERSION
        skeleton = _encode(tree, (), file)
        file.create_dataset("tree", data=json.dumps(skeleton))


def read_weights(path: str, only: str | None = None) -> dict[str, Any]:
    """Read what `write_weights` wrote; arrays come back as what they were, numpy's, PyTorch's (on the CPU) or JAX'.

    Args:
        path: of the file.
        only: the one key of the tree to read, or None (default) for all.

    Raises:
        DataError: the file was not written by `write_weights`, for example by a Keras model.
        OSError: there is no such file, or it is damaged.
    """
    with h5py.File(path, "r") as file:
        if file.attrs.get("onlooker_version") != VERSION:
            raise DataError(
                f"{path} was not written by Onlooker (it holds {', '.join(file) or 'nothing'}); "
                f"a file with a Keras model's weights fits only that Keras model"
            )
        skeleton = json.loads(file["tree"][()])
        if only is not None:
            skeleton["dict"] = [item for item in skeleton["dict"] if item[0] == only]
        return cast("dict[str, Any]", _decode(skeleton, file))


def _encode(value: Any, path: tuple[str, ...], file: h5py.File) -> Any:
    """Return a value's place in the skeleton, writing the arrays within it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, dict):
        for key in value:
            if type(key) not in (str, int):
                raise DataError(f"{'/'.join(path)} has the key {key!r}; expected a string or a whole number")
        return {"dict": [[key, _encode(part, (*path, str(key)), file)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        parts = [_encode(part, (*path, str(index)), file) for index, part in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    for kind in type(value).__mro__:
        library = kind.__module__.partition(".")[0]
        if library in _TO_BITS:
            bits, dtype = _TO_BITS[library](value)
            name = "/".join(part.replace("/", "∕") for part in path)
            while name in file:  # two keys that read the same, as 0 and "0"
                name += "'"
            dataset = file.create_dataset(name, data=bits)
            if dtype:
                dataset.attrs["dtype"] = dtype
            return {"array": name, "of": library}
    raise DataError(
        f"{'/'.join(path)} is a {type(value).__qualname__}, which a .weights.h5 file cannot hold; "
        f"expected arrays, numbers and strings. self.run.save(path) keeps it"
    )


def _decode(value: Any, file: h5py.File) -> Any:
    """Return what a place in the skeleton stands for."""
    if not isinstance(value, dict):
        return value
    if "array" in value:
        dataset = file[value["array"]]
        return _FROM_BITS[value["of"]](dataset[()], dataset.attrs.get("dtype"))
    if "dict" in value:
        return {key: _decode(part, file) for key, part in value["dict"]}
    if "tuple" in value:
        return tuple(_decode(part, file) for part in value["tuple"])
    return [_decode(part, file) for part in value["list"]]


def _numpy_to_bits(array: Any) -> tuple[NDArray[Any], str | None]:
    """Return an array as HDF5 can hold it, and the name of its type where that is not the same."""
    array = np.asarray(array)
    if array.dtype.kind in "biufc":
        return array, None
    if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16 and its like, from ml_dtypes
        return array.view(_BITS[array.dtype.itemsize]), array.dtype.name
    raise DataError(f"an array of type {array.dtype} cannot be kept in a .weights.h5 file; expected numbers")


def _numpy_from_bits(array: NDArray[Any], dtype: str | None) -> NDArray[Any]:
    if dtype is None:
        return np.asarray(array)
    import ml_dtypes

    return np.asarray(array).view(getattr(ml_dtypes, dtype))


def _torch_to_bits(tensor: Any) -> tuple[NDArray[Any], str | None]:
    torch = sys.modules["torch"]
    tensor = tensor.detach().cpu()
    try:
        return tensor.numpy(), None
    except TypeError:  # a type that numpy does not have
        bits = {1: torch.uint8, 2: torch.int16}[tensor.element_size()]
        return tensor.contiguous().view(bits).numpy(), str(tensor.dtype).removeprefix("torch.")


def _torch_from_bits(array: NDArray[Any], dtype: str | None) -> Any:
    import torch

    tensor = torch.from_numpy(np.asarray(array))
    return tensor if dtype is None else tensor.view(getattr(torch, dtype))


def _jax_from_bits(array: NDArray[Any], dtype: str | None) -> Any:
    import jax

    return jax.numpy.asarray(_numpy_from_bits(array, dtype))


_TO_BITS: dict[str, Callable[[Any], tuple[NDArray[Any], str | None]]] = {
    "numpy": _numpy_to_bits,
    "torch": _torch_to_bits,
    "jax": _numpy_to_bits,
    "jaxlib": _numpy_to_bits,
}
_FROM_BITS: dict[str, Callable[[NDArray[Any], str | None], Any]] = {
    "numpy": _numpy_from_bits,
    "torch": _torch_from_bits,
    "jax": _jax_from_bits,
    "jaxlib": _jax_from_bits,
}
"""By the root module of an array's class."""
