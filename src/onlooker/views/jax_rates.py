"""Learning rates within the states of optax, where `optax.inject_hyperparams` has put them.

Owns finding, reading and replacing them. That a state with another rate is a new one is the views' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax

from onlooker.core.errors import AbsentError

from .jax_leaves import name_of, number_like, value_of

RATE = "learning_rate"
HOW = (
    "its optimizer keeps the learning rate in compiled code; write "
    "optax.inject_hyperparams(optax.adam)(learning_rate=0.001), and have the optimizer's state in the loop's state"
)
"""Why there is no learning rate, and what to write."""


def is_injected(node: object) -> bool:
    """Say whether a node is the state of an optimizer with a learning rate that can be read."""
    return isinstance(node, tuple) and RATE in (getattr(node, "hyperparams", None) or ())


def find_rates(state: Any) -> dict[str, Any]:
    """Return every node of a state that holds a learning rate, by its place: `"generator"`; `""` where it is alone."""
    found = [(name_of(path), node) for path, node in _walk(state) if is_injected(node)]
    if len(found) == 1:
        return {"": found[0][1]}
    short = [".".join(word for word in name.split(".") if word != "opt_state") for name, _ in found]
    names = short if len(set(short)) == len(short) and all(short) else [name for name, _ in found]
    return dict(zip(names, (node for _, node in found), strict=True))


def read_rates(state: Any) -> dict[str, float]:
    """Return the learning rates of a state, fetched in one transfer."""
    nodes = find_rates(state)
    values = jax.device_get([value_of(node.hyperparams[RATE]) for node in nodes.values()])
    return {name: float(value) for name, value in zip(nodes, values, strict=True)}


def check_free(name: str, node: Any) -> None:
    """Refuse to set a rate that the next step overwrites.

    Raises:
        AbsentError: it follows a schedule.
    """
    if RATE in (getattr(node, "hyperparams_states", None) or ()):
        which = f" {name!r}" if name else ""
        raise AbsentError(
            f"the learning rate{which} follows a schedule, which the next step computes anew; to set it, give "
            f"optax.inject_hyperparams a number"
        )


def with_rates(state: Any, rates: dict[str, float]) -> Any:
    """Return a state with other learning rates; all else in it is the same."""
    nodes = find_rates(state)
    new = {id(nodes[name]): rate for name, rate in rates.items()}

    def put(node: Any) -> Any:
        if id(node) not in new:
            return node
        rate = number_like(node.hyperparams[RATE], new[id(node)])
        return node._replace(hyperparams={**node.hyperparams, RATE: rate})

    return jax.tree_util.tree_map(put, state, is_leaf=is_injected)


def new_rates(nodes: dict[str, Any], known: dict[str, float], value: float | dict[str, float]) -> dict[str, float]:
    """Return the rates to set by name, as somebody asks for them: one number for all, or several by name.

    Raises:
        AbsentError: one of them follows a schedule.
        ValueError: a name is unknown, or one number is to stand for rates that differ.
    """
    if isinstance(value, dict):
        if unknown := [name for name in value if name not in known]:
            raise ValueError(f"no learning rate is called {', '.join(map(repr, unknown))}; known: {', '.join(known)}")
        rates = {name: float(rate) for name, rate in value.items()}
    elif len(set(known.values())) > 1:
        raise ValueError(
            f"the learning rates differ ({', '.join(f'{name}: {rate:g}' for name, rate in known.items())}), "
            f"so one number cannot stand for all; use run.scale_learning_rate(factor), or set a dict"
        )
    else:
        rates = dict.fromkeys(known, float(value))
    for name in rates:
        check_free(name, nodes[name])
    return rates


def _walk(state: Any) -> Iterator[tuple[Any, Any]]:
    yield from jax.tree_util.tree_leaves_with_path(state, is_leaf=is_injected)
