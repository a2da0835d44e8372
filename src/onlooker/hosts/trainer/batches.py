"""What may be passed to `Trainer` as data, and what a batch is made of.

Owns the way from a loader, a data set or a pair of arrays to batches on the right device, and the errors on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from onlooker.core.errors import DataError


def as_loader(data: Any, batch_size: int, shuffle: bool) -> Iterable[Any]:
    """Return what yields batches.

    Args:
        data: a loader or any iterable of batches, which is returned as it is; a `Dataset`; an array; or a tuple of
            arrays of equal length, `(inputs, targets)`.
        batch_size: for all but a loader.
        shuffle: whether each epoch draws the samples in another order; likewise.

    Raises:
        DataError: it is nothing of these.
    """
    if isinstance(data, DataLoader):
        return data
    if isinstance(data, Dataset):
        is_ordered = isinstance(data, torch.utils.data.IterableDataset)
        return DataLoader(data, batch_size, shuffle=None if is_ordered else shuffle)
    arrays = data if isinstance(data, tuple) else (data,)
    if arrays and all(hasattr(array, "shape") for array in arrays):
        lengths = [len(array) if array.shape else 0 for array in arrays]
        if len(set(lengths)) != 1:
            raise DataError(f"the arrays have different lengths: {lengths}; expected one row a sample in each")
        return DataLoader(TensorDataset(*map(torch.as_tensor, arrays)), batch_size, shuffle=shuffle)
    if data is None or isinstance(data, str) or not hasattr(data, "__iter__"):
        raise DataError(
            f"there is no data in {data!r:.60}; pass a torch.utils.data.DataLoader or another iterable of batches, "
            f"a Dataset, or a tuple of arrays (inputs, targets)"
        )
    loader: Iterable[Any] = data
    return loader


def split(batch: Any) -> tuple[Any, Any]:
    """Return a batch's inputs and targets.

    Raises:
        DataError: it is no pair.
    """
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return batch[0], batch[1]
    what = f"a {type(batch).__qualname__}"
    if isinstance(batch, tuple | list):
        what += f" of {len(batch)}"
    elif isinstance(batch, Mapping):
        what += f" with {', '.join(map(str, batch))}"
    raise DataError(
        f"a batch must be a pair (inputs, targets), but the loader yielded {what}; "
        f"say how to split it: Trainer(..., split=lambda batch: (batch['image'], batch['label']))"
    )


def to_device(thing: Any, device: torch.device | None) -> Any:
    """Return tensors on a device, also those within tuples, lists and dicts; the rest as it is."""
    if device is None:
        return thing
    if isinstance(thing, torch.Tensor):
        return thing.to(device, non_blocking=True)
    if isinstance(thing, Mapping):
        return {name: to_device(part, device) for name, part in thing.items()}
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):  # a named tuple takes its parts one by one
        return type(thing)(*(to_device(part, device) for part in thing))
    if isinstance(thing, tuple | list):
        return type(thing)(to_device(part, device) for part in thing)
    return thing


def apply(model: torch.nn.Module, inputs: Any) -> Any:
    """Return a model's outputs: a dict goes in by name, a tuple or list one by one."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)


def concatenate(outputs: list[Any]) -> Any:
    """Join the outputs of all batches along the first axis, within tuples, lists and dicts as well.

    Outputs that cannot be joined come back as a list, one entry a batch.
    """
    first = outputs[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(outputs) if first.ndim else torch.stack(outputs)
    if isinstance(first, Mapping):
        return {name: concatenate([batch[name] for batch in outputs]) for name in first}
    if isinstance(first, tuple | list):
        return tuple(concatenate([batch[position] for batch in outputs]) for position in range(len(first)))
    return outputs


class WithLast:
    """A loader of unknown length, read one batch ahead, so that one knows which batch is the last.

    Args:
        loader: any iterable of batches.

    Attributes:
        is_last: whether the batch that was given last is the loader's last.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self._loader = loader
        self.is_last = False

    def __iter__(self) -> Iterator[Any]:
        self.is_last = False
        iterator = iter(self._loader)
        try:
            ahead = next(iterator)
        except StopIteration:
            return
        for following in iterator:
            yield ahead
            ahead = following
        self.is_last = True
        yield ahead
