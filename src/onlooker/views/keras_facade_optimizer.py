"""The optimizer as a Keras callback knows it: its learning rate, its name, its average of the weights.

Owns the choice between one learning rate and several. Reads and sets them through the view, so that it knows no
framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onlooker.core.errors import AbsentError

from .keras_facade_rate import RateFacade
from .keras_facade_steps import StepsFacade

if TYPE_CHECKING:
    from onlooker.core.run import Run

    from .keras_facade_variable import VariableFacade
    from .weights_average import WeightsAverage


class OptimizerFacade:
    """One optimizer, under the names that a `keras.Optimizer` has.

    Attributes:
        name: the optimizer's class.
        average: the average of the weights that is kept for `SwapEMAWeights`, or None.
        built: always True: PyTorch's optimizers make their state by themselves.
    """

    built = True

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        self.average: WeightsAverage | None = None
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def learning_rate(self) -> RateFacade:
        """The learning rate; setting it, or assigning to it, takes effect with the next step."""
        self._read_rate()  # where there is none to read, it says so at once
        return RateFacade(self._read_rate, self._write_rate)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._write_rate(float(value))

    @property
    def iterations(self) -> StepsFacade:
        """How many steps were made."""
        return StepsFacade(lambda: self._run.step)

    @property
    def use_ema(self) -> bool:
        """Whether an average of the weights is kept."""
        return self.average is not None

    @property
    def _trainable_variables(self) -> list[VariableFacade]:
        return self._kept_average().variables

    @property
    def _model_variables_moving_average(self) -> list[VariableFacade]:
        return self._kept_average().averages

    def build(self, variables: Any) -> None:
        """Do nothing: the optimizer knows its weights."""

    def _read_rate(self) -> float:
        rates = self._run.view.get_learning_rate()
        if isinstance(rates, dict):
            raise ValueError(f"there are several learning rates ({rates}); read them from optimizer.optimizers")
        return float(rates)

    def _write_rate(self, value: float) -> None:
        self._run.learning_rate = value

    def _kept_average(self) -> WeightsAverage:
        if self.average is None:
            raise AttributeError("no average of the weights is kept; set optimizer.use_ema = True")
        return self.average


class OptimizersFacade(OptimizerFacade):
    """Several learning rates, each under the names of an optimizer of its own.

    Keras' callbacks look for `optimizers` and then treat each on its own, as `learning_rate_<name>` in the logs.

    Attributes:
        optimizers: one for each learning rate, by the names that `run.learning_rate` has.
    """

    def __init__(self, run: Run, name: str, rates: dict[str, float]) -> None:
        super().__init__(run, name)
        self.optimizers = [_OptimizerOfOneRate(run, rate, list(rates)) for rate in rates]


class _OptimizerOfOneRate(OptimizerFacade):
    """One of several learning rates. They may be equal for a while; the names stay."""

    def __init__(self, run: Run, name: str, names: list[str]) -> None:
        super().__init__(run, name)
        self._names = names

    def _rates(self) -> dict[str, float]:
        rates = self._run.view.get_learning_rate()
        return rates if isinstance(rates, dict) else dict.fromkeys(self._names, rates)

    def _read_rate(self) -> float:
        return float(self._rates()[self.name])

    def _write_rate(self, value: float) -> None:
        self._run.learning_rate = {**self._rates(), self.name: value}


def find_optimizer(run: Run, before: OptimizerFacade | None) -> OptimizerFacade | None:
    """Return the facade of a run's optimizer or optimizers, or None where there is none.

    Args:
        run: whose view is asked.
        before: what this function returned last; kept, unless there are several learning rates since.
    """
    if isinstance(before, OptimizersFacade):
        return before
    try:
        rates = run.view.get_learning_rate()
    except AbsentError:
        return None
    if isinstance(rates, dict):
        several = OptimizersFacade(run, _name(run), rates)
        several.average = before.average if before is not None else None
        return several
    return OptimizerFacade(run, _name(run)) if before is None else before


def optimizer_objects(run: Run) -> list[Any]:
    """Return the user's own optimizers, as far as the view has them."""
    return list(getattr(run.view, "optimizers", {}).values())


def _name(run: Run) -> str:
    names = {type(optimizer).__name__ for optimizer in optimizer_objects(run)}
    return "_".join(sorted(names)) or "optimizer"
