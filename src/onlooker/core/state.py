"""What a checkpoint needs beside the model: the position and the callbacks' states, collected and handed back.

Owns the names under which they are kept: the class's name, numbered where one class has several instances.
"""

from __future__ import annotations

from .errors import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .callback import Callback
    from .run import Run


def collect_states(callbacks: Iterable[Callback]) -> dict[str, Any]:
    """Return the state of each callback that has `state_dict`, by name."""
    return {
        key: callback.state_dict()  # type: ignore[attr-defined]
        for key, callback in _keyed(callbacks)
        if callable(getattr(callback, "state_dict", None))
    }


def collect_extra(run: Run, callbacks: Iterable[Callback], is_within_epoch: bool) -> dict[str, Any]:
    """Return what a run needs beside its model to be resumed: its position and the callbacks' states.

    Args:
        run: where it stands.
        callbacks: whose states are collected, as they are now.
        is_within_epoch: whether an epoch is under way: then it is begun again, from its first batch.
    """
    epoch = -1 if run.epoch is None else run.epoch
    return {
        "next_epoch": epoch if is_within_epoch else epoch + 1,
        "step": run.step_at_epoch_begin if is_within_epoch else run.step,
        "callbacks": collect_states(callbacks),
    }


def load_states(callbacks: Iterable[Callback], states: dict[str, Any]) -> None:
    """Hand each callback with `load_state_dict` its state. Call it after `on_train_begin`, where callbacks reset.

    A state for which there is no callback is left out with a warning, as is a callback without a state.
    """
    left = dict(states)
    lacking = []
    for key, callback in _keyed(callbacks):
        load = getattr(callback, "load_state_dict", None)
        if not callable(load):
            left.pop(key, None)
        elif key in left:
            load(left.pop(key))
        else:
            lacking.append(key)
    if left or lacking:
        parts = [f"no callback for the saved state of {', '.join(left)}"] if left else []
        parts += [f"no saved state for {', '.join(lacking)}"] if lacking else []
        warn(f"resuming: {'; '.join(parts)}")


def _keyed(callbacks: Iterable[Callback]) -> Iterator[tuple[str, Callback]]:
    counts: dict[str, int] = {}
    for callback in callbacks:
        name = getattr(callback, "state_key", None) or type(callback).__name__
        counts[name] = count = counts.get(name, 0) + 1
        yield (name if count == 1 else f"{name}#{count}"), callback
