"""Boosters in which we see what a round raises, as long as they are trained.

A booster gets another class for the time of its training, and its own one back. Owns these classes; whom they tell is
said by the `MARK` on the booster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from lightgbm import Booster, CVBooster

METHODS = ("update", "eval_train", "eval_valid")
"""Those in which a round's work is done, and the user's objectives and metrics are called."""

MARK = "_onlooker_call"
"""Where a booster that is being trained keeps its `Call`."""


def _watched(kind: Any) -> Any:
    """Return a class of boosters like another, in which we see what a round of `train` or `cv` raises.

    Not by functions on the instance: a pickle of it, and a copy, would have them too.
    """

    def method(name: str) -> Callable[..., Any]:
        own = getattr(kind, name, None)  # a pack has none, but makes one when it is asked

        def call(model: Any, *given: Any, **named: Any) -> Any:
            try:
                return own(model, *given, **named) if own else kind.__getattr__(model, name)(*given, **named)
            except BaseException as error:
                watching = vars(model)[MARK]
                if sys._getframe(1).f_code is watching.code:  # else a callback has called it, and may know how to go on
                    watching.cut_off(error)
                raise

        return call

    def reduced(model: Any, protocol: Any) -> Any:
        make, (_, *others), state = kind.__reduce_ex__(model, 0)  # newer protocols ask for the model's own class
        return make, (kind, *others), {name: value for name, value in state.items() if name != MARK}

    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(kind.__name__, (kind,), {**names, "__reduce_ex__": reduced, **{name: method(name) for name in METHODS}})


WATCHED = {kind: _watched(kind) for kind in (Booster, CVBooster)}
"""By class of a booster, the class that it has in training."""
