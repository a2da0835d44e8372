"""What a Keras callback finds under `self.model` where the model is not Keras' own.

Owns the names that Keras' callbacks ask of a model, each answered from the run and its view. The optimizer's are in
`keras_facade_optimizer`, the weights' in `keras_facade_variable`. Which callback gets along with it stands in
`keras_table`. Needs no Keras.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from onlooker.core.errors import AbsentError

from . import find_view
from .keras_facade_optimizer import find_optimizer
from .keras_facade_variable import assign_all, find_layers, find_variables
from .weights_h5 import read_weights, write_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onlooker.core.run import Run

    from .keras_facade_optimizer import OptimizerFacade
    from .keras_facade_variable import LayerFacade, VariableFacade

REFUSED = {
    "predict": "call self.model(inputs), which evaluates without gradients",
    "predict_on_batch": "call self.model(inputs), which evaluates without gradients",
    "evaluate": "use loop.test(loader) or Trainer.evaluate",
    "test_on_batch": "use loop.test(loader) or Trainer.evaluate",
    "fit": "use Loop or Trainer",
    "train_on_batch": "use Loop or Trainer",
    "compile": "pass the optimizer to Loop or Trainer",
    "save": "use self.model.save_weights('name.weights.h5')",
    "export": "export self.model.module with its own framework",
    "summary": "print(self.model.module)",
    "to_json": "it has no configuration; use self.model.save_weights('name.weights.h5')",
    "get_config": "it has no configuration; use self.model.save_weights('name.weights.h5')",
    "get_state_tree": "use self.model.get_weights()",
}
"""What only a Keras model can do, and what to do instead."""


class RefusedError(AbsentError, AttributeError):
    """A Keras callback asked the facade for what only a Keras model has. `hasattr` sees that it is not there."""


class KerasFacade:
    """The model, as Keras' callbacks know one. `module` is the user's own.

    Other names are looked up in the user's module (or, where there are several, among their names), and set there if
    they are there: `self.model.generator`, `self.model.beta = 0.5`. What only a Keras model has is refused.

    Args:
        run: whose model, learning rate and wish to stop they are.

    Attributes:
        history: what `keras.callbacks.History` puts here; None before.

    Example:
        >>> import torch
        >>> from onlooker.core.run import Run
        >>> facade = KerasFacade(Run(torch.nn.Linear(2, 1)))
        >>> [weight.path for weight in facade.weights], facade.get_weights()[0].shape
        (['weight', 'bias'], (1, 2))
    """

    built = True
    train_function = None
    history: Any = None

    def __init__(self, run: Run) -> None:
        self._run = run
        self._optimizer: OptimizerFacade | None = None
        self._asked_to_stop = False
        self._resumable: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"KerasFacade({type(self.module).__qualname__})"

    @property
    def module(self) -> Any:
        """The user's own model object, or a dict of several."""
        return self._run.model

    # What is trained, and when it ends

    @property
    def stop_training(self) -> bool:
        """Whether the training ends at the next boundary. Only who asked for that can take it back."""
        return self._run.is_stop_requested

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        if value and not self._run.is_stop_requested:
            self._run.stop()
            self._asked_to_stop = True
        elif not value and self._asked_to_stop:
            self._run.is_stop_requested = self._asked_to_stop = False
            self._run.reason, self._run.stopped_by = "", None

    @property
    def _initial_epoch(self) -> int:
        """The epoch with which the training begins.

        Setting it, as `BackupAndRestore` does, is to resume: with the
        steps and the random states that stood beside the weights that were loaded last.
        """
        return self._run.first_epoch

    @_initial_epoch.setter
    def _initial_epoch(self, value: int) -> None:
        run, resumable = self._run, self._resumable
        run.first_epoch = value
        run.is_resumed = True
        if resumable:
            run.step = resumable["step"]
            run.view.load_state_dict({**run.view.state_dict(), "random": resumable["random"]})

    @property
    def optimizer(self) -> OptimizerFacade | None:
        """The optimizer, or several under one name where their learning rates differ; None without one."""
        self._optimizer = find_optimizer(self._run, self._optimizer)
        return self._optimizer

    # Weights

    @property
    def variables(self) -> list[VariableFacade]:
        """All weights, buffers included, in the order of the modules."""
        return find_variables(self._run.view)

    weights = variables

    @property
    def trainable_variables(self) -> list[VariableFacade]:
        """The weights that get gradients."""
        return [variable for variable in self.variables if variable.trainable]

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self) -> list[VariableFacade]:
        """The weights that get none, and the buffers."""
        return [variable for variable in self.variables if not variable.trainable]

    non_trainable_weights = non_trainable_variables

    @property
    def layers(self) -> list[LayerFacade]:
        """The submodules that have weights of their own."""
        return find_layers(self._run.view)

    def count_params(self) -> int:
        """Return how many numbers the weights hold, buffers included."""
        return sum(math.prod(variable.shape) for variable in self.variables)

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of all weights: what is trained later does not show in them."""
        return [variable.numpy() for variable in self.variables]

    def set_weights(self, values: list[Any]) -> None:
        """Set all weights, in the order of `get_weights`.

        Raises:
            ValueError: there are more or fewer values than weights, or a shape differs.
        """
        assign_all(self.variables, values)

    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: Any = None) -> None:
        """Write the weights, the optimizer's state and the random states to a `.weights.h5` file.

        Args:
            filepath: ends in `.weights.h5`.
            overwrite: whether a file that is there is replaced.
            max_shard_size: Keras'; only None is taken.

        Raises:
            ValueError: the path ends otherwise, or shards are asked for.
            FileExistsError: the file is there, and `overwrite` is False.
        """
        path = _checked_path(filepath)
        if max_shard_size is not None:
            raise ValueError("max_shard_size is not supported: pass None, all goes into one file")
        if not overwrite and os.path.exists(path):
            raise FileExistsError(f"{path} is there already; pass overwrite=True to replace it")
        tree = {**self._run.view.state_dict(), "step": self._run.step}
        if self._optimizer is not None and self._optimizer.average is not None:
            tree["average"] = self._optimizer.average.state_dict()
        write_weights(path, tree)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Take back the weights and the optimizer's state that `save_weights` wrote.

        Raises:
            ValueError: the path does not end in `.weights.h5`, or `skip_mismatch` is asked for.
            DataError: the file holds a Keras model's weights.
        """
        if skip_mismatch:
            raise ValueError("skip_mismatch is not supported: the weights must fit the model")
        tree = read_weights(_checked_path(filepath))
        view, optimizer = self._run.view, self._optimizer
        view.load_state_dict({**tree, "random": view.state_dict()["random"]})
        if optimizer is not None and optimizer.average is not None and "average" in tree:
            optimizer.average.load_state_dict(tree["average"])
        self._resumable = {"step": tree["step"], "random": tree["random"]}

    # The rest

    def __call__(self, *inputs: Any, training: bool = False, **named: Any) -> Any:
        """Call the user's module, evaluating and without gradients unless `training`.

        Raises:
            RefusedError: there are several models.
        """
        module = self.module
        if isinstance(module, dict):
            raise RefusedError(
                f"there are several models; call one of them: self.model.{next(iter(module), 'name')}(...)"
            )
        if training:
            return module(*inputs, **named)
        with self._run.view.evaluating():
            return module(*inputs, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"a {type(self).__name__} has no attribute {name!r}")
        module = self.module
        if isinstance(module, dict) and name in module:
            return module[name]
        if name not in REFUSED or name in _names_of_user(module):
            try:
                return getattr(module, name)
            except AttributeError:
                pass
        kind = type(module).__qualname__
        if name in REFUSED:
            raise RefusedError(
                f"a Keras callback asked for model.{name}, which only a Keras model has; the model is a {kind}. "
                f"Instead: {REFUSED[name]}"
            )
        raise AttributeError(
            f"a Keras callback asked for model.{name}, but neither a Keras callback's view of the model nor "
            f"the {kind} itself has it"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        elif not isinstance(self.module, dict) and hasattr(self.module, name):
            setattr(self.module, name, value)
        else:
            object.__setattr__(self, name, value)


def facade_of(run: Run) -> KerasFacade:
    """Return the run's one facade: what a Keras callback sets on its model, the others see."""
    kept: dict[str, Any] = run.__dict__
    facade = kept.get("_keras_facade")
    if facade is None:
        facade = kept["_keras_facade"] = KerasFacade(run)
    return facade


def load_weights(path: Any, model: Any, optimizer: Any = None) -> None:
    """Load a `.weights.h5` file that a Keras callback wrote on a PyTorch module, outside of any training.

    Args:
        path: the file.
        model: the module, or the dict of several, that it was written for.
        optimizer: its optimizer or optimizers, if their state is wanted too.

    Raises:
        DataError: the file holds a Keras model's weights.

    Example:
        ```python
        load_weights("best.weights.h5", module)
        ```
    """
    from onlooker.core.run import Run

    KerasFacade(Run(model, view=find_view(model, optimizer))).load_weights(path)


def _checked_path(path: Any) -> str:
    path = os.fspath(path)
    if not path.endswith(".weights.h5"):
        raise ValueError(f"the path must end in '.weights.h5', but is {path!r}")
    return str(path)


def _names_of_user(module: Any) -> set[str]:
    """Return the names that the user's own classes define, without those of the framework below them."""
    kinds = [kind for kind in type(module).__mro__ if kind.__module__.partition(".")[0] != "torch"]
    return {name for kind in kinds for name in vars(kind)} | set(getattr(module, "__dict__", ()))
