"""A look at the state of a JAX loop: a tree that never changes, and is replaced with each step.

Owns which state is the present one, and that nobody reads one that was donated. Which part of it is parameters is in
`jax_parameters`, learning rates are in `jax_rates`, the file of `run.save` is in `jax_file`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from typing import Any

import jax

from onlooker.arrays.handed_out import handed_out
from onlooker.core.errors import AbsentError, LoopError
from onlooker.core.view import ModelView
from onlooker.inside import Look

from . import jax_file
from .jax_leaves import is_deleted
from .jax_parameters import parameters
from .jax_random import load_random_state, random_state
from .jax_rates import HOW, find_rates, new_rates, read_rates, with_rates
from .shared_random import SharedRandom

DONATED = (
    "the state was donated to a step, and its arrays are deleted; assign the new one before anybody reads it: "
    "loop.state, loss = step(loop.state, ...)"
)
NO_GRADIENTS = "the loop's body hands over no gradients; return them from the step and write loop.gradients = gradients"

NO_ACTIVATIONS = "a step of JAX is compiled, and what is computed in its midst never leaves it"


def has_arrays(model: Any) -> bool:
    """Say whether a model is a tree with JAX's arrays in it."""
    return any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(model))


def check_value(model: Any) -> None:
    """Refuse a tree with objects of Flax NNX in it: they look like trees, but are no values.

    Raises:
        TypeError: there is one.
    """

    def is_object(node: object) -> bool:
        return any(
            kind.__module__.startswith("flax.nnx") and kind.__name__ in ("Module", "Optimizer")
            for kind in type(node).__mro__
        )

    if any(map(is_object, jax.tree_util.tree_leaves(model, is_leaf=is_object))):
        raise TypeError(
            f"there are modules or optimizers of Flax NNX within a {type(model).__qualname__}; they change in place, "
            f"so pass them by themselves: Loop(model, optimizer), and several as a dict of each"
        )


class JaxView(ModelView):
    """A look at a state of JAX: parameters, the optimizer's state, and whatever else the loop carries along.

    Args:
        model: the state, any tree with arrays in it; an Equinox module is one.
        optimizer: must be None: the state of an optimizer is part of the state.

    Raises:
        TypeError: an optimizer was passed.
    """

    family = "jax"
    is_replaced = True
    reason = "it is a state of JAX"

    def __init__(self, model: Any, optimizer: Any = None) -> None:
        if optimizer is not None:
            raise TypeError(
                f"an optimizer was passed with a state of JAX ({type(optimizer).__qualname__}); what changes is the "
                f"optimizer's state, and that is part of the state: "
                f"Loop({{'params': params, 'opt_state': optimizer.init(params)}})"
            )
        self.has_moved = False
        self._changed_by = ""  # what a callback did to the state, until the loop's body has read it
        self._leaves: list[Any] | None = None
        self._stepped: Callable[..., None] | None = None
        self._gradients: Any = None
        self._has_trained = False
        super().__init__(model)

    # The state.

    @property
    def model(self) -> Any:
        """The present state.

        Raises:
            LoopError: it was donated, and there is no new one yet.
        """
        if self._leaves is None:
            self._leaves = jax.tree_util.tree_leaves(self._state)
        if any(map(is_deleted, self._leaves)):
            raise LoopError(DONATED)
        return self._state

    @model.setter
    def model(self, model: Any) -> None:
        self._state, self._leaves, self._is_fresh = model, None, True

    def read(self, is_body: bool) -> Any:
        """Return the present state.

        Args:
            is_body: whether it is read to go on from there, by the loop's body.
        """
        # To look at every array would cost the loop something in each batch, so that is done only where the body reads
        # what it has read before: it may have donated it since.
        state = self._state if self._is_fresh and (is_body or self.has_moved) else self.model
        if is_body:
            self._is_fresh, self._changed_by = False, ""
        return state

    def replace(self, model: Any) -> None:
        """Take the state that a step has returned; the one before is let go.

        Raises:
            LoopError: it was computed from a state that a callback has replaced since.
        """
        if self._changed_by:
            changed, self._changed_by = self._changed_by, ""
            raise LoopError(
                f"{changed} has changed loop.state, and the loop's body did not read it, so the change would be lost; "
                f"begin each step from there: loop.state, loss = step(loop.state, ...)"
            )
        self.model = model
        self.has_moved = True
        if self._stepped is not None:
            self._stepped()
            self._has_trained = True

    def _change(self, state: Any, what: str) -> None:
        self.model = state
        self._changed_by = what

    def count_steps(self, stepped: Callable[..., None]) -> Callable[[], None] | None:
        """Count the train batches in which the state was assigned."""
        self._stepped = stepped

        def undo() -> None:
            self._stepped = None

        return undo

    # What is in it.

    def weights(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the arrays by the path of their parameter: `"layers.0.weight"`. What is donated is deleted."""
        return {name: array for name, array in self._parameters() if pattern is None or fnmatchcase(name, pattern)}

    def give_gradients(self, gradients: Any) -> None:
        """Take the gradients that the loop's body hands over."""
        self._gradients = gradients

    def gradients(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the gradients that were handed over last; none before the first step."""
        if self._gradients is None:
            if self._has_trained:
                raise AbsentError(f"gradients cannot be had: {NO_GRADIENTS}")
            return {}
        found = dict(self._named_gradients())
        if any(map(is_deleted, found.values())):
            raise LoopError("the gradients were donated to a step, and are deleted; do not donate what callbacks read")
        return {name: array for name, array in found.items() if pattern is None or fnmatchcase(name, pattern)}

    def handed_out(self, arrays: dict[str, Any], numpy: bool, copy: bool) -> dict[str, Any]:
        """Return arrays by name, as NumPy's where asked for, and as copies where asked for."""
        return handed_out(arrays, numpy, copy)

    def lacks(self, ability: str) -> str | None:
        """Return why an ability is missing: a learning rate has to be in the state."""
        if ability in ("learning_rate", "set_learning_rate") and not find_rates(self._rated()):
            return HOW
        return NO_ACTIVATIONS if ability == "activations" else super().lacks(ability)

    def get_learning_rate(self) -> float | dict[str, float]:
        """Return the one rate, or all of them by their place in the state."""
        rates = self._read_rates()
        return next(iter(rates.values())) if len(set(rates.values())) == 1 else rates

    def set_learning_rate(self, value: float | dict[str, float]) -> None:
        """Put other rates into the state: a new one, which the next step has to begin from."""
        self._set_rates(new_rates(find_rates(self._rated()), self._read_rates(), value))

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply every rate by a factor."""
        known = self._read_rates()
        scaled = {name: rate * factor for name, rate in known.items()}
        self._set_rates(new_rates(find_rates(self._rated()), known, scaled))

    def observing(self, seed: int | None = None, gradients: bool = False) -> AbstractContextManager[None]:
        """Keep the random states of Python and NumPy. A state of JAX cannot change, and its keys are explicit."""
        return self._observing(seed)

    @contextmanager
    def _observing(self, seed: int | None) -> Iterator[None]:
        kept = self._state, self._changed_by
        with SharedRandom(seed):
            try:
                yield
            finally:
                if self._state is not kept[0]:
                    self.model, self._changed_by = kept

    # Saving.

    def state_dict(self) -> dict[str, Any]:
        """Return the state and the random states."""
        return {"state": self._whole(), "random": random_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._put_whole(state["state"])
        load_random_state(state["random"])

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write the arrays and numbers of the state to a `.npz` file; its structure is the program's."""
        jax_file.write(path, self._whole(), random_state(), extra)

    def load(self, path: str) -> dict[str, Any]:
        """Take back what `save` wrote of a state with the same structure. Reading it runs no code."""
        state, random, extra = jax_file.read(path, self._structure())
        self._put_whole(state)
        load_random_state(random)
        return extra

    def flag_holders(self) -> tuple[dict[str, Any], ...]:
        """Return none: a state takes no attributes, so only `run.stop` stops."""
        return ()

    def look(self) -> Look:
        """Return what tensors are given to, to be told together what they look like."""
        return Look()

    def process_count(self) -> int:
        """Return how many processes train together."""
        return int(jax.process_count())

    def process_rank(self) -> int:
        """Return which of them this one is, from 0."""
        return int(jax.process_index())

    # What a subclass has elsewhere.

    def _parameters(self) -> Iterator[tuple[str, Any]]:
        return parameters(self.model)

    def _named_gradients(self) -> Iterator[tuple[str, Any]]:
        return parameters(self._gradients)

    def _rated(self) -> Any:
        """Return the tree in which there may be learning rates."""
        return self._state

    def _whole(self) -> Any:
        """Return the tree of all that is saved."""
        return self.model

    def _structure(self) -> Any:
        """Return a tree with the structure of `_whole`; its arrays may be deleted."""
        return self._state

    def _put_whole(self, state: Any) -> None:
        self._change(state, "run.load")

    def _read_rates(self) -> dict[str, float]:
        _ = self.model  # refuses one that was donated
        rates = read_rates(self._rated())
        if not rates:
            raise AbsentError(f"the learning rate cannot be had: {HOW}")
        return rates

    def _set_rates(self, rates: dict[str, float]) -> None:
        self._change(with_rates(self._state, rates), "a callback that set the learning rate")
