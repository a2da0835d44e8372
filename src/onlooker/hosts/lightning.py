"""Lightning: an adapter for the trainers of `lightning` and of `pytorch_lightning`, two packages with one code.

Owns how Lightning's hooks become ours. What is common to all foreign trainers is the follower's; what is asked of the
module and its trainer is the view's, and how what they log is heard is in `views/lightning_logs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from onlooker.views.lightning import LightningView, StateKey, callback_classes, draw_from, packed_state, unpacked_state
from onlooker.views.lightning_logs import LoggedValues, bare_name

from .adapter import Adapter
from .declared.lightning import LIGHTNING
from .follower import Follower, warn_of_number

TRAIN_ENDS = ("on_train_batch_end", "on_epoch_end", "on_train_end")
TEST_ENDS = ("on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end")
"""The hooks whose logs have values of train batches, and of test batches."""

callback_classes()  # so that this file cannot be imported without either


def for_lightning(*callbacks: Any) -> Any:
    """Return callbacks of Onlooker's as one callback for Lightning's trainer, of either package.

    They take part in `fit`, `validate`, `test` and `predict`, and their states are kept in Lightning's checkpoints. It
    may stand beside Lightning's own callbacks, and there may be several in one trainer.

    Args:
        *callbacks: in the order in which they are called.

    Raises:
        AttachError: one of them is refused; the message says which and why.

    Example:
        ```python
        trainer = lightning.Trainer(max_epochs=3, callbacks=[ol.for_lightning(Watch(), ol.callbacks.Progress())])
        trainer.fit(module, loader)
        ```
    """
    return _adapter_class(callback_classes())(callbacks)


@cache
def _adapter_class(classes: tuple[type, ...]) -> type[_Adapter]:
    return type("Onlooker", (_Adapter, *classes), {"__module__": __name__, "__doc__": _Adapter.__doc__})


class _Adapter(Adapter):
    """Onlooker's callbacks, as one of Lightning's."""

    state_key = StateKey()
    on_before_zero_grad = on_before_backward = on_after_backward = on_before_optimizer_step = None
    """Lightning passes over what cannot be called, and times what can, even if it does nothing."""

    def __init__(self, callbacks: tuple[Any, ...]) -> None:
        self.follower = Follower(callbacks, LIGHTNING)
        self._loaded: dict[str, Any] | None = None
        self._cut_off: dict[str, Any] | None = None  # the state before all was closed because of an error
        self._within: dict[str, Any] | None = None  # what the epoch had gathered in whose middle a checkpoint was made
        self._has_begun, self._is_in_stage, self._step, self.own_key = False, False, 0, ""
        self._logged, self._undo = LoggedValues(self._hear), list[Callable[[], None]]()
        self._forwarded: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return for_lightning, self.follower.callbacks

    def setup(self, trainer: Any, module: Any, stage: str) -> None:
        """Find the place in this trainer. Comes before checkpoints are read or written."""
        place = [one for one in trainer.callbacks if isinstance(one, _Adapter)].index(self) + 1
        self.own_key = "onlooker" if place == 1 else f"onlooker#{place}"
        self._loaded, self._cut_off, self._has_begun = None, None, False

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        follower = self.follower
        if self._cut_off is not None or "run" not in vars(follower):
            return self._cut_off or {}
        state = {**follower.state_dict(), "step": self._step}
        if "epoch" in follower.scopes.names:  # Lightning goes on within it, where others begin it again
            state["within"] = follower.ledger.gathered()
        return packed_state(state, follower.run.world_size == 1)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what a checkpoint has kept; only a training makes use of it."""
        self._loaded = state

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Let an epoch that had only just begun when it was saved begin again."""
        LightningView.begin_epoch_again(checkpoint)

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        """Draw as the saved run would have, before loaders are asked for their order."""
        if self._loaded is not None:
            draw_from(self._loaded, trainer)

    def on_fit_end(self, trainer: Any, module: Any) -> None:
        """Begin and end the run where there was nothing to train: Lightning then leaves its train hooks out."""
        if not self._has_begun:
            self.on_train_start(trainer, module)
            self.on_train_end(trainer, module)

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        """Close what is open. It may be an error that one of ours has raised: then all is closed already."""
        if self.follower.is_live:
            self._cut_off = self.state_dict()  # for who saves now: the training can go on where it was
        try:
            self.follower.cut_off(exception)
        finally:
            self._let_go()

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Begin the run."""
        self._has_begun = True
        if self._loaded is not None:
            state, self._within = unpacked_state(self._loaded)
            self.follower.load_state_dict(state)
            if self._within is not None:  # the loader has been asked again for the order of an epoch that it knew
                draw_from(self._loaded, trainer)
        self._begin(trainer, module)
        run, self._updates = self.follower.run, trainer.global_step
        run.first_epoch, self._step = trainer.current_epoch, run.step
        self.follower.open("train")
        self._stop_if_asked(trainer)

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Begin an epoch."""
        self._within = None
        self._be_in_epoch(trainer)
        self._stop_if_asked(trainer)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Begin a batch."""
        self._be_in_epoch(trainer)
        self._logged.begin_batch()
        self._forwarded = None
        self.follower.begin_batch("train_batch", trainer.fit_loop.batch_idx, batch)  # the same, if it is known here

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """End a batch, with what its step has logged and returned."""
        follower = self.follower
        if self._wants_train:
            self._see(batch, outputs)
            self._log_batch(str)
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else None
            if loss is not None:
                parts = trainer.accumulate_grad_batches  # through which Lightning has divided it
                follower.log({"loss": loss if parts == 1 else loss * parts})
        before, self._updates = self._updates, trainer.global_step  # it takes Lightning a while: asked for once a batch
        self._step += self._updates > before
        follower.end_batch(self._step)
        self._stop_if_asked(trainer)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """End an epoch, with Lightning's own values where it has them."""
        self._be_in_epoch(trainer)
        self.follower.end_batch()  # one whose step the module has left out
        if self._within is None:  # or else they are those of the epoch's rest
            self.follower.log(self._stage_values(trainer, str, is_training=True))
        self.follower.close("epoch")
        self._stop_if_asked(trainer)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """End the run."""
        try:
            self.follower.finish(stopped=self._view.who_stopped())
        finally:
            self._let_go()

    # Evaluation and prediction, within a training or alone.

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        """Begin a stage; the trial run before a training is none."""
        if trainer.sanity_checking:
            return
        if trainer.state.fn == "fit":
            self._be_in_epoch(trainer)
        else:
            self._begin(trainer, module)
        self._is_in_stage, self._stage, self._index = True, "predict" if trainer.predicting else "test", -1
        self._logged.listen(trainer._results)
        self.follower.run.batch_count = self._view.batch_count()
        self.follower.open(self._stage)
        self._stop_stage_if_asked(trainer)

    def on_validation_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int, _: int = 0) -> None:
        """Begin a batch of a stage. Lightning counts anew in each loader, we go on."""
        if self._is_in_stage:
            self._logged.begin_batch()
            self._forwarded, self._index = None, self._index + 1
            self.follower.begin_batch(f"{self._stage}_batch", self._index, batch)

    def on_validation_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, *_: int) -> None:
        """End a batch of a stage. The loss of a test is what was logged as such, or else what the step returns."""
        if not self._is_in_stage:
            return
        self._see(batch, outputs)
        if self._stage == "predict":
            self.follower.run.outputs = outputs
        elif self._wants_test:
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            if "loss" not in self._log_batch(bare_name) and getattr(loss, "numel", int)() == 1:
                self.follower.log({"loss": loss})
        self.follower.end_batch()
        self._stop_stage_if_asked(trainer)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """End a stage, with Lightning's own values where it has them; one that stands alone is a run of its own."""
        if not self._is_in_stage:
            return
        if self._stage == "test":
            self.follower.log_means(self._stage_values(trainer, bare_name, is_training=False))
        self._is_in_stage = False
        self.follower.close(self._stage)
        if trainer.state.fn == "fit":
            self._stop_if_asked(trainer)
        else:
            self.follower.finish()
            self._let_go()

    on_test_start = on_predict_start = on_validation_start
    on_test_batch_start = on_predict_batch_start = on_validation_batch_start
    on_test_batch_end = on_predict_batch_end = on_validation_batch_end
    on_test_end = on_predict_end = on_validation_end

    def _begin(self, trainer: Any, module: Any) -> None:
        """Begin a run, and let nothing be begun within it that would break it."""
        follower = self.follower
        self._view = LightningView(trainer, module)
        vars(self)["state_key"] = self.own_key
        follower.start(self._view, self._view.params())
        self._wants_train, self._wants_test = (any(map(follower.listens, ends)) for ends in (TRAIN_ENDS, TEST_ENDS))
        self._undo.append(self._view.refuse_nested())
        if any("outputs" in callback.needs for callback in follower.callbacks):
            self._undo.append(module.register_forward_hook(self._see_forward).remove)

    def _let_go(self) -> None:
        """Leave no trace on the trainer and the module."""
        self._is_in_stage, self._loaded = False, None
        vars(self).pop("state_key", None)
        self._logged.let_go()
        while self._undo:
            self._undo.pop()()

    def _be_in_epoch(self, trainer: Any) -> None:
        """Begin an epoch, also where Lightning says nothing, since it goes on in the middle of one."""
        scopes = self.follower.scopes
        if scopes.innermost != "epoch" and "epoch" not in scopes.names:  # the quick question first
            self._logged.listen(trainer._results)
            self.follower.open("epoch", trainer.current_epoch)
            if self._within is not None:
                self.follower.ledger.go_on_from(self._within)

    def _stop_if_asked(self, trainer: Any) -> None:
        if self.follower.is_stopping():
            trainer.should_stop = True

    def _stop_stage_if_asked(self, trainer: Any) -> None:
        """Stop a stage that stands alone. Several processes could not agree: their loaders may differ in length."""
        follower, run = self.follower, self.follower.run
        if trainer.state.fn != "fit" and (run.is_stop_requested or (follower.is_alone and follower.is_stopping())):
            self._view.end_stage()

    # What is logged and returned.

    def _hear(self, name: str, value: Any) -> bool:
        self.follower.run.native_logs[name] = value
        return not self.follower.is_in_hook

    def _log_batch(self, rename: Callable[[str], str]) -> set[str]:
        """Log what was logged in the batch at hand; return under which names."""
        names = set()
        for own, number, weight in self._logged.of_batch():
            if number.numel() == 1:
                names.add(rename(own))
                self.follower.log({rename(own): number}, weight)
            else:
                warn_of_number(own, number)
        return names

    def _stage_values(self, trainer: Any, rename: Callable[[str], str], is_training: bool) -> dict[str, Any]:
        """Return Lightning's own values for the end of an epoch or stage."""
        self.follower.run.native_logs.update(trainer.callback_metrics)
        values = self._logged.of_stage(trainer.callback_metrics, is_training)
        return {rename(name): value for name, value in values.items()}

    def _see(self, batch: Any, returned: Any) -> None:
        run, outputs = self.follower.run, returned.get("outputs") if isinstance(returned, Mapping) else None
        run.data, run.outputs = batch, self._forwarded if outputs is None else outputs

    def _see_forward(self, module: Any, given: Any, outputs: Any) -> None:
        self._forwarded = self._forwarded if self.follower.is_in_hook else outputs
