"""Trainings in two real processes on one machine, which find each other as `torchrun` would have them do.

Owns how they are started and that none outlives its test; and, for the scripts that they run, a callback that asks to
stop in the second of them. What they train is in the scripts.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import onlooker as ol

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 100  # it takes about ten seconds, most of them to import

BATCH, TEST, BEGIN, END = "on_train_batch_end", "on_test_end", "on_epoch_begin", "on_epoch_end"
EPOCH = [BEGIN, BATCH, BATCH, BATCH, TEST, END]
"""The hooks of a whole epoch."""
HOOKS = ("on_train_begin", BEGIN, BATCH, TEST, END)
"""In which of them the second process asks to stop."""


def run_in_two(script, folder, **environment):
    """Run a script in two processes, each with the folder as its argument, until both have ended well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # for this module
    processes = [
        subprocess.Popen(
            [sys.executable, script, folder],
            env={**os.environ, **shared, "LOCAL_RANK": str(rank), **{key: of(rank) for key, of in environment.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        for process in processes:
            output, _ = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()


class Watch(ol.Callback):
    """Asks to stop in one hook, in the second process only; that of a batch in the second batch of the second epoch.

    Args:
        path: of the file in which it tells at the end what it saw; the rank is added.
        stops_in: the hook; None never asks.
    """

    def __init__(self, path, stops_in=None):
        self.path, self.stops_in, self.calls, self.last = path, stops_in, [], {}

    def look(self, hook):
        self.calls.append(hook)
        is_time = hook != BATCH or (self.run.epoch, self.run.batch) == (1, 1)
        if hook == self.stops_in and self.run.rank == 1 and is_time:
            self.run.stop("rank 1 has seen enough")

    def on_train_begin(self, logs):
        self.look("on_train_begin")

    def on_epoch_begin(self, epoch, logs):
        self.look(BEGIN)

    def on_train_batch_end(self, batch, logs):
        self.look(BATCH)

    def on_test_end(self, logs):
        self.look(TEST)

    def on_epoch_end(self, epoch, logs):
        self.last = dict(logs)
        self.look(END)

    def on_train_end(self, logs):
        run = self.run
        told = {name: getattr(run, name) for name in ("rank", "world_size", "outcome", "reason", "stopped_by", "step")}
        told |= {"calls": self.calls, "logs": self.last, **self.more()}
        self.path.with_name(f"{self.path.name} {run.rank}").write_text(json.dumps(told))

    def more(self):
        """Return what else there is to tell."""
        return {}


def check_stop(both, calls, name):
    """Check what two processes have told of a training that the second stopped in a hook.

    Args:
        both: of the first and of the second.
        calls: what comes between the begin and the end of the training.
        name: of the callback's class that asked.
    """
    for rank, one in enumerate(both):
        assert (one["rank"], one["world_size"]) == (rank, 2)
        assert (one["outcome"], one["reason"], one["stopped_by"]) == ("stopped", "rank 1 has seen enough", name)
        assert one["calls"] == ["on_train_begin", *calls]
        assert one["step"] == calls.count(BATCH)
