"""`Follower`: follows the trainings of a trainer that is somebody else's, as its adapter hears of them.

Owns what is common to all foreign hosts: the callbacks' run, the grammar while the trainer goes its way, the logs, the
states, and that what is open is closed however it ends. How a trainer tells where it stands, and how it is stopped, is
for the adapter in the host's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from onlooker.core.attach import check_callback, check_needs, listed
from onlooker.core.declaration import Declaration
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import AttachError, warn
from onlooker.core.faults import add_to
from onlooker.core.hooks import SCOPES
from onlooker.core.logs import Logs
from onlooker.core.run import Run
from onlooker.core.scopes import Scopes
from onlooker.core.state import collect_extra, load_states
from onlooker.core.view import ModelView

from .adapter import check_given
from .agreement import Agreement
from .ledger import Ledger
from .stop_flags import StopFlags


class Follower:
    """Moves a run as a foreign trainer goes its way: `start`, then `open` and `close` for each scope, then `finish`.

    All calls that open or close something may raise what a callback raised; by then everything open has been closed, so
    the adapter has only to let it through. What the trainer does while a hook is being called, such as an evaluation
    that a callback has started, is not followed: it is silent.

    Args:
        callbacks: in the order in which they are called.
        declaration: what the host says of itself.
        agreement: by which several processes agree on stopping; None takes PyTorch's means.

    Attributes:
        callbacks: the same, checked.
        run: the run under way, or the last one; None before the first.
        scopes: what is open.
        ledger: what was logged.
        is_alone: whether no other process trains with this one.
        look: a quick look, for who asks often: whether `is_stopping` could find that the model's flag is up.

    Raises:
        AttachError: a callback is refused; the message says which and why.
    """

    run: Run
    scopes: Scopes
    ledger: Ledger

    def __init__(self, callbacks: Iterable[Any], declaration: Declaration, agreement: Agreement | None = None) -> None:
        self.callbacks, self.declaration = tuple(listed(callbacks)), declaration
        for number, callback in enumerate(self.callbacks):
            check_given(callback, declaration)
            check_callback(callback)
            check_needs(callback, declaration)
            if any(callback is other for other in self.callbacks[:number]):
                name = type(callback).__name__
                raise AttachError(f"the same instance of {name} was passed twice; pass it once, or make two instances")
        self._resumed: dict[str, Any] | None = None
        self._agreement = agreement or Agreement()

    @property
    def is_live(self) -> bool:
        """Whether a run is under way."""
        run = self.__dict__.get("run")
        return run is not None and run.is_live

    @property
    def is_in_hook(self) -> bool:
        """Whether a hook is being called: what the trainer does now, a callback has asked it to do."""
        return self.is_live and self.scopes.is_in_hook

    def start(self, view: ModelView, params: dict[str, Any] | None = None) -> Run:
        """Begin a run. One that is still under way was cut off unseen, and is closed first.

        Args:
            view: the look at the model.
            params: Keras' dict: `epochs`, `steps` (None where unknown), `verbose`.

        Raises:
            AttachError: a callback is refused, for example because it is in another run that is under way.
        """
        if self.is_live:
            self.cut_off(KeyboardInterrupt("the trainer was cut off at a moment at which it tells nobody"))
        params = {"epochs": None, "steps": None, "verbose": 0, **(params or {})}
        run = Run(view.model, view=view, host=self.declaration, params=params)
        dispatcher = Dispatcher(self.callbacks, run)
        self.run = run
        self.ledger = Ledger(run, dispatcher)
        self.scopes = Scopes(run, dispatcher, self.ledger.logs_for, self.ledger.closed)
        self.listens = dispatcher.listens
        self._flags = StopFlags(run)
        self.look = self._flags.look
        self._flags.clear()
        self.is_alone = run.world_size == 1
        self._agreement.prepare(run.world_size)
        run.save_extra = self.state_dict
        if self._resumed is not None:
            run.is_resumed = True
            run.first_epoch, run.step = int(self._resumed["next_epoch"]), int(self._resumed["step"])
        run.is_live = True
        return run

    def open(self, scope: str, index: int | None = None, *, prefix: str = "val") -> None:
        """Open a scope, as the trainer begins it; what cannot hold it is closed before.

        Args:
            scope: `"train"`, `"epoch"`, `"test"` or `"predict"`; batches have `begin_batch`.
            index: of an epoch.
            prefix: under which the values of a test stand in the logs of the epoch.
        """
        scopes = self.scopes
        if scopes.is_in_hook:
            return
        try:
            while scopes.innermost is not None and scope not in SCOPES[scopes.innermost].holds:
                scopes.close()
            if scope == "epoch":
                self.ledger.begin_epoch()
            elif scope == "train":
                self.ledger.begin_training()
            else:
                self.ledger.begin_stage(prefix)
            scopes.open(scope, index)
            if scope == "train":
                self._load_states()
        except BaseException as error:
            self.cut_off(error)
            raise

    def close(self, scope: str) -> Logs | None:
        """Close a scope that is no batch, as the trainer ends it, and all that is still open within.

        Returns:
            The logs of its end hook, with what callbacks have added; None where it was not open.
        """
        if self.scopes.is_in_hook or scope not in self.scopes.names:
            return None
        try:
            self.scopes.close_to(scope)
            if scope == "epoch":
                self.run.is_epoch_complete = True
            return self.scopes.close()
        except BaseException as error:
            self.cut_off(error)
            raise

    def close_round(self, values: Mapping[str, Any], validation: Mapping[str, Any]) -> None:
        """Close an epoch that a trainer tells of as a whole, with its values; the validation's are a test within it."""
        self.log(values)
        if validation:
            self.open("test")
            self.log_means(validation)
            self.close("test")
        self.close("epoch")

    def begin_batch(self, scope: str, index: int, data: Any = None) -> None:
        """Open the scope of a batch, with what the loader gave for it."""
        scopes, run = self.scopes, self.run
        if scopes.is_in_hook:
            return
        run.data, run.outputs = data, None
        self.ledger.is_in_batch = True
        try:
            scopes.open_batch(scopes.calls[scope], index)
        except BaseException as error:
            self.cut_off(error)
            raise

    def end_batch(self, step: int | None = None) -> None:
        """Close the scope of a batch.

        Args:
            step: in how many train batches the optimizer has stepped by now; None leaves `run.step`.
        """
        scopes, run = self.scopes, self.run
        if scopes.is_in_hook or not self.ledger.is_in_batch:
            return
        if step is not None:
            run.step = step
        self.ledger.is_in_batch = False
        try:
            scopes.close()
        except BaseException as error:
            self.cut_off(error)
            raise
        run.data = run.outputs = None

    def log(self, values: Mapping[str, Any], weight: float | None = None) -> None:
        """Take values of the batch at hand, or, between batches, of the epoch.

        Args:
            values: numbers, or arrays with one element, by name.
            weight: over how many samples they are means; None for the length of the batch's first array.
        """
        if not self.scopes.is_in_hook:
            self.ledger.log(values, weight, self.scopes)

    def log_means(self, values: Mapping[str, Any]) -> None:
        """Take means of the stage under way that the trainer has made, in the place of those of its batches."""
        if not self.scopes.is_in_hook:
            self.ledger.means.replace(values)

    def is_stopping(self) -> bool:
        """Say whether to stop at this boundary. Where several processes train together, all get the same answer.

        Then it has to be asked in all of them at the same boundaries.
        """
        run = self.run
        if not run.is_stop_requested:
            self._flags.is_up()
        if not self.is_alone:
            self._agreement.settle(run)
        return run.is_stop_requested

    def finish(self, error: BaseException | None = None, *, stopped: str = "") -> None:
        """End the run and close what is open: the last end hooks find its outcome.

        Args:
            error: what has ended the trainer, and is about to be raised further.
            stopped: why the trainer itself has stopped before its end, for example its own early stopping.
        """
        if not self.is_live:
            return
        run = self.run
        if "train" in self.scopes.names and run.outcome is None:
            if stopped and error is None and not run.is_stop_requested:
                run.outcome, run.reason = "stopped", stopped
            else:
                run.conclude(error, is_complete=True)
        try:
            self.ledger.is_in_batch = False
            self._close_all(error)
        finally:
            run.is_live = False
            run.data = run.outputs = None
            self._agreement.release()

    def _close_all(self, error: BaseException | None) -> None:
        """Close what is open. An error within the training, but not in on_train_end, is how the training ends."""
        is_training, first = "train" in self.scopes.names, error
        try:
            self.scopes.close_to("train")
        except BaseException as later:
            if error is None:
                first = later
                if is_training:
                    self.run.conclude(later, is_complete=False)
            elif isinstance(later, Exception):
                add_to(error, later)
            else:
                first = later
        self.scopes.close_all(first)
        if first is not None and first is not error:
            raise first

    def cut_off(self, error: BaseException) -> None:
        """Close all that is open because an error is about to end the trainer. It may be reported repeatedly."""
        if self.is_live and not self.scopes.is_in_hook:
            self.finish(error)

    def guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that closes what is open when something is raised in it, and lets it through."""

        def call(*given: Any, **named: Any) -> Any:
            try:
                return function(*given, **named)
            except BaseException as error:
                self.cut_off(error)
                raise

        return call

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the callbacks' states, for the trainer's own checkpoint."""
        return collect_extra(self.run, self.callbacks, "epoch" in self.scopes.names)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned: the next run goes on from there, or the one that has just begun."""
        self._resumed = dict(state)

    def _load_states(self) -> None:
        """Hand the callbacks their states, now that they have had `on_train_begin`."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            load_states(self.callbacks, resumed["callbacks"])


def warn_of_number(name: str, value: object) -> None:
    """Warn of something that a trainer has logged which is no number: it is left out of `logs`."""
    warn(f"{name!r} was logged by the trainer as {value!r:.60}, which is no number; it stands in run.native_logs only")
