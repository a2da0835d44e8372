"""What may be passed to `Trainer` as data, and what a batch is made of.

Owns the way from a loader, a data set or arrays to pairs of inputs and targets, and the errors on it. How they come to
a device is in `moving`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler, TensorDataset

from onlooker.core.errors import DataError
from onlooker.core.parts import attributes

from .moving import to_device


def as_loader(data: Any, batch_size: int, shuffle: bool) -> Iterable[Any]:
    """Return what yields batches.

    Args:
        data: a loader or any iterable of batches, which is returned as it is; a `Dataset`; an array; or a tuple of
            arrays of equal length, `(inputs, targets)`. NumPy's float64 becomes PyTorch's own float type.
        batch_size: for all but a loader.
        shuffle: whether each epoch draws the samples in another order; likewise.

    Raises:
        DataError: it is nothing of these.
    """
    if isinstance(data, DataLoader):
        return data
    if isinstance(data, Dataset):
        is_ordered = isinstance(data, torch.utils.data.IterableDataset)
        # PyTorch refuses to shuffle what is empty, in words of its own.
        return DataLoader(data, batch_size, shuffle=None if is_ordered else shuffle and _has_samples(data))
    if isinstance(data, tuple) or is_array(data):
        rows = TensorDataset(*_tensors(data if isinstance(data, tuple) else (data,)))
        order = RandomSampler(rows) if shuffle and _has_samples(rows) else SequentialSampler(rows)
        # A batch is drawn at once, not row by row: much faster.
        return DataLoader(rows, batch_size=None, sampler=BatchSampler(order, batch_size, drop_last=False))
    if data is None or isinstance(data, str) or not hasattr(data, "__iter__"):
        raise DataError(
            f"there is no data in {data!r:.60}; pass a torch.utils.data.DataLoader or another iterable of batches, "
            f"a Dataset, or a tuple of arrays (inputs, targets)"
        )
    loader: Iterable[Any] = data
    return loader


def _has_samples(data: Any) -> bool:
    return len(data) > 0


def is_array(data: Any) -> bool:
    """Say whether it is an array, of any library."""
    return hasattr(data, "shape") and hasattr(data, "dtype")


def _tensors(arrays: tuple[Any, ...]) -> list[torch.Tensor]:
    if not arrays:
        raise DataError("a tuple is taken for arrays (inputs, targets), but there is nothing in it")
    for array in arrays:
        if not is_array(array) or not array.shape:
            what = f"an array of shape {array.shape}" if is_array(array) else f"a {type(array).__qualname__}"
            raise DataError(
                f"a tuple is taken for arrays (inputs, targets), but there is {what} in it; pass batches as a list, "
                f"and a model's several inputs as a Dataset"
            )
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) != 1:
        raise DataError(f"the arrays have different lengths: {lengths}; expected one row a sample in each")
    tensors = []
    for array in arrays:
        tensor = torch.as_tensor(array)
        is_wide = tensor.dtype is torch.float64 and not isinstance(array, torch.Tensor)
        tensors.append(tensor.to(torch.get_default_dtype()) if is_wide else tensor)
    return tensors


class Batches:
    """A loader's batches, as pairs of inputs and targets on a device.

    Args:
        loader: any iterable of batches.
        split: returns a batch's inputs and targets.
        device: where they go; None leaves them where they are.
        what: the name of the argument that the loader was passed as, for messages.
        reads_ahead: whether the next batch is fetched before one is given, so that one knows which is the last. A
            length would not do: a loader may not know it, and may not keep to it.

    Attributes:
        is_last: whether the batch that was given last is the loader's last; False where it does not read ahead.

    Raises:
        DataError: when iterated, if the loader yields nothing, or a batch that cannot be split.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        split: Callable[[Any], tuple[Any, Any]],
        device: torch.device | None,
        what: str = "data",
        reads_ahead: bool = False,
    ) -> None:
        self._what = what
        self.is_last = False
        self._loader = loader
        self._split = split
        self._device = device
        self._reads_ahead = reads_ahead
        self._count = 0

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        split, device, count_before = self._split, self._device, self._count
        for batch in self._read_ahead() if self._reads_ahead else self._loader:
            inputs, targets = split(batch)
            self._count += 1
            yield to_device(inputs, device), to_device(targets, device)
        if self._count == count_before:
            raise DataError(f"{self._what}: the loader yielded no batch; {self._why_none()}")

    def _read_ahead(self) -> Iterator[Any]:
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

    def _why_none(self) -> str:
        if self._count or hasattr(self._loader, "__next__"):
            return "a generator can be iterated only once: pass a loader or a list of batches"
        return "check the data set's size against batch_size and drop_last"


def split_pair(batch: Any) -> tuple[Any, Any]:
    """Return a batch's inputs and targets.

    Raises:
        DataError: it is no pair.
    """
    if _is_pair(batch):
        return batch[0], batch[1]
    raise DataError(
        f"a batch must be a pair (inputs, targets), but the loader yielded {_described(batch)}; "
        f"say how to split it: Trainer(..., split=lambda batch: {_example(batch)})"
    )


def splits_to_pairs(split: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
    """Return a user's function that splits batches, with what it returns looked at.

    The function that comes back raises DataError where that is no pair. An array of two rows is none: it would be taken
    apart silently.
    """

    def split_batch(batch: Any) -> tuple[Any, Any]:
        pair = split(batch)
        if _is_pair(pair):
            return pair[0], pair[1]
        raise DataError(
            f"split must return a pair, a tuple (inputs, targets), but it returned {_described(pair)} "
            f"for a batch that is {_described(batch)}"
        )

    return split_batch


def split_off_inputs(batch: Any) -> tuple[Any, Any]:
    """Return a batch's inputs, and its targets where it has any: what there is to predict may have none."""
    if isinstance(batch, tuple | list):
        return batch[0], batch[1] if len(batch) == 2 else None
    return batch, None


def _is_pair(thing: Any) -> bool:
    return isinstance(thing, tuple | list) and len(thing) == 2


def _example(batch: Any) -> str:
    """Return how a batch may be split, by its own names where it has some."""
    names = list(attributes(batch))
    if names and not isinstance(batch, Mapping):
        return f"(batch.{names[0]}, batch.{names[1]})" if len(names) > 1 else f"(batch.{names[0]}, batch.label)"
    return "(batch['image'], batch['label'])"


def _described(thing: Any) -> str:
    what = f"a {type(thing).__qualname__}"
    if isinstance(thing, tuple | list):
        return f"{what} of {len(thing)}"
    names = thing if isinstance(thing, Mapping) else attributes(thing)
    if names:
        return f"{what} with {', '.join(map(str, names))}"
    return f"{what} of shape {tuple(thing.shape)}" if is_array(thing) else what


def apply(model: torch.nn.Module, inputs: Any) -> Any:
    """Return a model's outputs: a dict goes in by name, a tuple or list one by one."""
    if isinstance(inputs, torch.Tensor):
        return model(inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)


def concatenate(outputs: list[Any]) -> Any:
    """Join the outputs of all batches along the first axis, within tuples, lists and dicts as well.

    Outputs that cannot be joined come back as a list, one entry a batch.
    """
    if not outputs:
        return outputs
    first = outputs[0]
    if isinstance(first, torch.Tensor):
        if not first.ndim:
            return torch.stack(outputs)
        return torch.cat(outputs) if len({output.shape[1:] for output in outputs}) == 1 else outputs
    if isinstance(first, Mapping):
        return {name: concatenate([batch[name] for batch in outputs]) for name in first}
    if isinstance(first, tuple | list):
        return tuple(concatenate([batch[position] for batch in outputs]) for position in range(len(first)))
    return outputs
