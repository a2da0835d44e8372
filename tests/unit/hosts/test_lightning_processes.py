"""Lightning in two real processes: both stop at the same boundary, and know why; some callbacks run in the first."""

import json
from pathlib import Path

import pytest
from tests.unit.hosts.two_processes import BATCH, BEGIN, END, EPOCH, TEST, check_stop, run_in_two

pytestmark = pytest.mark.slow

pytest.importorskip("lightning")

SCRIPT = Path(__file__).with_name("lightning_processes.py")
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
    run_in_two(SCRIPT, folder)
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".ckpt"}, folder


@pytest.mark.slow
@pytest.mark.parametrize("hook", CALLS)
def test_a_stop_in_one_process_stops_both_at_the_same_boundary(told, hook):
    check_stop([json.loads(told[0][f"{hook} {rank}"]) for rank in (0, 1)], CALLS[hook], "Watch")


@pytest.mark.slow
def test_the_values_of_each_and_of_both(told):
    first, second = (json.loads(told[0][f"{END} {rank}"])["logs"] for rank in (0, 1))
    assert first["loss"] != second["loss"]
    assert first["val_rank"] == second["val_rank"] == 0.5  # the mean over both, by sync_dist


@pytest.mark.slow
def test_a_callback_that_runs_in_the_first_process_only_may_save(told):
    assert [name for name in told[0] if name.startswith("first")] == ["first 0"]
    assert (told[1] / "run.ckpt").is_file()
