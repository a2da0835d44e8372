"""An exponential moving average of the weights, kept while somebody else's optimizer trains.

Owns the average, its formula (Keras' own: PyTorch's optimizers have no `use_ema`) and what `SwapEMAWeights` needs
around its hooks. Swapping the average in and out is that callback's own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onlooker.core.errors import AttachError

from .keras_facade_optimizer import OptimizersFacade, optimizer_objects
from .keras_facade_variable import VariableFacade

if TYPE_CHECKING:
    from collections.abc import Callable

    from onlooker.core.run import Run
    from onlooker.core.view import ModelView

    from .keras_facade import KerasFacade


class WeightsAverage:
    """Follows weights after each step: `average = momentum * average + (1 - momentum) * weight`.

    The first step makes the average equal to the weights.

    Args:
        variables: the weights to follow, live.
        momentum: how much of the old average stays, from 0 to 1.
        overwrite_frequency: after how many steps, each time, the weights are set to the average; None for never.

    Raises:
        ValueError: the momentum or the frequency is out of range.

    Source: `keras.optimizers.Optimizer(use_ema=True)`, Keras 3.15.
    """

    def __init__(
        self, variables: list[VariableFacade], momentum: float = 0.99, overwrite_frequency: int | None = None
    ) -> None:
        if not 0 <= momentum <= 1:
            raise ValueError(f"optimizer.ema_momentum={momentum!r}; expected a number from 0 to 1")
        if overwrite_frequency is not None and overwrite_frequency < 1:
            raise ValueError(
                f"optimizer.ema_overwrite_frequency={overwrite_frequency!r}; expected 1 or more steps, or None"
            )
        self.variables = variables
        self.averages = [VariableFacade(v.path, v.value.detach().clone()) for v in variables]
        self.steps = 0
        self._momentum = momentum
        self._overwrite_frequency = overwrite_frequency

    def follow(self, view: ModelView) -> Callable[[], None] | None:
        """Take part in each step of the optimizer from now on; return what ends that, or None if none is seen."""
        for variable, average in zip(self.variables, self.averages, strict=True):
            average.value = average.value.to(variable.value.device)  # the model may have moved since
        return view.count_steps(self.update)

    def update(self, *_: object) -> None:
        """Take the weights in, after a step."""
        momentum = self._momentum if self.steps else 0.0
        for variable, average in zip(self.variables, self.averages, strict=True):
            average.value.mul_(momentum).add_(variable.value.detach(), alpha=1 - momentum)
        self.steps += 1
        if self._overwrite_frequency and self.steps % self._overwrite_frequency == 0:
            self.put_into_weights()

    def put_into_weights(self) -> None:
        """Set the weights to their average."""
        for variable, average in zip(self.variables, self.averages, strict=True):
            variable.assign(average)

    def take_weights(self) -> None:
        """Set the average to the weights."""
        for variable, average in zip(self.variables, self.averages, strict=True):
            average.assign(variable)

    def state_dict(self) -> dict[str, Any]:
        """Return the average by the weights' names, and the number of steps."""
        return {"steps": self.steps, "averages": {average.path: average.value for average in self.averages}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.steps = state["steps"]
        for average in self.averages:
            average.assign(state["averages"][average.path])


class SwapCompanion:
    """Stands by one `SwapEMAWeights`: keeps its average, and swaps back where it forgets to.

    Args:
        callback: the Keras callback.
    """

    def __init__(self, callback: Any) -> None:
        self._callback = callback
        self._average: WeightsAverage | None = None
        self._stop_following: Callable[[], None] | None = None

    def attach(self, run: Run, facade: KerasFacade) -> None:
        """Make the average, once for each run.

        Raises:
            AttachError: the optimizer is not marked, or there are several.
        """
        optimizer = facade.optimizer
        objects = optimizer_objects(run)
        if optimizer is None or len(objects) != 1 or isinstance(optimizer, OptimizersFacade):
            raise AttachError(
                "SwapEMAWeights works with one optimizer that has one learning rate; "
                "keep averages of several yourself, for example with torch.optim.swa_utils.AveragedModel"
            )
        if not getattr(objects[0], "use_ema", False):
            raise AttachError(
                f"SwapEMAWeights needs an average of the weights, and {type(objects[0]).__name__} keeps none: "
                f"set optimizer.use_ema = True, and it is kept for you as Keras keeps it (optimizer.ema_momentum is "
                f"0.99 unless you set it)"
            )
        if optimizer.average is None:
            optimizer.average = WeightsAverage(
                facade.trainable_variables,
                getattr(objects[0], "ema_momentum", 0.99),
                getattr(objects[0], "ema_overwrite_frequency", None),
            )
        self._average = optimizer.average

    def before(self, hook: str, run: Run) -> None:
        """Do what Keras does before it calls a hook of a stage."""
        if hook == "on_train_begin" and self._average is not None:
            self._stop_following = self._average.follow(run.view)
        elif hook == "on_train_end" and self._average is not None:
            if self._stop_following is not None:
                self._stop_following()
            if run.outcome not in ("failed", "interrupted"):
                self._finish(self._average)

    def _finish(self, average: WeightsAverage) -> None:
        """End with the average in the model, as Keras does, and with nothing else to swap in later."""
        if self._callback._ema_weights_in_model:
            average.take_weights()
        else:
            average.put_into_weights()

    def after(self, hook: str) -> None:
        """Make up for what the callback leaves undone in a hook of a stage."""
        if hook == "on_predict_end" and self._callback._ema_weights_in_model:
            self._callback.on_test_end()
