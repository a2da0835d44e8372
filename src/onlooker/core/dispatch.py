"""`Dispatcher`: which callbacks listen to which hook, as plain tuples, and the call of them all.

Owns who is attached. The hot path is `line`, what a callback overrides is found out by `attach`, what becomes of one
that raises is decided by `faults`; when hooks come is the host's business, with the help of `scopes`.
"""

from __future__ import annotations

from .attach import (
    FIRST_RANK,
    check_callback,
    check_needs,
    check_trigger,
    find_trigger,
    heard_hooks,
    is_same,
    listed,
    settings,
)
from .errors import AttachError
from .faults import STAGE_ENDS, Faults, graver
from .gate import Gate
from .hooks import HOOKS
from .line import Line
from .names import check_model_is_seen
from .run import ALONE, Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol

    from .callback import Callback

    class StageHook(Protocol):
        """What a host calls for the begin and end of train, test and predict."""

        def __call__(self, logs: Any = None) -> None:
            """Call all who listen."""

    class IndexedHook(Protocol):
        """What a host calls for epochs and batches."""

        def __call__(self, index: int, logs: Any = None) -> None:
            """Call all who listen."""


class Dispatcher:
    """Calls the callbacks: one attribute per hook, called with the hook's own arguments. All that a host calls.

    What each callback overrides is found out once, here; a hook to which nobody listens costs a look at an empty tuple.
    `logs` may be left out, and is then an empty `Logs`.

    Args:
        callbacks: in the order in which they are called.
        run: what they are given as `self.run`, with its `model` and `params`. None makes one that stands nowhere.

    Attributes:
        listens: says whether anybody listens to a hook, for hosts that can save the work of preparing its logs.

    Raises:
        AttachError: a callback is refused; the message says which and why.

    Example:
        >>> from onlooker.core.callback import Callback
        >>> class Watch(Callback):
        ...     def on_epoch_end(self, epoch, logs):
        ...         print(epoch, dict(logs))
        >>> dispatcher = Dispatcher([Watch()])
        >>> dispatcher.on_epoch_end(0, {"loss": 0.5})
        0 {'loss': 0.5}
        >>> dispatcher.on_train_end()  # nobody listens
    """

    listens: Callable[[str], bool]
    on_train_begin: StageHook
    on_train_end: StageHook
    on_epoch_begin: IndexedHook
    on_epoch_end: IndexedHook
    on_train_batch_begin: IndexedHook
    on_train_batch_end: IndexedHook
    on_test_begin: StageHook
    on_test_end: StageHook
    on_test_batch_begin: IndexedHook
    on_test_batch_end: IndexedHook
    on_predict_begin: StageHook
    on_predict_end: StageHook
    on_predict_batch_begin: IndexedHook
    on_predict_batch_end: IndexedHook

    def __init__(self, callbacks: Iterable[Callback] = (), run: Run | None = None) -> None:
        self.run = Run() if run is None else run
        self._callbacks: tuple[Callback, ...] = ()
        self._attached: set[int] = set()
        self._faults = Faults(self.run, self._silence)
        self._lines: dict[str, Line] = {}
        self._heard: set[str] = set()
        self._settings: dict[int, dict[str, Any]] = {}  # by the identity of the callback: what it has set on itself
        self.listens = self._heard.__contains__
        for hook, scope in HOOKS.items():
            line = self._lines[hook] = Line(hook, self._recover)
            setattr(self, hook, line.call if scope.index is None else line.call_indexed)
        self.on_train_begin = self._begin_training
        self._attach(listed(callbacks))

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """The attached callbacks, in order."""
        return self._callbacks

    def line(self, hook: str) -> Line:
        """Return the listeners of a hook, for a host that calls them in its own loop."""
        return self._lines[hook]

    def add(self, callback: Callback) -> None:
        """Attach one more callback, after the others.

        Raises:
            AttachError: it is refused, is attached already, or is in another run that is under way.
        """
        self._attach([callback])

    def check(self, callback: Callback) -> dict[str, Callable[..., None]]:
        """Refuse what cannot be attached, and attach nothing; return what would be called for each hook.

        Raises:
            AttachError: it is refused, is attached already, or is in another run that is under way.
        """
        check_callback(callback)
        name = type(callback).__name__
        if id(callback) in self._attached:
            raise AttachError(f"the same instance of {name} was passed twice; pass it once, or make two instances")
        self._check_free(callback)
        if self.run.view.is_replaced:
            check_model_is_seen(callback)
        check_needs(callback, self.run.host, self.run.view if self.run.host is not ALONE else None)
        return self._gated(callback, heard_hooks(callback))

    def join(self, callback: Callback) -> None:
        """Attach a callback to a training under way: it alone gets `on_train_begin`."""
        self.add(callback)
        line = self._lines["on_train_begin"]
        alone = Line("on_train_begin", self._recover)
        alone.owners = line.owners
        alone.calls = tuple(call for call in line.calls if line.owners[id(call)] is callback)
        alone.call()
        self._hear_anew(callback)

    def claim(self) -> None:
        """Take hold of the callbacks at the start of a run: in between, another may have taken them.

        Raises:
            AttachError: one is in another run that is under way.
        """
        for callback in self._callbacks:
            self._bind(callback)

    def remove(self, callback: Callback) -> None:
        """Detach a callback. It gets no more hooks.

        Raises:
            AttachError: it is not attached.
        """
        if id(callback) not in self._attached:
            raise AttachError(f"this instance of {type(callback).__name__} is not attached")
        self._attached.discard(id(callback))
        self._settings.pop(id(callback), None)
        for hook in self._lines:
            self._unhear(hook, callback)
        self._callbacks = self.run.callbacks = tuple(other for other in self._callbacks if other is not callback)
        self.run.sinks[:] = [keep for keep in self.run.sinks if getattr(keep, "__self__", None) is not callback]

    def _attach(self, callbacks: list[Callback]) -> None:
        """Attach callbacks after the others. The tuples are built once for them all: a thousand cost no more each."""
        calls: dict[str, list[Callable[..., None]]] = {}
        for callback in callbacks:
            heard = self.check(callback)
            self._attached.add(id(callback))
            self._bind(callback)
            if callback.only_on == FIRST_RANK and self.run.rank != 0:
                continue  # attached, so that what it is asked for is there, but it hears nothing in this process
            self._settings[id(callback)] = settings(callback)
            self._warn_if_never_called(callback, heard)
            for hook, call in heard.items():
                calls.setdefault(hook, []).append(self._lines[hook].own(call, callback))
            keep = getattr(callback, "keep", None)
            if callable(keep):
                self.run.sinks.append(keep)
        for hook, more in calls.items():
            self._lines[hook].calls += tuple(more)
            self._heard.add(hook)
        self._callbacks = self.run.callbacks = (*self._callbacks, *callbacks)

    def _begin_training(self, logs: Any = None) -> None:
        self._hear_anew()
        self._lines["on_train_begin"].call(logs)
        self._hear_anew()

    def _hear_anew(self, only: Callback | None = None) -> None:
        """Hear the hooks that callbacks have set on themselves since they were attached, as some do when it begins.

        Args:
            only: the one that may have; None for all.

        Raises:
            AttachError: one of them is refused.
        """
        for position, callback in enumerate(self._callbacks):
            before, now = self._settings.get(id(callback)), settings(callback)
            if before is None or is_same(before, now) or (only is not None and only is not callback):
                continue
            check_callback(callback)
            heard = self._gated(callback, heard_hooks(callback))
            self._settings[id(callback)] = now
            if now.keys() - before.keys():
                self._warn_if_never_called(callback, heard)
            earlier = {id(other) for other in self._callbacks[:position]}
            for hook, line in self._lines.items():
                line.place(callback, heard.get(hook), earlier)
                (self._heard.add if line.calls else self._heard.discard)(hook)

    def _warn_if_never_called(self, callback: Callback, heard: Iterable[str]) -> None:
        at_work = [hook for hook in heard if hook not in callback.tidies_in]
        self.run.host.warn_if_never_called(type(callback).__name__, at_work)

    def _check_free(self, callback: Callback) -> None:
        other = callback.__dict__.get("run")
        if other is not None and other is not self.run and other.is_live:
            raise AttachError(
                f"this instance of {type(callback).__name__} is already in a run that is under way ({other!r}); "
                f"make another instance"
            )

    def _bind(self, callback: Callback) -> None:
        self._check_free(callback)
        callback.run, callback.params = self.run, self.run.params
        if self.run.view.is_replaced:  # looked up each time, in the run
            vars(callback).pop("model", None)
        else:
            callback.model = self.run.model

    def _gated(self, callback: Callback, heard: dict[str, Callable[..., None]]) -> dict[str, Callable[..., None]]:
        """Put the triggers in front of the calls that have one; the others are called directly."""
        whole = callback.when
        shared = None if whole is None else Gate(whole, self.run)
        calls = {}
        for hook, method in heard.items():
            own = find_trigger(callback, hook, method)
            call = method
            if own is not None:
                check_trigger(callback, hook, own)
                call = Gate(own, self.run).wrap(hook, call)
            if shared is not None and whole is not None and HOOKS[hook].index is not None:
                check_trigger(callback, hook, whole)
                call = shared.wrap(hook, call)
            calls[hook] = call
        return calls

    def _recover(
        self,
        line: Line,
        error: BaseException,
        calls: tuple[Callable[..., None], ...],
        failed: Callable[..., None] | None,
        given: tuple[Any, ...],
    ) -> None:
        """Deal with a hook that raised, call all that come after it, then raise what has to be raised.

        After Ctrl-C too: the ends of what is open will reach them all, and none may get an end without its begin.
        """
        judge, owners = self._faults.judge, line.owners
        first = error if failed is None else judge(owners[id(failed)], line.hook, error, given)
        position = next((number for number, call in enumerate(calls) if call is failed), -1)
        for call in calls[position + 1 :]:
            try:
                call(*given)
            except BaseException as later:
                first = graver(first, judge(owners[id(call)], line.hook, later, given))
        if first is not None:
            raise first

    def _silence(self, owner: Callback) -> None:
        self._settings.pop(id(owner), None)
        for hook in self._lines:
            if hook not in STAGE_ENDS:
                self._unhear(hook, owner)

    def _unhear(self, hook: str, owner: Callback) -> None:
        line = self._lines[hook]
        line.remove(owner)
        if not line.calls:
            self._heard.discard(hook)
