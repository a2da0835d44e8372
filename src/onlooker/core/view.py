"""`ModelView`: what a framework-neutral look at a model must offer.

Owns the list of questions and, for each, the answer of a view that cannot give it. The answers are in `views`.
"""

from __future__ import annotations

from .errors import AbsentError, AttachError, LookError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    from .origin import Snapshot, Trace
    from .summary import Summary

    class Look(Protocol):
        """What tells of many tensors together what they look like; `inside` has it."""

        def add(self, key: Any, tensor: Any) -> None:
            """Look at a tensor, without waiting for it."""

        def add_all(self, tensors: Mapping[Any, Any]) -> dict[Any, Exception]:
            """Look at several tensors; return the errors of those that cannot be looked at."""

        def keep_all(
            self, tensors: Mapping[Any, Any], kept: dict[Any, Any], meanwhile: Mapping[Any, Any] | None = None
        ) -> dict[Any, Exception]:
            """Put copies of tensors into a dict, or refresh those that are there, and look at others; return errors."""

        def add_differences(self, tensors: Mapping[Any, Any], kept: Mapping[Any, Any]) -> dict[Any, Exception]:
            """Look at how far tensors are from their copies; return the errors."""

        def send(self) -> bool:
            """Have the numbers brought here, and wait for nothing; return whether some are on their way."""

        def fetch(self) -> dict[Any, Summary]:
            """Return all summaries, with one transfer for each device."""


_METHODS = {
    "learning_rate": "get_learning_rate",
    "set_learning_rate": "set_learning_rate",
    "weights": "weights",
    "gradients": "gradients",
    "save": "save",
    "observing": "observing",
    "activations": "watch_activations",
    "replay": "trace",
}
"""Which method a view overrides if it has an ability."""


class ModelView:
    """A look at the model being trained. Each method that a view does not override says that it is absent.

    Attributes:
        model: the user's own model object, or a dict of several.
        reason: why what is absent is absent, for the message.
        family: whose models these are, where hosts or callbacks make a difference.
        is_replaced: whether the model is a state that never changes: each step makes a new one, and the loop's body
            hands it over.
        has_moved: whether there has been a step, as far as can be seen.
    """

    reason = "Onlooker does not know this kind of model"
    family = ""
    is_replaced = False
    has_moved = True

    def __init__(self, model: Any) -> None:
        self.model = model

    def lacks(self, ability: str) -> str | None:
        """Return why this model cannot give one of `declaration.ABILITIES`, or None where it can."""
        method = _METHODS.get(ability)
        if method is not None and getattr(type(self), method) is getattr(ModelView, method):
            return self.reason
        return None

    def check_needs(self, callback: str, needs: Iterable[str]) -> None:
        """Refuse a callback that needs what this model cannot give.

        Raises:
            AttachError: with the reason.
        """
        for need in needs:
            reason = self.lacks(need)
            if reason is not None:
                kind = type(self.model).__qualname__
                raise AttachError(f"{callback} needs {need!r}, which cannot be had from a {kind}: {reason}")

    def _absent(self, ability: str) -> AbsentError:
        kind = type(self.model).__qualname__
        return AbsentError(f"{ability} cannot be had from a {kind}: {self.reason}")

    def weights(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the weights by name, on their device, as views; of several models with the model's name in front.

        Args:
            pattern: as in `fnmatch`, for example `"encoder.*"`; None for all.
        """
        raise self._absent("weights")

    def gradients(self, pattern: str | None = None) -> dict[str, Any]:
        """Return the gradients by the name of their weight; weights without one are left out."""
        raise self._absent("gradients")

    def handed_out(self, arrays: dict[str, Any], numpy: bool, copy: bool) -> dict[str, Any]:
        """Return arrays by name, as NumPy's or as they are, and as copies or not: `Run.weights` says more."""
        raise self._absent("copies and arrays of NumPy")

    def get_learning_rate(self) -> float | dict[str, float]:
        """Return the learning rate; where several differ, all of them by name."""
        raise self._absent("the learning rate")

    def set_learning_rate(self, value: float | dict[str, float]) -> None:
        """Set the one learning rate, or several by the names that `get_learning_rate` returns."""
        raise self._absent("setting the learning rate")

    def scale_learning_rate(self, factor: float) -> None:
        """Multiply every learning rate by a factor."""
        raise self._absent("scaling the learning rate")

    def observing(self, seed: int | None = None, gradients: bool = False) -> AbstractContextManager[None]:
        """Return a context in which the model may be used, and after which all is as it was."""
        raise self._absent("observing")

    def evaluating(self) -> AbstractContextManager[None]:
        """Return a context in which the model evaluates: no dropout, no gradients."""
        return Unchanged()

    def state_dict(self) -> dict[str, Any]:
        """Return all that a training needs to go on: weights, optimizers, random states."""
        raise self._absent("saving")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        raise self._absent("loading")

    def save(self, path: str, extra: dict[str, Any]) -> None:
        """Write the training's state and `extra` to a file, atomically."""
        raise self._absent("saving")

    def load(self, path: str) -> dict[str, Any]:
        """Take back what `save` wrote, and return its `extra`."""
        raise self._absent("loading")

    def read(self, is_body: bool) -> Any:
        """Return the model as it stands; `is_body` says that the loop's body goes on from there."""
        return self.model

    def replace(self, model: Any) -> None:
        """Take the state that a step has made."""
        raise AbsentError(
            f"loop.state is for states of JAX, which each step makes anew; a {type(self.model).__qualname__} changes "
            f"in place, and there is nothing to assign"
        )

    def give_gradients(self, gradients: Any) -> None:
        """Take the gradients that the loop's body hands over."""
        raise AbsentError(
            f"loop.gradients is for states of JAX; those of a {type(self.model).__qualname__} are where they belong"
        )

    def flag_holders(self) -> tuple[dict[str, Any], ...]:
        """Return the attribute dicts in which `model.stop_training = True` may show."""
        attributes = getattr(self.model, "__dict__", None)
        return (attributes,) if isinstance(attributes, dict) and not isinstance(self.model, dict) else ()

    def count_steps(self, stepped: Callable[..., None]) -> Callable[[], None] | None:
        """Have `stepped` called after each step of an optimizer, with anything; return what undoes it.

        None where no optimizer is known: then each train batch counts as one step.
        """
        return None

    def has_stepped(self) -> bool:
        """Say whether there was a step since the last time. Asked at the end of a train batch if nobody tells."""
        return True

    def look(self) -> Look:
        """Return what tensors are given to, to be told together what they look like."""
        raise self._absent("looking into tensors")

    def trained_weights(self) -> dict[str, Any]:
        """Return the weights that an optimizer may change, where that is known; else all."""
        return self.weights()

    def watch_steps(
        self,
        before: Callable[[dict[str, Any], dict[str, Any]], None],
        after: Callable[[dict[str, Any]], None],
        clipping: Callable[[dict[str, Any]], None] | None = None,
        clipped: Callable[[dict[str, Any]], None] | None = None,
    ) -> Callable[[], None] | None:
        """Have functions called around each step of an optimizer; return what undoes it.

        None where steps tell nobody: then the gradients at the batch's end are the best there is, and the weights have
        moved between its begin and its end.

        Args:
            before: gets the weights that are about to be changed, and gradients, accumulated and unscaled, by name; all
                but those of which `clipped` is told. Where they are there later, they come later, without weights.
            after: gets the weights that have been changed.
            clipping: gets gradients that are about to be clipped, where that can be seen; None not to be told.
            clipped: gets, right before the step, those of which `clipping` was told, as they are now: clipped.
        """
        return None

    def watch_activations(
        self, pattern: str | Callable[[str], bool] | None, seen: Callable[[str, str, Any], None], gradients: bool = True
    ) -> Callable[[], None] | None:
        """Call a function with what modules put out, until what is returned undoes it; None if none are chosen.

        Args:
            pattern: a shell pattern on the names of all modules; None, or a function of the name, for those that hold
                no other modules.
            seen: given the module's name, `"activations"` or `"activation_gradients"`, and the tensor, which it must
                look at before it returns, and not keep. Called once for each call of the module.
            gradients: whether the gradients of the outputs are wanted too.
        """
        raise self._absent("activations")

    def snapshot(self) -> Snapshot:
        """Return what keeps the training's state in memory, once its `take` is called, and goes back to it."""
        raise self._absent("a snapshot of the training")

    def keep_batch(self, data: Any) -> tuple[Any, int]:
        """Return a copy of a batch, and how many bytes it takes."""
        raise self._absent("a copy of a batch")

    def moment(self) -> Any:
        """Return what a batch begins with, beside weights; its `restore` puts it back, `restore_random` only a part."""
        raise self._absent("the moment at which a batch begins")

    def not_finite(self, what: str) -> list[str]:
        """Return the names of the `"weights"`, `"gradients"` or `"optimizer"` states that hold NaN or infinities."""
        if what == "optimizer":
            return []
        found = looked_at(self.look(), self.weights() if what == "weights" else self.gradients())
        return [name for name, summary in found.items() if summary.nan or summary.inf]

    def finite_buffers(self) -> frozenset[str]:
        """Return the names of what else a model keeps and has to stay finite, beside its weights."""
        return frozenset()

    def lost_buffers(self, watched: Collection[str]) -> list[str]:
        """Return the names of those that are not finite any more.

        Args:
            watched: as `finite_buffers` has returned them.
        """
        return []

    def trace(self, data: Any, lost: Collection[str] = ()) -> Trace:
        """Return a context that watches one training step to find where numbers stop being finite.

        Args:
            data: the batch.
            lost: the names of buffers that stop being finite in this step, where it is they that matter.
        """
        raise self._absent("tracing a step")

    def save_plain(self, path: str, content: dict[str, Any]) -> None:
        """Write plain data and tensors to a file that can be read without running code."""
        raise self._absent("saving")

    def process_count(self) -> int:
        """Return how many processes train together."""
        return 1

    def process_rank(self) -> int:
        """Return which of them this one is, from 0."""
        return 0


class Unchanged:
    """A context that does nothing. `contextlib.nullcontext` costs an import of 4 ms."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def looked_at(look: Look, tensors: Mapping[str, Any]) -> dict[str, Summary]:
    """Return what tensors look like, by name; those that cannot be looked at are left out.

    Args:
        look: a new one, of `ModelView.look`.
        tensors: by name.
    """
    for error in look.add_all(tensors).values():
        if not isinstance(error, LookError):
            raise error
    return look.fetch()
