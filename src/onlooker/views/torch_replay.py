"""What a look at PyTorch modules offers for running steps once more: snapshots, copies of batches, and a trace.

Owns the way from a model and its optimizers to what does the work: `torch_snapshot`, `torch_finite`, `torch_trace`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from onlooker.core.atomic_file import AtomicFile
from onlooker.core.view import ModelView

from .torch_activations import every_module
from .torch_buffers import finite_buffers, lost_buffers
from .torch_finite import not_finite
from .torch_plain import pack
from .torch_snapshot import Moment, TorchSnapshot, copy_data


class TorchReplay(ModelView):
    """A part of `TorchView`.

    Attributes:
        optimizers: the optimizers by name.
    """

    optimizers: dict[str, torch.optim.Optimizer]
    _modules: dict[str, torch.nn.Module]

    def _parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        raise NotImplementedError

    def snapshot(self) -> TorchSnapshot:
        """Return what keeps parameters, buffers and optimizers' states, once its `take` is called."""
        return TorchSnapshot(
            self._tensors,
            self._ready_parameters,
            self.optimizers.values(),
            lambda: [module for _, module in every_module(self._modules)],
        )

    def keep_batch(self, data: Any) -> tuple[Any, int]:
        """Return a copy of a batch, and how many bytes it takes."""
        return copy_data(data)

    def moment(self) -> Moment:
        """Return random states and learning rates as they stand."""
        return Moment(self.optimizers.values())

    def not_finite(self, what: str) -> list[str]:
        """Return the names of what is not finite; a transfer for each device where all is."""
        if what == "weights":
            return not_finite(self.weights())
        if what == "gradients":
            return not_finite(self.gradients())
        names = {id(parameter): name for name, parameter in self._parameters()}
        states = {
            f"{slot} of {names.get(id(parameter), 'a weight')}": value
            for optimizer in self.optimizers.values()
            for parameter, slots in optimizer.state.items()
            for slot, value in slots.items()
        }
        return not_finite(states)

    def finite_buffers(self) -> frozenset[str]:
        """Return the names of the buffers that have to stay finite."""
        return finite_buffers(every_module(self._modules))

    def lost_buffers(self, watched: Collection[str]) -> list[str]:
        """Return the names of those that are not finite any more; a transfer for each device where all are."""
        return list(lost_buffers(every_module(self._modules), watched))

    def trace(self, data: Any, lost: Collection[str] = ()) -> Any:
        """Return a context that watches each operation of a step."""
        from .torch_trace import TorchTrace  # needed once in a long while

        parameters, optimizers = dict(self._parameters()), self.optimizers.values()
        return TorchTrace(every_module(self._modules), parameters, optimizers, data, lost)

    def save_plain(self, path: str, content: dict[str, Any]) -> None:
        """Write plain data and tensors by `torch.save`; `torch.load(path)` reads them."""
        packed = pack(content, "the batch")
        with AtomicFile(path) as beside:
            torch.save(packed, beside)

    def _tensors(self) -> list[torch.Tensor]:
        """Return all parameters and buffers, each once, without those of lazy modules that have no values yet."""
        found: dict[int, torch.Tensor] = {}
        for module in self._modules.values():
            for one in (*module.parameters(), *module.buffers()):
                if not is_lazy(one):
                    found.setdefault(id(one), one)
        return list(found.values())

    def _ready_parameters(self) -> list[torch.Tensor]:
        return [one for _, one in self._parameters() if not is_lazy(one)]
