"""`Adapter`: what the adapters of foreign trainers have in common: each says so where it, or a callback, is misplaced.

Owns these words. How a trainer is followed is in `follower`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from onlooker.core.asked import ADAPTERS, Asked
from onlooker.core.callback import Callback
from onlooker.core.declaration import Declaration
from onlooker.core.errors import AttachError
from onlooker.views.foreign import OWNERS

if TYPE_CHECKING:
    from .follower import Follower

_ASKED_BY_KERAS = "on_batch_end"


class Adapter:
    """What a foreign trainer is given, and runs callbacks of ours in it.

    Attributes:
        follower: what follows the trainer.
    """

    follower: Follower

    def __init_subclass__(cls, **given: Any) -> None:
        """Give an answer to what other trainers ask their own callbacks for."""
        super().__init_subclass__(**given)
        for name in (*ADAPTERS, _ASKED_BY_KERAS):
            if not hasattr(cls, name):
                setattr(cls, name, Asked(name, cls._refuse))

    def _refuse(self, name: str) -> NoReturn:
        if name == _ASKED_BY_KERAS:
            raise AttachError(self.where_it_belongs())
        raise self.misplaced(ADAPTERS[name])

    def __call__(self, *given: Any) -> None:
        """Say what is wrong: of all trainers LightGBM calls its callbacks."""
        raise self.misplaced("for_lightgbm")

    @property
    def _as_written(self) -> str:
        """The callbacks as one writes them."""
        return ", ".join(f"{type(callback).__name__}()" for callback in self.follower.callbacks)

    def misplaced(self, wanted: str) -> AttachError:
        """Return the error to raise in a trainer of another kind.

        Args:
            wanted: the name of the adapter for that kind.
        """
        declaration = self.follower.declaration
        return AttachError(
            f"{_adapter_for(declaration)} is for {declaration.name}, and this trainer is another: "
            f"write callbacks=[onlooker.{wanted}({self._as_written})]"
        )

    def where_it_belongs(self) -> str:
        """Return what to say in a trainer that needs no adapter: `Loop`, `Trainer`, `fit_sklearn` and Keras."""
        declaration = self.follower.declaration
        return (
            f"what {_adapter_for(declaration)} returned belongs in the callbacks=[...] of {declaration.name} itself; "
            f"here no adapter is needed: write callbacks=[{self._as_written}]"
        )

    def check_alone(self, callbacks: Iterable[Any]) -> None:
        """Refuse to stand in a trainer's list of callbacks twice.

        Raises:
            AttachError: it does.
        """
        if sum(callback is self for callback in callbacks) > 1:
            name = _adapter_for(self.follower.declaration)
            raise AttachError(
                f"what {name} returned was passed twice to one trainer; pass it once, or call {name} once more, with "
                f"other callbacks"
            )


def why_asked(adapters: Iterable[Adapter]) -> str:
    """Return why one of several adapters in a training was asked to stop: it ends all their runs; empty for none.

    A wish that comes when its run has ended is none: it came too late.
    """
    runs = [adapter.follower.run for adapter in adapters if "run" in vars(adapter.follower)]
    return next((run.reason for run in runs if run.is_stop_requested and run.outcome in (None, "stopped")), "")


def check_given(callback: object, declaration: Declaration) -> None:
    """Refuse what people put into an adapter that belongs beside it, or nowhere.

    Raises:
        AttachError: it is a list, a class, an adapter, or a callback that some other library knows.
    """
    adapter = _adapter_for(declaration)
    kind = type(callback)
    takes_a_list = adapter.endswith("fit_sklearn")
    if not takes_a_list:
        _refuse_classes(callback if isinstance(callback, list | tuple) else (callback,), adapter)
    if isinstance(callback, list | tuple):
        if takes_a_list:
            raise AttachError(
                f"{adapter} takes one list of callbacks, but a {kind.__name__} is in it: {callback!r:.60}"
            )
        raise AttachError(f"{adapter} takes callbacks one by one, not a {kind.__name__}: {adapter}(*callbacks)")
    if isinstance(callback, Adapter):
        other = callback.follower.declaration
        raise AttachError(
            f"a callback must be an onlooker.Callback, but {adapter} was given what {_adapter_for(other)} returned: "
            f"that is for the callbacks=[...] of {other.name} itself. Give {adapter} the callbacks in it"
        )
    owners = (OWNERS.get(base.__module__.partition(".")[0]) for base in kind.__mro__)
    owner = next((owner for owner in owners if owner is not None), None)
    if owner is None or isinstance(callback, Callback):
        return
    what_to_do = f"it runs in {owner} only"
    if owner == declaration.name:
        what_to_do = f"pass it beside the adapter: callbacks=[{kind.__name__}(...), {adapter}(...)]"
    elif owner == "Keras":
        what_to_do = "it runs in Keras, onlooker.Loop and onlooker.Trainer"
    raise AttachError(
        f"a callback must be an onlooker.Callback, but {kind.__name__} is a callback of {owner}: {what_to_do}"
    )


def _refuse_classes(callbacks: Iterable[object], adapter: str) -> None:
    """Refuse a class in the place of an instance, as it is written with an adapter."""
    for callback in callbacks:
        if isinstance(callback, type):
            name = callback.__name__
            raise AttachError(f"{name} is a class; pass an instance: {adapter}({name}())")


def _adapter_for(declaration: Declaration) -> str:
    """Return the name of the function that makes the adapter, as users write it."""
    found = re.search(r"onlooker\.\w+", declaration.use)
    return found[0] if found else f"the adapter for {declaration.name}"
