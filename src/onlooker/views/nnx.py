"""A look at modules of Flax NNX: one or a dict of several, with their `nnx.Optimizer`s.

They change in place, as PyTorch's do: a step of `nnx.jit` puts new arrays into the same variables. Owns what NNX has
its own words for: parameters, modes, variables that a call changes. All else is as in `jax`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jax
from flax import nnx

from onlooker.core.errors import AbsentError

from .jax import JaxView
from .jax_leaves import named_arrays, number_like
from .jax_rates import RATE, find_rates
from .optimizers import by_name


class NnxView(JaxView):
    """A look at one or several modules of Flax NNX.

    Args:
        model: a module, or a dict of them; then names have the module's name in front.
        optimizer: an `nnx.Optimizer`, a dict or a list of several, or None.

    Raises:
        TypeError: the optimizer is none.
    """

    is_replaced = False

    def __init__(self, model: Any, optimizer: Any = None) -> None:
        super().__init__(model)
        self._modules: dict[str, Any] = model if isinstance(model, dict) else {"": model}
        self.optimizers = _named_optimizers(optimizer)
        self._counters = self._read_counters()
        self._has_trained = False
        self.has_moved = True
        for owner in (*self._modules.values(), *self.optimizers.values()):
            if any(getattr(variable, "ref", False) for variable, _ in _variables(owner).values()):
                raise TypeError("Onlooker does not know variables that hold references (ref=True); make them without")

    @property
    def model(self) -> Any:
        """The user's module, or the dict of them."""
        return self._state

    @model.setter
    def model(self, model: Any) -> None:
        self._state, self._is_fresh = model, True

    def replace(self, model: Any) -> None:
        """Refuse: nothing is to be assigned."""
        raise AbsentError(
            "a Flax NNX module changes in place, so there is no loop.state to assign; a state from nnx.split is one: "
            "Loop(state)"
        )

    def count_steps(self, stepped: Callable[..., None]) -> Callable[[], None] | None:
        """Return None: there is no hook in a compiled step, so `has_stepped` is asked."""
        return None

    def has_stepped(self) -> bool:
        """Say whether an optimizer has been through a step since the last time. Nothing is fetched.

        A compiled step puts a new array into each variable that it is given, so the optimizer's counter is another.
        """
        self._has_trained = True
        before, self._counters = self._counters, self._read_counters()
        return not before or any(one is not other for one, other in zip(before, self._counters, strict=True))

    def gradients(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the gradients that were handed over last; none before the first."""
        if self._gradients is None and not self._has_trained:
            return {}
        return super().gradients(pattern)

    @contextmanager
    def _observing(self, seed: int | None) -> Iterator[None]:
        kept = [(module, _variables(module)) for module in self._modules.values()]
        optimizers = [(optimizer, _variables(optimizer)) for optimizer in self.optimizers.values()]
        with super()._observing(seed):
            if seed is not None:
                self._seed(seed)
            try:
                with self.evaluating():
                    yield
            finally:
                for owner, variables in (*kept, *optimizers):
                    _put_back(owner, variables)

    def evaluating(self) -> AbstractContextManager[None]:
        """Return a context with every module in evaluation mode: no dropout, batch statistics as they are."""
        return _Evaluating(self._modules.values())

    def flag_holders(self) -> tuple[dict[str, Any], ...]:
        """Return the modules' attribute dicts."""
        return tuple(vars(module) for module in self._modules.values())

    def lacks(self, ability: str) -> str | None:
        """Return why an ability is missing: without an optimizer there is no learning rate."""
        if ability in ("learning_rate", "set_learning_rate") and not self.optimizers:
            return "it is a Flax NNX module without an optimizer; pass the nnx.Optimizer to Loop"
        return super().lacks(ability)

    def _seed(self, seed: int) -> None:
        """Seed the generators within the modules, each differently."""
        keys = [
            variable
            for module in self._modules.values()
            for variable, _ in _variables(module).values()
            if isinstance(variable, nnx.RngState)
        ]
        for number, variable in enumerate(keys):
            old = variable.get_raw_value()
            if isinstance(variable, nnx.RngKey):
                key = jax.random.fold_in(jax.random.key(seed, impl=str(jax.random.key_impl(old))), number)
                variable.set_raw_value(jax.numpy.broadcast_to(key, old.shape))
            else:
                variable.set_raw_value(jax.numpy.zeros_like(old))

    def _parameters(self) -> Iterator[tuple[str, Any]]:
        for prefix, module in self._modules.items():
            for name, array in named_arrays(nnx.state(module, nnx.Param)):
                yield (f"{prefix}.{name}" if prefix else name), array

    def _named_gradients(self) -> Iterator[tuple[str, Any]]:
        return named_arrays(self._gradients)

    def _rated(self) -> Any:
        return {name: optimizer.opt_state for name, optimizer in self.optimizers.items()}

    def _whole(self) -> Any:
        return {
            "modules": {name: _snapshot(module) for name, module in self._modules.items()},
            "optimizers": {name: _snapshot(optimizer) for name, optimizer in self.optimizers.items()},
        }

    def _structure(self) -> Any:
        return self._whole()

    def _put_whole(self, state: Any) -> None:
        for name, module in self._modules.items():
            nnx.update(module, state["modules"][name])
        for name, optimizer in self.optimizers.items():
            nnx.update(optimizer, state["optimizers"][name])
        self._counters = self._read_counters()

    def _set_rates(self, rates: dict[str, float]) -> None:
        nodes = find_rates(self._rated())
        for name, rate in rates.items():
            variable = nodes[name].hyperparams[RATE]
            variable.set_raw_value(number_like(variable.get_raw_value(), rate))

    def _read_counters(self) -> list[Any]:
        return [optimizer.step.get_raw_value() for optimizer in self.optimizers.values()]


class _Evaluating:
    """Evaluation mode, until `__exit__`; leaving it a second time does nothing.

    What `eval` changes are plain attributes, under whatever names a user's own module has for its mode, so it is seen
    by what has changed. What is set meanwhile, such as `stop_training`, stays.
    """

    def __init__(self, modules: Any) -> None:
        self._modules = list(modules)
        self._kept: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> None:
        before = [(part, _modes(part)) for module in self._modules for _, part in nnx.iter_modules(module)]
        for module in self._modules:
            module.eval()
        self._kept = [
            (part, name, modes.get(name, part))
            for part, modes in before
            for name, mode in _modes(part).items()
            if modes.get(name, part) is not mode
        ]

    def __exit__(self, *_: object) -> None:
        kept, self._kept = self._kept, []
        for part, name, mode in kept:
            if mode is part:  # there was none, but the class's own
                delattr(part, name)
            else:
                setattr(part, name, mode)


def _modes(part: Any) -> dict[str, Any]:
    """Return the attributes of a module that may be its mode: those that are true, false or nothing."""
    return {name: value for name, value in vars(part).items() if value is None or type(value) is bool}


def _snapshot(owner: Any) -> Any:
    """Return the state of a module or an optimizer. Its variables are new ones: `nnx.state` hands out those in use."""
    return jax.tree_util.tree_map(lambda leaf: leaf, nnx.state(owner))


def _variables(owner: Any) -> dict[Any, tuple[Any, Any]]:
    """Return each variable of a module or an optimizer by its path, with what it holds now."""
    return {path: (variable, variable.get_raw_value()) for path, variable in nnx.to_flat_state(nnx.state(owner))}


def _put_back(owner: Any, kept: dict[Any, tuple[Any, Any]]) -> None:
    """Have the variables hold again what they held, and remove those that have come since, as `sow` makes them."""
    new = set()
    for path, (variable, value) in _variables(owner).items():
        if path not in kept:
            new.add(path)
        elif value is not kept[path][1]:
            variable.set_raw_value(kept[path][1])
    if new:
        nnx.pop(owner, lambda path, _: tuple(path) in new)


def _named_optimizers(optimizer: Any) -> dict[str, Any]:
    named = by_name(optimizer)
    for one in named.values():
        if not isinstance(one, nnx.Optimizer):
            raise TypeError(
                f"optimizer={type(one).__qualname__} is none that goes with a Flax NNX module; expected a "
                f"flax.nnx.Optimizer, or a dict or list of them: nnx.Optimizer(model, optax.adam(0.001), wrt=nnx.Param)"
            )
    return named
