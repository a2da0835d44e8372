"""`Looking`: one look into a model, over a train batch: set up when it begins, told when the optimizer has stepped.

Owns when each tensor is looked at, and that nothing is left behind: neither hooks nor copies of weights. When to look
is `Inside`'s business, and what to make of it too.
"""

from __future__ import annotations

from onlooker.core.declaration import ABSENT
from onlooker.core.errors import AbsentError, LookError, warn

from .seen import Ended, Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from onlooker.core.run import Run
    from onlooker.core.view import Look

    from .choice import Choice

    Undo = Callable[[], None]

WHAT = ("weights", "gradients", "updates", "activations", "activation_gradients")
"""All that can be looked at."""

NEEDS = {"gradients": "gradients", "activations": "activations", "activation_gradients": "activations"}
"""The ability that each of them needs; the others need `"weights"`."""

PATIENCE = 128
"""Batches in a row without a step, as in an accumulation, before one is told that nothing is looked at."""

PATIENCE_FOR_OUTPUTS = 3
"""Looks in a row in which no module puts anything out, before one is told."""


def available(run: Run, wanted: Iterable[str]) -> list[str]:
    """Return what can be looked at in a run, of what is wanted."""
    found = []
    for what in dict.fromkeys(wanted):
        need = NEEDS.get(what, "weights")
        support = run.host.abilities.get(need)
        if (support is None or support.level != ABSENT) and run.view.lacks(need) is None:
            found.append(what)
    return found


class Looking:
    """Looks into the model of a run over a train batch.

    Args:
        what: names in `WHAT`.
        choice: says of a name whether it is looked at.

    Attributes:
        is_watching: whether there are hooks.
    """

    def __init__(self, what: Iterable[str], choice: Choice) -> None:
        self.what = tuple(what)
        self._choice = choice
        self._undo: list[Undo] = []
        self._kept: dict[str, Any] = {}
        self._warned: set[str] = set()
        self._look: Look | None = None
        self._sees_steps = self._has_stepped = self._are_steps_hidden = False
        self._error: Exception | None = None
        self._calls = self._batches_in_vain = self._looks_in_vain = 0
        self._watches_outputs = self._has_seen_outputs = False
        self._unclipped: dict[str, tuple[Any, ...]] = {}  # by name the key of the last gradient before it was clipped
        self._clipped_keys: dict[str, tuple[Any, ...]] = {}  # the same, of those with which an optimizer has stepped

    @property
    def is_watching(self) -> bool:
        """Whether there are hooks."""
        return bool(self._undo)

    def begin(self, run: Run) -> None:
        """Set up what is needed to look into the batch that begins."""
        self.leave()
        view, what = run.view, self.what
        self._look, self._error, self._has_stepped, self._calls = run.look(), None, False, 0
        self._unclipped, self._clipped_keys = {}, {}
        self._watches_outputs = self._has_seen_outputs = False
        try:
            told = (self._clipping, self._clipped) if "gradients" in what else (None, None)
            undo = None if self._are_steps_hidden else view.watch_steps(self._before, self._after, *told)
            self._sees_steps = undo is not None
            if undo is not None:
                self._undo.append(undo)
            elif "updates" in what:
                self._keep(view.trained_weights(), {})
            if "activations" in what or "activation_gradients" in what:
                self._watch_activations(view)
        except BaseException:
            self.leave()
            raise

    def end(self, run: Run) -> Ended | None:
        """Return what `fetch` takes, if an optimizer has stepped in the batch that ends; else None. No hooks are left.

        No device is waited for: its numbers begin their way here.

        Raises:
            Exception: what went wrong while looking; it was held back, so as not to come up within a user's step.
        """
        self.leave()
        error, look = self._error, self._look
        if error is not None:
            raise error
        has_stepped = self._has_stepped if self._sees_steps else run.step > run.step_at_batch_begin
        if not has_stepped and run.step > run.step_at_batch_begin:
            self._are_steps_hidden = True
            self._warn(
                "",
                "the optimizer's step is compiled, or captured in a graph, so nothing can be looked at around it: from "
                "the next look on, gradients are those that are there when the batch ends, and updates all that a "
                "batch changes",
            )
        if look is None or not has_stepped:
            self._batches_in_vain += 1
            if self._batches_in_vain == PATIENCE:
                self._warn(
                    "",
                    f"no optimizer has stepped in {PATIENCE} batches, and a look waits for one that does. Is the one "
                    f"that steps in your loop the one that was passed to it?",
                )
            return None
        self._look, self._batches_in_vain = None, 0
        self._add_rest(look, run)
        self._warn_without_outputs()
        return Ended(look, run, self._unclipped, self._clipped_keys)

    def fetch(self, ended: Ended) -> Seen:
        """Return what a look has seen that has ended; wait for what is not here yet."""
        return ended.fetch()

    def leave(self) -> None:
        """Take all hooks away."""
        while self._undo:
            self._undo.pop()()

    def rest(self) -> None:
        """Let go of the copies of weights, too: there is no look at this batch."""
        self.leave()
        if self._kept:
            self._kept = {}

    # While the batch runs.

    def _before(self, weights: dict[str, Any], gradients: dict[str, Any]) -> None:
        looked_at = self._chosen("gradients", gradients) if "gradients" in self.what else {}
        if self._clipped_keys:
            for _, name in looked_at:
                self._clipped_keys.pop(name, None)
        if "updates" in self.what and weights:
            self._keep(weights, looked_at)
        elif looked_at:
            self._try(lambda look: look.add_all(looked_at), looked_at)

    def _clipping(self, gradients: dict[str, Any]) -> None:
        self._calls += 1  # whether an optimizer will step with them is not known yet
        chosen = {(*key, self._calls): tensor for key, tensor in self._chosen("gradients", gradients).items()}
        self._try(lambda look: look.add_all(chosen), chosen)
        self._unclipped.update({key[1]: key for key in chosen})

    def _clipped(self, gradients: dict[str, Any]) -> None:
        self._add_all("clipped", gradients)
        self._clipped_keys.update({name: self._unclipped[name] for name in gradients if name in self._unclipped})

    def _after(self, weights: dict[str, Any]) -> None:
        self._has_stepped = True
        if "updates" in self.what:
            self._add_differences(weights)

    def _seen(self, name: str, what: str, tensor: Any) -> None:
        self._has_seen_outputs = True
        if what in self.what and self._choice(name):
            self._calls += 1  # a module may be called several times
            self._add((what, name, self._calls), tensor)

    def _watch_activations(self, view: Any) -> None:
        try:
            undo = view.watch_activations(self._choice, self._seen, "activation_gradients" in self.what)
        except AbsentError as error:
            self._warn("", str(error))
            return
        if undo is not None:
            self._undo.append(undo)
            self._watches_outputs = True

    def _warn_without_outputs(self) -> None:
        """Say so if modules are watched, and none of them puts anything out although the optimizer steps."""
        self._looks_in_vain = 0 if self._has_seen_outputs else self._looks_in_vain + self._watches_outputs
        if self._looks_in_vain == PATIENCE_FOR_OUTPUTS:
            self._warn(
                "",
                f"no module that is watched has put anything out in {PATIENCE_FOR_OUTPUTS} looks. Is the model called "
                f"within a function that torch.compile compiles? Compile the model instead: torch.compile(model). Else "
                f"the layers that are looked at are not used",
            )

    # Looking at tensors: what cannot be looked at is left out, and said once.

    def _add_rest(self, look: Look, run: Run) -> None:
        """Look at what is best looked at when the batch ends."""
        self._look = look
        if not self._sees_steps:
            if "gradients" in self.what:
                try:
                    self._add_all("gradients", run.view.gradients())
                except AbsentError as error:
                    self._warn("", str(error))
            if "updates" in self.what:
                self._add_differences(run.view.trained_weights())
        if "weights" in self.what:
            self._add_all("weights", run.view.weights())
        self._look = None
        if self._error is not None:
            raise self._error

    def _add_all(self, what: str, tensors: dict[str, Any]) -> None:
        chosen = self._chosen(what, tensors)
        self._try(lambda look: look.add_all(chosen), chosen)

    def _chosen(self, what: str, tensors: dict[str, Any]) -> dict[tuple[Any, ...], Any]:
        return {(what, name): tensor for name, tensor in self._choice.among(tensors).items()}

    def _add(self, key: tuple[Any, ...], tensor: Any) -> None:
        self._try(lambda look: look.add_all({key: tensor}), {key: tensor})

    def _add_differences(self, weights: dict[str, Any]) -> None:
        kept = {("updates", name): copy for name, copy in self._kept.items() if name in weights}
        chosen = {key: weights[key[1]] for key in kept}
        self._try(lambda look: look.add_differences(chosen, kept), chosen)

    def _keep(self, weights: dict[str, Any], meanwhile: dict[tuple[Any, ...], Any]) -> None:
        """Copy weights, and look at other tensors in the same go."""
        chosen = self._choice.among(weights)
        self._try(lambda look: look.keep_all(chosen, self._kept, meanwhile), meanwhile)

    def _try(self, act: Callable[[Look], dict[Any, Exception]], tensors: dict[tuple[Any, ...], Any]) -> None:
        """Do something with the look, and hold back what goes wrong: this is within a user's step."""
        if self._look is None:
            return
        try:
            errors = act(self._look)
        except Exception as error:
            self._error = self._error or error
            return
        for key, found in errors.items():
            name = key[1] if isinstance(key, tuple) else key
            if isinstance(found, LookError):
                self._warn(name, str(found).replace(repr(key), repr(name)))
            else:
                self._error = self._error or found
        spread = {kind for kind in set(map(type, tensors.values())) if hasattr(kind, "to_local")}
        for key, tensor in tensors.items() if spread else ():
            if type(tensor) in spread and key not in errors:
                self._warn(key[1], "it is spread over several processes, and looked at is the part in this one")

    def _warn(self, name: str, reason: str) -> None:
        about = name or reason  # one word for each weight is enough, whatever is wrong with it
        if about not in self._warned:
            self._warned.add(about)
            warn(f"Inside leaves out {name!r}: {reason}" if name else f"Inside: {reason}")
