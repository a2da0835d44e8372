"""Which part of a JAX state is its parameters, and what they are called.

A loop in JAX carries all that it changes in one state, of whatever shape its author likes. The rule, from outside in:

- Flax NNX has its own word, `Param`; that is in `nnx`.
- A dict, a named tuple or a dataclass with `params`, or else `model`: that part, as in Flax's `TrainState`. An Equinox
  module counts as such only if it also carries an optimizer's state: a layer may well have a field of that name.
- A dict of such states, for several models: each, with the model's name in front.
- A pair, such as `(model, opt_state)`: the one part that holds any.
- Anything else: all of it.

Of these, the floating arrays, without what is in the states of optax and in Equinox' `nn.State`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax

from .jax_leaves import is_of, named_arrays

PARTS = ("params", "model")
"""The names under which a state holds its parameters; the first that is there."""


def parameters(state: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of a state by name, each an array on its device.

    Example:
        >>> import jax.numpy as jnp
        >>> state = {"params": {"layer1": {"kernel": jnp.ones((2, 3))}}, "opt_state": {"count": jnp.zeros(())}}
        >>> [name for name, array in parameters(state)]
        ['layer1.kernel']
    """
    for prefix, part in _parts(state):
        for name, array in named_arrays(part, is_no_parameter):
            yield ".".join(word for word in (prefix, name) if word), array


def is_optax(node: object) -> bool:
    """Say whether a node is part of an optimizer's state."""
    return is_of(node, "optax")


def is_no_parameter(node: object) -> bool:
    """Say whether what a node holds is no parameter of any model: an optimizer's state, or running statistics."""
    return is_optax(node) or is_of(node, "equinox", "State")


def _parts(state: Any) -> list[tuple[str, Any]]:
    part = _part(state)
    if part is not None:
        return [("", part)]
    if isinstance(state, Mapping) and any(_part(one) is not None for one in state.values()):
        return [
            (".".join(word for word in (str(name), within) if word), part)
            for name, one in state.items()
            for within, part in _parts(one)
        ]
    if type(state) in (tuple, list):
        holding = [one for one in state if next(named_arrays(one, is_no_parameter), None) is not None]
        if len(holding) == 1:
            return _parts(holding[0])
    return [("", state)]


def _part(state: Any) -> Any:
    """Return the part of a state that is its parameters, or None where it has no such part."""
    fields = getattr(state, "_fields", getattr(state, "__dataclass_fields__", ()))
    for name in PARTS:
        if isinstance(state, Mapping):
            if name in state:
                return state[name]
        elif name in fields and (not is_of(state, "equinox") or _has_optimizer(state)):
            return getattr(state, name)
    return None


def _has_optimizer(state: Any) -> bool:
    return any(is_optax(node) for node in jax.tree_util.tree_leaves(state, is_leaf=is_optax))
