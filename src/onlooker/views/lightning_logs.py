"""`LoggedValues`: what the parts of a Lightning training log by `self.log`, as they log it.

Lightning itself keeps no batch's own value of what is logged for the epoch only, and keeps old values beside new ones.
So the calls are heard, on the collections in which Lightning gathers them. What becomes of the values is the host's
business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

PREFIXES = ("val_", "val/", "valid_", "valid/", "validation_", "validation/", "test_", "test/")
"""What stands in front of names that are logged in evaluation; ours stand under `val_` anyway."""


class LoggedValues:
    """What has been logged in the batch and in the stage at hand, under Lightning's names.

    Args:
        heard: called with each name and value, and says whether it is to be kept.
    """

    def __init__(self, heard: Callable[[str, Any], bool]) -> None:
        self._heard = heard
        self._batch: dict[str, tuple[Any, float | None]] = {}
        self._stage: dict[bool, dict[str, None]] = {True: {}, False: {}}  # names: in training, and in evaluation
        self._taps: list[_Tap] = []

    def listen(self, results: Any) -> None:
        """Hear what is logged into a collection, until `let_go`; and forget what was logged there before."""
        if results is None:  # of a prediction
            return
        self._stage[results.training] = {}
        tap = vars(results).get("log")
        if tap is None:
            tap = results.log = _Tap(results)
        if self._note not in tap.listeners:
            tap.listeners.append(self._note)
            self._taps.append(tap)

    def let_go(self) -> None:
        """Leave no trace on the collections."""
        while self._taps:
            self._taps.pop().remove(self._note)

    def begin_batch(self) -> None:
        """Forget what was logged before: it was of another batch, or of none."""
        self._batch = {}

    def of_batch(self) -> Iterator[tuple[str, Any, float | None]]:
        """Yield name, value and weight of what was logged in the batch at hand; the weight may be None."""
        for name, (value, weight) in self._batch.items():
            # A torchmetrics object knows the batch's own value if it was called, not if it was only updated.
            number = getattr(value, "_forward_cache", value)
            if number is not None:
                yield name, number, weight

    def of_stage(self, metrics: dict[str, Any], is_training: bool) -> dict[str, Any]:
        """Return those of Lightning's `callback_metrics` that were logged in the stage at hand, for its end."""
        return {name: metrics[name] for name in self._stage[is_training] if name in metrics}

    def _note(self, results: Any, name: str, value: Any, named: dict[str, Any]) -> None:
        loader = results.dataloader_idx
        if loader is not None and named.get("add_dataloader_idx", True):
            name = f"{name}/dataloader_idx_{loader}"
        if self._heard(name, value):
            self._batch[name] = value, named.get("batch_size")
        if named.get("on_epoch", True):
            self._stage[results.training][name] = None


class _Tap:
    """Stands before the `log` of a collection, as long as anybody listens."""

    def __init__(self, results: Any) -> None:
        self._results, self._log = results, results.log
        self.listeners: list[Callable[..., None]] = []

    def __call__(self, place: str, name: str, value: Any, **named: Any) -> None:
        self._log(place, name, value, **named)
        for listener in self.listeners:
            listener(self._results, name, value, named)

    def remove(self, listener: Callable[..., None]) -> None:
        self.listeners.remove(listener)
        if not self.listeners:
            del self._results.log


def bare_name(name: str) -> str:
    """Return a name of an evaluation without its prefix; the first of several loaders needs no number.

    Example:
        >>> bare_name("val_loss"), bare_name("accuracy"), bare_name("val_loss/dataloader_idx_1")
        ('loss', 'accuracy', 'loss/dataloader_idx_1')
    """
    name = name.removesuffix("/dataloader_idx_0")
    return next((name[len(prefix) :] for prefix in PREFIXES if name.startswith(prefix)), name)
