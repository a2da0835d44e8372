"""A look at PyTorch modules: one or a dict of several, with their optimizers.

Owns names and learning rates. What has to be kept so that observing leaves no trace is in `torch_observing`, random
states are in `torch_random`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from onlooker.arrays.handed_out import handed_out
from onlooker.core.atomic_file import AtomicFile
from onlooker.inside import Look

from .optimizers import by_name
from .torch_activations import Choice, Seen, chosen, watch, without_scripted
from .torch_names import parameters_of, unwrapped
from .torch_observing import Evaluating, Kept
from .torch_plain import pack, unpack
from .torch_random import load_random_state, random_state, seed_all
from .torch_replay import TorchReplay
from .torch_steps import StepWatch, Tensors


class TorchView(TorchReplay):
    """A look at one or several PyTorch modules.

    Args:
        model: a module, or a dict of them; then names have the module's name in front.
        optimizer: an optimizer, a dict or a list of several, or None.

    Attributes:
        optimizers: the optimizers by name; a single one under `""`.

    Raises:
        TypeError: the optimizer is none.
    """

    reason = "it is a PyTorch module without an optimizer; pass the optimizer to Loop"

    def __init__(self, model: Any, optimizer: Any = None) -> None:
        super().__init__(model)
        self._modules: dict[str, torch.nn.Module] = model if isinstance(model, dict) else {"": model}
        self.optimizers = _named_optimizers(optimizer)
        self._has_left_out = False  # outputs of some modules, and said so

    def lacks(self, ability: str) -> str | None:
        """Return why an ability is missing: without an optimizer there is no learning rate."""
        if ability in ("learning_rate", "set_learning_rate") and not self.optimizers:
            return self.reason
        return super().lacks(ability)

    def weights(self, pattern: str | None = None) -> dict[str, Any]:
        """Return detached tensors by name, on the parameters' own memory. Those without values yet are left out."""
        return {
            name: p.detach()
            for name, p in self._parameters()
            if (pattern is None or fnmatchcase(name, pattern)) and not is_lazy(p)
        }

    def trained_weights(self) -> dict[str, Any]:
        """Return the weights that want a gradient."""
        return {name: p.detach() for name, p in self._parameters() if p.requires_grad and not is_lazy(p)}

    def gradients(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the gradients of those parameters that have one."""
        return {
            name: p.grad.detach()
            for name, p in self._parameters()
            if p.grad is not None and (pattern is None or fnmatchcase(name, pattern))
        }

    def handed_out(self, arrays: dict[str, Any], numpy: bool, copy: bool) -> dict[str, Any]:
        """Return arrays by name, as NumPy's where asked for, and as copies where asked for."""
        return handed_out(arrays, numpy, copy)

    def get_learning_rate(self) -> float | dict[str, float]:
        """Return the one rate, or all of them by the optimizer's name and the number of the parameter group."""
        rates = {name: float(group["lr"]) for name, group in self._groups()}
        if not rates:
            raise self._absent("the learning rate")
        return next(iter(rates.values())) if len(set(rates.values())) == 1 else rates

    def set_learning_rate(self, value: float | dict[str, float]) -> None:
        """Set the one rate; a dict as `get_learning_rate` returns it sets several."""
        groups = dict(self._groups())
        if not groups:
            raise self._absent("setting the learning rate")
        if isinstance(value, dict):
            if unknown := [name for name in value if name not in groups]:
                raise ValueError(
                    f"no learning rate is called {', '.join(map(repr, unknown))}; known: {', '.join(groups)}"
                )
            for name, rate in value.items():
                _set_rate(groups[name], rate)
            return
        rates = self.get_learning_rate()
        if isinstance(rates, dict):
            raise ValueError(
                f"the learning rates differ ({', '.join(f'{name}: {rate:g}' for name, rate in rates.items())}), "
                f"so one number cannot stand for all; use run.scale_learning_rate(factor), or set a dict"
            )
        for group in groups.values():
            _set_rate(group, value)

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply the rate of every parameter group."""
        groups = dict(self._groups())
        if not groups:
            raise self._absent("scaling the learning rate")
        for group in groups.values():
            _set_rate(group, float(group["lr"]) * factor)

    @contextmanager
    def observing(self, seed: int | None = None, gradients: bool = False) -> Iterator[None]:
        """Keep random states, modes, buffers and gradients as they were; within: evaluation mode, gradients off."""
        random = random_state()
        before = Kept(self._modules.values(), self._parameters(), gradients)
        if seed is not None:
            seed_all(seed)
        try:
            with Evaluating(self._modules.values(), gradients=gradients):
                yield
        finally:
            try:
                before.restore()
            finally:
                load_random_state(random)

    def evaluating(self) -> AbstractContextManager[None]:
        """Return a context with every module in evaluation mode and gradients off."""
        return Evaluating(self._modules.values())

    def state_dict(self) -> dict[str, Any]:
        """Return the state of modules, optimizers and random generators."""
        return {
            "modules": {name: unwrapped(module).state_dict() for name, module in self._modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "random": random_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        for name, module in self._modules.items():
            unwrapped(module).load_state_dict(state["modules"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        load_random_state(state["random"])

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write everything to one file of `torch.save`."""
        packed = pack(extra, "the checkpoint")
        with AtomicFile(path) as beside:
            torch.save({"training": self.state_dict(), "extra": packed}, beside)

    def load(self, path: str) -> dict[str, Any]:
        """Read a file that `save` wrote. Only plain data and tensors are read: such a file can run no code."""
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # whatever unpickling makes of bytes that are none of ours
            raise ValueError(f"{path} cannot be read as a file of run.save: {error!r:.200}") from error
        if not isinstance(content, dict) or "training" not in content:
            raise ValueError(f"{path} was not written by run.save; load it with torch.load and the model's own methods")
        self.load_state_dict(content["training"])
        extra: dict[str, Any] = unpack(content["extra"])
        return extra

    def flag_holders(self) -> tuple[dict[str, Any], ...]:
        """Return the modules' attribute dicts; a compiled module keeps attributes on the original."""
        modules: list[torch.nn.Module] = [*self._modules.values()]
        modules += [whole for m in modules if isinstance(whole := getattr(m, "_orig_mod", None), torch.nn.Module)]
        return tuple(module.__dict__ for module in modules)

    def count_steps(self, stepped: Callable[..., None]) -> Callable[[], None] | None:
        """Listen to the optimizers' own hooks; a step that a gradient scaler skips does not call them."""
        if not self.optimizers:
            return None
        handles = [optimizer.register_step_post_hook(stepped) for optimizer in self.optimizers.values()]

        def undo() -> None:
            for handle in handles:
                handle.remove()

        return undo

    def look(self) -> Look:
        """Return what tensors are given to, to be told together what they look like."""
        return Look()

    def watch_steps(
        self,
        before: Callable[[Tensors, Tensors], None],
        after: Callable[[Tensors], None],
        clipping: Callable[[Tensors], None] | None = None,
        clipped: Callable[[Tensors], None] | None = None,
    ) -> Callable[[], None] | None:
        """Watch each optimizer for the weights that it is for; None without one. `torch_clipping` says what is seen."""
        if not self.optimizers:
            return None
        names = {id(parameter): name for name, parameter in self._parameters()}
        return StepWatch(names, self.optimizers.values(), before, after, clipping, clipped).undo

    def watch_activations(self, pattern: Choice, seen: Seen, gradients: bool = True) -> Callable[[], None] | None:
        """Watch the modules' outputs, by hooks on modules and tensors; None where none is chosen."""
        named, has_left_out = without_scripted(chosen(self._modules, pattern), self._has_left_out)
        self._has_left_out = self._has_left_out or has_left_out
        return watch(named, seen, gradients) if named else None

    def process_count(self) -> int:
        """Return how many processes train together."""
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return int(distributed.get_world_size())
        return 1

    def process_rank(self) -> int:
        """Return which of them this one is, from 0."""
        distributed = torch.distributed
        return int(distributed.get_rank()) if distributed.is_available() and distributed.is_initialized() else 0

    def _parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yield each parameter once, under its clean name; one that two models share belongs to the first."""
        passed: set[int] = set()
        for prefix, module in self._modules.items():
            yield from parameters_of(unwrapped(module), f"{prefix}." if prefix else "", passed)

    def _groups(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, optimizer in self.optimizers.items():
            groups = optimizer.param_groups
            for number, group in enumerate(groups):
                yield (name if name and len(groups) == 1 else f"{name or 'group'}_{number}"), group


def _named_optimizers(optimizer: Any) -> dict[str, torch.optim.Optimizer]:
    named = by_name(optimizer)
    for one in named.values():
        if not hasattr(one, "param_groups") or not hasattr(one, "register_step_post_hook"):
            raise TypeError(
                f"optimizer={one!r} is a {type(one).__qualname__}; expected a torch.optim.Optimizer, "
                f"or a dict or list of them"
            )
    return named


def _set_rate(group: dict[str, Any], value: float) -> None:
    if isinstance(group["lr"], torch.Tensor):  # captured by a graph: it must stay the same tensor
        group["lr"].fill_(value)
    else:
        group["lr"] = float(value)
