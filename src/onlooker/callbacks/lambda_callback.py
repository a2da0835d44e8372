"""`Lambda`: a callback made of functions, for what is not worth a class.

Owns the check of the names it is given. What a function must look like is checked by `core.attach`, as for any
callback.
"""

from __future__ import annotations

from onlooker.core.attach import check_callback, heard_hooks
from onlooker.core.callback import Callback
from onlooker.core.errors import AttachError
from onlooker.core.hooks import ALIASES, HOOKS
from onlooker.core.spelling import nearest_hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from onlooker.core.trigger import Trigger

    IndexedFunction = Callable[[int, Any], Any] | None
    StageFunction = Callable[[Any], Any] | None


class Lambda(Callback):
    """Calls functions as its hooks.

    Each hook is an argument by its own name, for a function with that hook's arguments: `(epoch, logs)`, `(batch,
    logs)`, or `(logs)` for the begin and end of a stage. What a function returns does not matter. `self` is not among
    the arguments; whoever needs the run keeps the callback: `watch.run`.

    Acts in the hooks that are given. Reads and writes the logs that its functions do.

    Args:
        on_epoch_begin: called with `(epoch, logs)`, and so on for all fourteen hooks; None (default) for nothing. The
            first six may be given by position, as in Keras.
        when: a `Trigger` that decides which epoch and batch hooks come through; None (default) for all.
        on_error: what happens when a function raises: `"raise"` (default), `"warn"` or `"disable"`.

    Raises:
        AttachError: a name is no hook, or a function does not take its arguments; with the nearest right name.

    Source: `keras.callbacks.LambdaCallback`; it is known by that name too.

    Example:
        >>> import onlooker as ol
        >>> watch = ol.callbacks.Lambda(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
        >>> with ol.Loop(model=None, callbacks=[watch]) as loop:
        ...     for epoch in loop.epochs(2):
        ...         for number in loop.train([1.0, 2.0]):
        ...             loop.log(loss=number)
        0 1.5
        1 1.5
        >>> ol.callbacks.Lambda(on_epoch_ends=print)
        Traceback (most recent call last):
            ...
        onlooker.core.errors.AttachError: Lambda(on_epoch_ends=...) names no hook; did you mean on_epoch_end?
    """

    def __init__(
        self,
        on_epoch_begin: IndexedFunction = None,
        on_epoch_end: IndexedFunction = None,
        on_train_begin: StageFunction = None,
        on_train_end: StageFunction = None,
        on_train_batch_begin: IndexedFunction = None,
        on_train_batch_end: IndexedFunction = None,
        *,
        on_test_begin: StageFunction = None,
        on_test_end: StageFunction = None,
        on_test_batch_begin: IndexedFunction = None,
        on_test_batch_end: IndexedFunction = None,
        on_predict_begin: StageFunction = None,
        on_predict_end: StageFunction = None,
        on_predict_batch_begin: IndexedFunction = None,
        on_predict_batch_end: IndexedFunction = None,
        when: Trigger | None = None,
        on_error: str = "raise",
        **others: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in HOOKS}
        for name, function in {**given, **others}.items():
            if name not in HOOKS and name not in ALIASES:
                guess = nearest_hook(name)
                hint = f"did you mean {guess}?" if guess else f"expected one of {', '.join(HOOKS)}"
                raise AttachError(f"Lambda({name}=...) names no hook; {hint}")
            if function is not None:
                setattr(self, name, function)
        self.when = when
        self.on_error = on_error
        check_callback(self)
        heard_hooks(self)  # refuses a function that does not take its arguments: here, where it was written
