"""`Roster`: who stands in a list of Keras', ours and Keras' own, and who of them is called by whom.

Owns the order. Ours and those of Keras' that come before one of ours are called by one dispatcher. At a batch's end,
those that come behind are left to Keras, which may have a thread call them while the training goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onlooker.core.attach import check_callback, check_needs, heard_hooks
from onlooker.core.callback import Callback
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AttachError
from onlooker.core.hooks import HOOKS
from onlooker.hosts.declared.keras import on_backend

from .guest import call_with_index, hears, make_guest
from .keras_run import KerasRun

if TYPE_CHECKING:
    from .keras_host import KerasHost

BATCH_ENDS = tuple(hook for hook, scope in HOOKS.items() if scope.index == "batch" and hook == scope.end)
"""The hooks that Keras may call from another thread, once the batch is long over."""


class Roster:
    """The members of one list.

    Args:
        members: all of them, in order.

    Attributes:
        own: those that are ours.

    Raises:
        AttachError: one of ours is refused.
    """

    def __init__(self, members: list[Any]) -> None:
        self.members = members
        self.own = [member for member in members if isinstance(member, Callback)]
        self._waiting: dict[str, list[Any]] = {}
        for callback in self.own:
            check_callback(callback)
            if sum(callback is other for other in self.own) > 1:
                name = type(callback).__name__
                raise AttachError(f"the same instance of {name} was passed twice; pass it once, or make two instances")

    def bind(self, run: KerasRun) -> None:
        """Show each of ours its run. The model they find through the run, which gives a current one.

        Raises:
            AttachError: one needs what Keras cannot give.
        """
        for callback in self.own:
            check_needs(callback, run.host)
            callback.run, callback.params = run, run.params
            vars(callback).pop("model", None)

    def dispatcher(self, host: KerasHost) -> Dispatcher:
        """Attach every member for a run that begins.

        Raises:
            AttachError: one of ours is refused.
        """
        dispatcher = Dispatcher(run=host.run)
        heard = [heard_hooks(one) if isinstance(one, Callback) else None for one in self.members]
        self._waiting = {hook: [] for hook in BATCH_ENDS}
        for position, member in enumerate(self.members):
            if isinstance(member, Callback):
                dispatcher.add(member)
                continue
            behind = [one for one in heard[position:] if one is not None]
            waiting = [hook for hook in BATCH_ENDS if hears(member, hook) and not any(hook in one for one in behind)]
            for hook in waiting:
                self._waiting[hook].append(member)
            dispatcher.add(make_guest(member, waiting, host))
        self.bind(host.run)
        host.run.callbacks = tuple(self.own)
        return dispatcher

    def check_outputs(self, run: KerasRun, stage: str) -> bool:
        """Say whether somebody asks for the model's outputs in training or evaluation.

        Raises:
            AttachError: somebody does, but Keras' step is compiled on this backend.
        """
        asking = [callback for callback in self.own if "outputs" in callback.needs and stage != "predict"]
        if asking and run.view.backend != "torch":
            reason = on_backend(run.view.backend).abilities["outputs"].reason
            raise AttachError(f"{type(asking[0]).__name__} needs 'outputs' in {stage}: {reason}")
        return bool(asking)

    def has_waiting(self, hook: str) -> bool:
        """Say whether somebody is left to Keras at a batch's end."""
        return bool(self._waiting.get(hook))

    def call_waiting(self, hook: str, index: int, logs: Any, run: KerasRun) -> None:
        """Call those who are left to Keras, now that it has come to them."""
        for member in self._waiting.get(hook, ()):
            call_with_index(member, hook, index, logs)
            run.notice_flag(type(member).__name__)
