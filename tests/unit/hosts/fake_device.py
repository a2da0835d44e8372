"""A device that is none: tensors that live "elsewhere" and count each time that a number comes from there.

Computing on them is free; reading one is what costs a synchronisation on a real device. All ways to read a tensor lead
through three doors, and each is counted: `item` (also float(), bool(), an `if`), `tolist`, and a copy to the CPU.
"""

import torch
from torch.utils._pytree import tree_map


class Traffic:
    """What has come from the device, one entry for each transfer: how many numbers it brought."""

    def __init__(self):
        self.transfers = []

    def clear(self):
        """Forget it."""
        self.transfers.clear()


traffic = Traffic()


class Elsewhere(torch.Tensor):
    """A tensor elsewhere. The numbers are in a tensor on the CPU that nobody but this class looks at."""

    @staticmethod
    def __new__(cls, inner):
        # "meta": no device that PyTorch would want to set up, and not the CPU.
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            dtype=inner.dtype,
            device="meta",
            requires_grad=inner.requires_grad,
        )

    def __init__(self, inner):
        self.numbers = inner.detach()

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), named=None):
        if function is torch.Tensor.tolist:  # which PyTorch does not let a subclass do
            traffic.transfers.append(arguments[0].numel())
            return arguments[0].numbers.tolist()
        if function is torch.Tensor.numpy:
            raise TypeError("a tensor elsewhere has no numpy array")
        with torch._C.DisableTorchFunctionSubclass():  # what comes to the CPU is a plain tensor
            return function(*arguments, **(named or {}))

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), named=None):
        named = dict(named or {})
        wanted = named.get("device")
        is_to_cpu = function is torch.ops.aten._to_copy.default and wanted is not None and wanted.type == "cpu"
        if function is torch.ops.aten._local_scalar_dense.default or is_to_cpu:
            traffic.transfers.append(arguments[0].numel())
        elif wanted is not None:
            named["device"] = torch.device("cpu")  # where the numbers really are
        inner_arguments, inner_named = tree_map(unwrapped, (arguments, named))
        result = function(*inner_arguments, **inner_named)
        if is_to_cpu or not isinstance(result, torch.Tensor | tuple | list):
            return result
        if function._schema.is_mutable and isinstance(arguments[0], cls):
            return arguments[0]
        return tree_map(lambda part: cls(part) if isinstance(part, torch.Tensor) else part, result)


def unwrapped(value):
    return value.numbers if isinstance(value, Elsewhere) else value


def elsewhere(value):
    """Put a number or a tensor elsewhere."""
    return Elsewhere(value if isinstance(value, torch.Tensor) else torch.tensor(value))
