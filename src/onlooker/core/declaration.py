"""What a host says of itself: for each hook and each ability `native`, `emulated` or `absent`, with the reason.

Owns the list of abilities and the shape of a declaration. Each host's own is in `hosts/declared/`, as plain data, so
that it can be read without the host's framework.
"""

from __future__ import annotations

from .errors import AttachError, nearest, warn
from .hooks import HOOKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

NATIVE, EMULATED, ABSENT = "native", "emulated", "absent"

ABILITIES: dict[str, str] = {
    "params": "params: how many epochs and steps there will be",
    "logs": "logs: means over the epoch so far, weighted by batch size",
    "batch_logs": "logs.batch: a batch's own values",
    "lazy_logs": "logs stay on the device until somebody reads them",
    "inputs": "run.inputs and run.targets of the batch at hand",
    "outputs": "run.outputs of the batch at hand",
    "step": "run.step: how often the optimizer has stepped",
    "stop": "run.stop(reason), and model.stop_training = True",
    "closing": "open hooks are closed when the training is cut off",
    "silent_stages": "a stage started from within a hook calls no hooks",
    "learning_rate": "run.learning_rate can be read",
    "set_learning_rate": "run.learning_rate can be set",
    "weights": "run.weights()",
    "gradients": "run.gradients()",
    "activations": "what the model's layers put out, for Inside",
    "replay": "batches can be run once more, with the training's own step, for FindNaN",
    "save": "run.save(path) and run.load(path)",
    "state": "callbacks' state is saved with the run and resumed",
    "observing": "run.observing() leaves no trace",
    "native_logs": "run.native_logs: the trainer's own names and values",
    "processes": "run.rank, run.world_size, only_on, and a stop that all processes agree on",
    "triggers": "when= and triggers above hooks",
    "faults": "on_error: raise, warn, disable",
}
"""Every ability by name, with what it means."""


_FRAME = ("on_train_begin", "on_train_end")
"""What always comes. By itself it does no work: it prepares and finishes what the other hooks do."""

_INSTEAD = {
    "on_train_batch_begin": "on_epoch_begin",
    "on_train_batch_end": "on_epoch_end",
    "on_test_batch_begin": "on_test_begin",
    "on_test_batch_end": "on_test_end",
}
"""The hooks around those that a host without batches never calls."""


class Support:
    """How far a host gives something.

    Attributes:
        level: `"native"`, `"emulated"` or `"absent"`.
        reason: what a user has to know; needed for anything but native.
    """

    __slots__ = ("level", "reason")

    def __init__(self, level: str, reason: str = "") -> None:
        if level != NATIVE and not reason:
            raise ValueError(f"support that is {level} needs a reason that a user understands")
        self.level, self.reason = level, reason

    def __repr__(self) -> str:
        return f"{self.level}: {self.reason}" if self.reason else self.level

    def as_dict(self) -> dict[str, str]:
        """Return both attributes, for JSON."""
        return {"level": self.level, "reason": self.reason}


def native(reason: str = "") -> Support:
    """Say that the host gives it as it is."""
    return Support(NATIVE, reason)


def emulated(reason: str) -> Support:
    """Say that Onlooker makes up for what the host lacks, and what the limits are."""
    return Support(EMULATED, reason)


def absent(reason: str) -> Support:
    """Say that the host cannot give it, and why."""
    return Support(ABSENT, reason)


class Declaration:
    """What a host gives. Everything that is not named is native.

    Args:
        name: how users know the host, for example `"Keras"`.
        use: the line that a user writes.
        package: the distribution that it needs, or None.
        tested: the versions that the tests ran with, for example `"3.15"`.
        hooks: what is not native among the fourteen hooks.
        abilities: what is not native, or needs a word, among `ABILITIES`.

    Raises:
        AttachError: a hook or an ability is named that does not exist.
    """

    def __init__(
        self,
        name: str,
        use: str,
        package: str | None = None,
        tested: str = "",
        hooks: Mapping[str, Support] | None = None,
        abilities: Mapping[str, Support] | None = None,
    ) -> None:
        self.name, self.use, self.package, self.tested = name, use, package, tested
        self.hooks = _complete(HOOKS, hooks or {})
        self.abilities = _complete(ABILITIES, abilities or {})

    def __repr__(self) -> str:
        return f"Declaration({self.name!r})"

    def check_needs(self, callback: str, needs: Iterable[str]) -> None:
        """Refuse a callback that needs what is absent here.

        Raises:
            AttachError: with the host's reason; or a need is no ability.
        """
        for need in needs:
            if need not in self.abilities:
                guess = nearest(need, ABILITIES)
                hint = f"did you mean {guess!r}?" if guess else f"known: {', '.join(ABILITIES)}"
                raise AttachError(f"{callback}.needs names {need!r}, which is no ability; {hint}")
            support = self.abilities[need]
            if support.level == ABSENT:
                raise AttachError(f"{callback} needs {need!r}, which is absent in {self.name}: {support.reason}")

    def warn_if_never_called(self, callback: str, heard: Collection[str]) -> None:
        """Warn of a callback whose work is in hooks that never come here.

        Nothing is said where some of its hooks come, but for the begin and the end of the training: it was written for
        every host, and does here what can be done here. Nor of one that hears these two and predictions, which stand
        apart from a training.

        Args:
            callback: its name.
            heard: the hooks that it overrides.
        """
        never = [hook for hook in heard if self.hooks[hook].level == ABSENT]
        comes = [hook for hook in heard if hook not in never]
        if not never or any(hook not in _FRAME for hook in comes):
            return
        if comes and all(HOOKS[hook].stage == "predict" for hook in never):
            return
        verb = "is" if len(never) == 1 else "are"
        reasons = "; ".join(dict.fromkeys(self.hooks[hook].reason for hook in never))
        instead = [_INSTEAD[hook] for hook in never if hook in _INSTEAD and self.hooks[_INSTEAD[hook]].level != ABSENT]
        hint = f". Use {_listed(instead)} instead" if instead else ""
        warn(f"{callback}.{_listed(never)} {verb} never called in {self.name}: {reasons}{hint}")

    def as_dict(self) -> dict[str, Any]:
        """Return the whole declaration, for JSON."""
        return {
            "name": self.name,
            "use": self.use,
            "package": self.package,
            "tested": self.tested,
            "hooks": {hook: support.as_dict() for hook, support in self.hooks.items()},
            "abilities": {ability: support.as_dict() for ability, support in self.abilities.items()},
        }


def _listed(hooks: list[str]) -> str:
    return hooks[0] if len(hooks) == 1 else f"{', '.join(hooks[:-1])} and {hooks[-1]}"


def _complete(known: Iterable[str], given: Mapping[str, Support]) -> dict[str, Support]:
    for name in given:
        if name not in known:
            raise AttachError(f"a declaration names {name!r}; did you mean {nearest(name, known)!r}?")
    return {name: given.get(name) or Support(NATIVE) for name in known}
