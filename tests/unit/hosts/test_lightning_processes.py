"""Lightning in two real processes: both stop at the same boundary, and know why; some callbacks run in the first."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("lightning")

SCRIPT = Path(__file__).with_name("lightning_processes.py")
TIMEOUT_S = 100  # it takes about ten seconds, most of them to import

BATCH, TEST, BEGIN, END = "on_train_batch_end", "on_test_end", "on_epoch_begin", "on_epoch_end"
EPOCH = [BEGIN, BATCH, BATCH, BATCH, TEST, END]
CALLS = {
    "on_train_begin": [],
    BEGIN: [BEGIN, END],
    BATCH: [*EPOCH, BEGIN, BATCH, BATCH, TEST, END],
    TEST: EPOCH,
    END: EPOCH,
}
"""By the hook in which the second process asks to stop, what comes between the begin and the end of the training."""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Train in two processes, once for each hook; return what each of them wrote."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, folder],
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            },
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
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".ckpt"}, folder


@pytest.mark.slow
@pytest.mark.parametrize("hook", CALLS)
def test_a_stop_in_one_process_stops_both_at_the_same_boundary(told, hook):
    both = [json.loads(told[0][f"{hook} {rank}"]) for rank in (0, 1)]
    for rank, one in enumerate(both):
        assert (one["rank"], one["world_size"]) == (rank, 2)
        assert (one["outcome"], one["reason"], one["stopped_by"]) == ("stopped", "rank 1 has seen enough", "Watch")
        assert one["calls"] == ["on_train_begin", *CALLS[hook]]
        assert one["step"] == CALLS[hook].count(BATCH)


@pytest.mark.slow
def test_the_values_of_each_and_of_both(told):
    first, second = (json.loads(told[0][f"{END} {rank}"])["logs"] for rank in (0, 1))
    assert first["loss"] != second["loss"]
    assert first["val_rank"] == second["val_rank"] == 0.5  # the mean over both, by sync_dist


@pytest.mark.slow
def test_a_callback_that_runs_in_the_first_process_only_may_save(told):
    assert [name for name in told[0] if name.startswith("first")] == ["first 0"]
    assert (told[1] / "run.ckpt").is_file()
