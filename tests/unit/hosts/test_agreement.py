"""`Agreement` between two real processes: a stop asked in one stops both, at the same boundary, for the same reason."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import json, sys
import torch
import onlooker as ol
from onlooker.core.declaration import Declaration
from onlooker.hosts.follower import Follower
from onlooker.views.torch import TorchView

rank, store, asks = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)


class Asks(ol.Callback):
    def on_train_batch_end(self, batch, logs):
        if [self.run.rank, self.run.epoch, batch] in asks:
            self.run.stop(f"asked by {rank}")


class Hears(ol.Callback):
    def __init__(self):
        self.epochs = []

    def on_epoch_end(self, epoch, logs):
        self.epochs.append(epoch)


class HearsAlone(Hears):
    only_on = "rank 0"


everywhere, alone, seen = Hears(), HearsAlone(), []
follower = Follower([Asks(), everywhere, alone], Declaration("A trainer", "for_it()"))
run = follower.start(TorchView(torch.nn.Linear(2, 1)))
follower.open("train")
for epoch in range(3):
    follower.open("epoch", epoch)
    for batch in range(4):
        follower.begin_batch("train_batch", batch)
        follower.end_batch()
        seen.append([epoch, batch])
        if follower.is_stopping():
            break
    follower.close("epoch")
    if run.is_stop_requested:
        break
follower.finish()
print(json.dumps({
    "rank": run.rank, "world_size": run.world_size, "last": seen[-1], "outcome": run.outcome, "reason": run.reason,
    "by": run.stopped_by, "everywhere": everywhere.epochs, "alone": alone.epochs, "attached": alone.run is run,
}))
torch.distributed.destroy_process_group()
"""


def in_two_processes(tmp_path, asks):
    """Run the program in two processes; return what each has told."""
    command = [sys.executable, "-c", PROGRAM]
    arguments = [str(tmp_path / "store"), json.dumps(asks)]
    processes = [
        subprocess.Popen([*command, str(rank), *arguments], stdout=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    try:
        told = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0]
    return [json.loads(one) for one in told]


@pytest.mark.parametrize(
    ("asks", "last", "outcome", "reason", "by"),
    [
        ([[1, 1, 2]], [1, 2], "stopped", "asked by 1", "Asks"),
        ([[0, 0, 1], [1, 0, 1]], [0, 1], "stopped", "asked by 0", "Asks"),
        ([], [2, 3], "completed", "", None),
    ],
    ids=["by the second", "by both", "by none"],
)
def test_both_stop_where_one_asks(tmp_path, asks, last, outcome, reason, by):
    first, second = in_two_processes(tmp_path, asks)
    for rank, one in enumerate((first, second)):
        assert (one["rank"], one["world_size"]) == (rank, 2)
        assert (one["last"], one["outcome"], one["reason"], one["by"]) == (last, outcome, reason, by)
        assert one["everywhere"] == list(range(last[0] + 1))
        assert one["attached"]
    assert first["alone"] == first["everywhere"]
    assert second["alone"] == []
