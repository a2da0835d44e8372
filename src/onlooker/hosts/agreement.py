"""`Agreement`: several processes that train together stop at the same boundary, and for the same reason.

Without it, one that stops leaves the others waiting for its gradients for ever. It asks them all, by a group of its own
on the CPU, so that no device is waited for.
"""

from __future__ import annotations

import sys
from typing import Any

from onlooker.core.run import Run


class Agreement:
    """Whether any process wants to stop; asked in all of them at the same boundaries."""

    def __init__(self) -> None:
        self._group: Any = None

    def prepare(self, world_size: int) -> None:
        """Make ready to ask. Called in every process as a training begins."""
        if world_size > 1:
            self._group = sys.modules["torch"].distributed.new_group(backend="gloo")

    def release(self) -> None:
        """Let go of the group, now that the training is over."""
        group, self._group = self._group, None
        distributed = sys.modules["torch"].distributed if group is not None else None
        if distributed is not None and distributed.is_initialized():
            distributed.destroy_process_group(group)

    def settle(self, run: Run) -> None:
        """Tell a run whether another process wants to stop, and why: the reason is that of the lowest rank."""
        torch = sys.modules["torch"]
        wanted = torch.tensor([int(run.is_stop_requested)])
        torch.distributed.all_reduce(wanted, group=self._group)
        if not int(wanted):
            return
        told: list[Any] = [None] * run.world_size
        mine = (run.reason, run.stopped_by) if run.is_stop_requested else None
        torch.distributed.all_gather_object(told, mine, group=self._group)
        first = next(one for one in told if one is not None)
        run.is_stop_requested = True
        run.reason, run.stopped_by = first


class CollectiveAgreement(Agreement):
    """XGBoost's workers agree by its own means of talking to each other."""

    def prepare(self, world_size: int) -> None:
        """Nothing is needed."""

    def release(self) -> None:
        """Nothing is held."""

    def settle(self, run: Run) -> None:
        """Tell a run whether another worker wants to stop, and why: the reason is that of the lowest rank."""
        collective, numpy = sys.modules["xgboost"].collective, sys.modules["numpy"]
        own = run.rank if run.is_stop_requested else run.world_size
        first = int(collective.allreduce(numpy.array([own]), collective.Op.MIN)[0])
        if first < run.world_size:
            run.reason, run.stopped_by = collective.broadcast((run.reason, run.stopped_by), first)
            run.is_stop_requested = True
