"""`Loop`: the host of a hand-written loop, as its user holds it.

Owns the arguments and their checks. What happens when the loop is iterated is in `stage`, what keeps it in order in
`course`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from onlooker.arrays import batch_size
from onlooker.core.declaration import Declaration
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import LogError, LoopError
from onlooker.core.run import Run
from onlooker.hosts.declared.loop import LOOP
from onlooker.hosts.declared.loop_jax import LOOP_JAX
from onlooker.views import find_view
from onlooker.views.foreign import adapt

from .course import Course
from .stage import Epochs, Stage
from .state_run import StateRun, warn_of_standstill


class Loop:
    """Calls callbacks from a loop that you write yourself, for one model or several.

    Use it as a context manager, so that `on_train_end` comes also when the training fails. `epochs`, `train`, `test`
    and `predict` are iterated like what they are given; `log` says what there is to know about a batch.

    Args:
        model: what is trained, or a dict of several. In JAX, the state that the loop carries along.
        optimizer: its optimizer, or a dict or list of several; None where there is none to look at.
        callbacks: onlooker's, or Keras' own, in the order in which they are called.
        resume: a file that `run.save` wrote: the first training goes on from there.
        host: what is declared of whoever writes the loop; for hosts that are built on this one.

    Attributes:
        run: the `Run` that callbacks see.

    Raises:
        AttachError: a callback is refused.

    Example:
        >>> import onlooker as ol
        >>> class Watch(ol.Callback):
        ...     def on_epoch_end(self, epoch, logs):
        ...         print(epoch, dict(logs))
        >>> with ol.Loop(model=None, callbacks=[Watch()]) as loop:
        ...     for epoch in loop.epochs(2):
        ...         for number in loop.train([1.0, 2.0]):
        ...             loop.log(loss=number / (epoch + 1))
        0 {'loss': 1.5}
        1 {'loss': 0.75}
        >>> loop.run.outcome
        'completed'
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any = None,
        callbacks: Iterable[Any] = (),
        *,
        resume: Any = None,
        host: Declaration | None = None,
    ) -> None:
        params = {"epochs": None, "steps": None, "verbose": 1}
        view = find_view(model, optimizer)
        host = host or (LOOP_JAX if view.family == "jax" else LOOP)
        self.run = (StateRun if view.is_replaced else Run)(model, view=view, host=host, params=params)
        self._dispatcher = Dispatcher(adapt(callbacks), self.run)
        self._course = Course(self.run, self._dispatcher, resume)
        self._is_used = False

    def __enter__(self) -> Loop:
        if self._is_used:
            raise LoopError("this Loop was used before; make a new one for each `with`")
        processes = self.run.view.process_count()
        if processes > 1:
            raise LoopError(
                f"{processes} processes train together, but Loop cannot yet agree with the others on stopping, "
                f"and a stop in one alone would hang the rest; use Loop in a single process"
            )
        self._course.start()
        self._is_used = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._course.finish(error)
        if error is None:
            warn_of_standstill(self.run, self._course.has_trained)

    def epochs(self, count: int | None = None) -> Epochs:
        """Train for some epochs; iterate the result to get their numbers, from 0.

        `on_train_begin` comes with the first, `on_train_end` when they are over or left.

        Args:
            count: how many; None for as many as it takes until somebody stops.

        Raises:
            ValueError: a negative number; TypeError: no whole number.
        """
        self._course.check_live()
        if count is not None:
            if isinstance(count, bool) or not hasattr(count, "__index__"):
                raise TypeError(f"loop.epochs takes a whole number or None, not {count!r}")
            if count < 0:
                raise ValueError(f"loop.epochs({count}) is negative; expected 0 or more, or None for no end")
        return Epochs(self._course, count)

    def train(self, loader: Iterable[Any]) -> Stage:
        """Train on the batches of a loader; iterate the result to get them. Outside `epochs` it is a run of one epoch.

        Raises:
            DataError: the loader cannot be iterated, or, when iterated, yields nothing.
        """
        self._course.check_live()
        warn_of_standstill(self.run, self._course.has_trained)
        return Stage(self._course, "train", loader, "", keep_mode=True)

    def test(self, loader: Iterable[Any], *, prefix: str = "val", keep_mode: bool = False) -> Stage:
        """Evaluate on the batches of a loader; iterate the result to get them.

        Modules are in evaluation mode and gradients off meanwhile. Within an epoch it is its validation, and may also
        stand within a train batch; elsewhere it stands alone.

        Args:
            loader: any iterable of batches.
            prefix: under which its values stand in the epoch's logs, for example `val_loss`. In the test's own hooks
                they have none.
            keep_mode: leave modes and gradients alone.

        Raises:
            DataError: the loader cannot be iterated, or, when iterated, yields nothing.
            LoopError: when iterated, if the epoch itself has already had a test with this prefix. Within train batches
                there may be as many as you like; the last one's values stand in the epoch's logs.
        """
        self._course.check_live()
        if not isinstance(prefix, str) or not prefix:
            raise ValueError(f"prefix={prefix!r} must be a word, as 'val' in val_loss")
        return Stage(self._course, "test", loader, prefix, keep_mode)

    def predict(self, loader: Iterable[Any], *, keep_mode: bool = False) -> Stage:
        """Predict on the batches of a loader; iterate the result to get them, and assign `loop.outputs` in the body.

        Modes and gradients are as in `test`.

        Raises:
            DataError: the loader cannot be iterated, or, when iterated, yields nothing.
        """
        self._course.check_live()
        return Stage(self._course, "predict", loader, "", keep_mode)

    def log(self, values: Mapping[str, Any] | None = None, /, *, weight: float | None = None, **named: Any) -> None:
        """Say what there is to know about the batch at hand, or, outside a batch, about the epoch.

        Values on a device are not waited for. The last value counts where a name comes twice in a batch. A name that is
        logged in some batches only is averaged over those.

        Args:
            values: numbers by name, for names that are no identifiers, such as `"loss/real"`, or `"weight"`.
            weight: over how many samples the values are means. Default: the length of the first axis of the first
                array in the batch, else 1.
            **named: numbers: floats, or arrays with one element.

        Raises:
            LogError: a value is no single number, or there is nothing here to log to.

        Example:
            `loop.log(loss=loss, accuracy=correct / len(x))`
        """
        course = self._course
        if course.has_left:
            course.settle()
        if values is not None:
            try:
                named = {**values, **named}
            except TypeError as error:
                raise _nameless(values, error) from error
            for name in named:
                if type(name) is not str and not isinstance(name, str):
                    raise LogError(
                        f"loop.log takes numbers by names, which are strings; write {str(name)!r}, not {name!r}"
                    )
        ledger = course.ledger
        if weight is None and ledger.weight is not None:  # as Ledger.take, and a call less: ADR 0027
            if not ledger.weight:
                ledger.weight = batch_size(self.run.data)
            ledger.means.log(named, ledger.weight)
        else:
            ledger.take(named, weight, course.scopes)

    @property
    def outputs(self) -> Any:
        """The model's outputs for the batch at hand, offered to callbacks as `run.outputs`; let go when it ends."""
        return self.run.outputs

    @outputs.setter
    def outputs(self, outputs: Any) -> None:
        self.run.outputs = outputs

    @property
    def state(self) -> Any:
        """The state of a JAX loop as it stands: begin each step from it, and assign what the step returns.

        A callback may have put another learning rate into it, or loaded a file. Of models that change in place it is
        the model itself, and nothing is assigned.

        Raises:
            LoopError: when read, the state was donated to a step and there is no new one; when assigned, a callback has
                changed the state and the body has not read it since.

        Example:
            `loop.state, loss = step(loop.state, x, y)`
        """
        run = self.run
        is_body = run.stage in ("train", None) and not self._course.scopes.is_in_hook
        return run.view.read(is_body)

    @state.setter
    def state(self, state: Any) -> None:
        if self._course.has_left:
            self._course.settle()
        self.run.view.replace(state)

    @property
    def gradients(self) -> Any:
        """Gradients of a JAX loop's step, offered to callbacks as `run.gradients()`; they stay until the next ones."""
        return self.run.gradients()

    @gradients.setter
    def gradients(self, gradients: Any) -> None:
        self.run.view.give_gradients(gradients)

    def stop(self, reason: str = "") -> None:
        """Ask for the training to end at the next boundary; validation still runs, as in Keras.

        Where none is under way, the next one ends before its first epoch.
        """
        self.run.stop(reason)

    def add(self, callback: Any) -> None:
        """Attach a callback. During a training it joins with the next epoch, and first gets `on_train_begin`.

        Raises:
            AttachError: it is refused.
        """
        (adapted,) = adapt([callback])
        if "train" in self._course.scopes.names:
            self._course.newcomers.add(adapted)
        else:
            self._dispatcher.add(adapted)


def _nameless(values: Any, error: TypeError) -> Exception:
    """Return what to raise where something was logged that is no dict; of a dict, the error itself."""
    if hasattr(values, "keys"):
        return error
    kind = type(values).__qualname__
    return LogError(f"loop.log takes numbers by their names, not a {kind} without one; write loop.log(loss=loss)")
