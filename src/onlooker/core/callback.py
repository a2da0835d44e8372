"""`Callback`: what a user subclasses.

Owns the fourteen methods, the three class-level settings and what a callback knows once it is attached. Finding out
what a subclass overrides is `attach`'s business, calling it is `dispatch`'s.
"""

from __future__ import annotations

from .asked import ADAPTERS, Asked
from .errors import AttachError, NotAttachedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeVar

    from .logs import Logs
    from .run import Run
    from .trigger import Trigger

    Hook = TypeVar("Hook", bound=Callable[..., None])

host_entrances: dict[str, Callable[[Callback, Any], None]] = {}
"""For trainers that call `set_model` themselves: by the root module of the model's class, who takes over."""


def _default(hook: Hook) -> Hook:
    """Mark a hook that does nothing. Keras looks at the same mark to keep its fast path."""
    hook._is_default = True  # type: ignore[attr-defined]
    return hook


def _of_the_run(callback: Callback, name: str) -> Any:
    """Return what the run knows by this name: a host may leave it to the run, where it is looked up each time."""
    run = callback.__dict__.get("run")
    if run is not None:
        return getattr(run, name)
    raise NotAttachedError(
        f"{type(callback).__name__}.{name} is known only while the callback is attached to a run: "
        f"pass the callback to Loop, Trainer or fit first"
    )


def _of_a_trainer(callback: Callback, name: str) -> NoReturn:
    """Say which adapter is missing, where a foreign trainer asks for what its own callbacks have."""
    kind = type(callback).__name__
    # LightGBM asks with a default, which would swallow an AttributeError.
    error = AttachError if name == "before_iteration" else NotAttachedError
    raise error(
        f"{kind} is a callback of Onlooker, and this trainer has callbacks of its own: "
        f"write callbacks=[onlooker.{ADAPTERS[name]}({kind}())]"
    )


class Callback:
    """Looks at a training while it runs: override only the hooks that you need.

    There is nothing else to call: `super().__init__()` is not needed, and a hook may also be assigned on an instance.
    The same instance runs in every host. Keras' older names `on_batch_begin` and `on_batch_end` are taken as
    `on_train_batch_begin` and `on_train_batch_end`.

    Attributes:
        model: the user's own model object; a dict of them where several are trained.
        params: Keras' dict: `epochs` and `steps` (None where unknown) and `verbose`.
        run: the `Run`: where it stands, and what may be asked of it.
        on_error: what happens when a hook raises an `Exception`. `"raise"` (default): all the other callbacks are still
            called, then the error ends the training. `"warn"`: a warning, and on with it. `"disable"`: a warning,
            and the callback gets no more hooks but the ends of the stages.
        when: a `Trigger` that decides which epoch and batch hooks come through, or None (default) for all of them.
        needs: abilities without which the callback makes no sense, for example `("gradients",)`; a host where one is
            absent refuses the callback when it is attached.
        only_on: where several processes train together: `"rank 0"` for a callback that runs in the first of them only,
            as those that write files should; None (default) for one that runs in each.
        tidies_in: hooks in which it does none of its work but tidies up after it. A host that calls these and not those
            of its work says so when it is attached.

    A callback with state adds `state_dict()` and `load_state_dict(state)`; a resumed run loads the state after
    `on_train_begin`. One with a method `keep(record)` is a sink, and gets every record that any callback makes.

    Source: the names and arguments of the hooks are those of `keras.callbacks.Callback`.

    Example:
        >>> class Watch(Callback):
        ...     def on_epoch_end(self, epoch, logs):
        ...         print(epoch, logs["loss"])
        >>> Watch().on_epoch_end(0, {"loss": 0.5})
        0 0.5
    """

    on_error: str = "raise"
    when: Trigger | None = None
    needs: tuple[str, ...] = ()
    only_on: str | None = None
    tidies_in: tuple[str, ...] = ()

    async_safe = True
    """Keras' word for "does not read the logs outside the hook": keeps its fast path. The host sees to it."""

    # The names that a host has bound onto this instance; they never go into a pickle.
    _bound_names: tuple[str, ...] = ()

    if TYPE_CHECKING:
        model: Any
        params: dict[str, Any]
        run: Run
    else:
        model, params, run = (Asked(name, _of_the_run) for name in ("model", "params", "run"))

    @_default
    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once, before the first epoch. `logs` is empty."""

    @_default
    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once at the end, however it came: `run.outcome` says how. `logs` are those of the last epoch."""

    @_default
    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before each epoch, counted from 0. `logs` is empty."""

    @_default
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after each epoch and its validation. `logs`: the epoch's means, the test stage's under `val_`."""

    @_default
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before each batch of training, counted from 0 in each epoch. `logs` is empty."""

    @_default
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after each batch of training. `logs`: means over the epoch so far; `logs.batch`: of this batch."""

    @_default
    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before an evaluation, be it validation within an epoch or one that stands alone."""

    @_default
    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after an evaluation. `logs`: its means, without a prefix."""

    @_default
    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before each batch of an evaluation. `logs` is empty."""

    @_default
    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after each batch of an evaluation. `logs`: means over the evaluation so far."""

    @_default
    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before a prediction. `logs` is empty."""

    @_default
    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after a prediction. `logs` is empty."""

    @_default
    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before each batch of a prediction. `logs` is empty."""

    @_default
    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after each batch of a prediction. `logs["outputs"]`: the batch's outputs, where the host has them."""

    @_default
    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Keras' older name of `on_train_batch_begin`."""

    @_default
    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Keras' older name of `on_train_batch_end`."""

    def set_params(self, params: dict[str, Any]) -> None:
        """Take Keras' dict of parameters. Called by Keras and by nobody else."""
        self.params = params
        if "params" not in self._bound_names:
            self._bound_names = (*self._bound_names, "params")

    def set_model(self, model: Any = None) -> None:
        """Let the host of this kind of model take over. Called by Keras and by nobody else.

        Raises:
            AttachError: no host knows such a model, or Keras was given the class instead of an instance.
        """
        if not isinstance(self, Callback):  # then Keras called the class, and this is the model
            raise AttachError("a class of callbacks was passed instead of an instance; write callbacks=[Watch()]")
        for kind in type(model).__mro__:
            entrance = host_entrances.get(kind.__module__.partition(".")[0])
            if entrance is not None:
                entrance(self, model)
                return
        raise AttachError(
            f"{type(self).__name__}.set_model was called with a {type(model).__qualname__}; "
            f"only Keras' fit, evaluate and predict may do so. Elsewhere pass callbacks=[...] to Loop or Trainer"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the run and not to the callback, for pickle and for copy."""
        left_out = {"model", "params", "run", "_bound_names", *self._bound_names}
        return {name: value for name, value in self.__dict__.items() if name not in left_out}


for _name in ADAPTERS:
    setattr(Callback, _name, Asked(_name, _of_a_trainer))
