"""Transformers in two real processes: both stop at the same boundary, and know why; some callbacks run in the first."""

import json
from pathlib import Path

import pytest
from tests.unit.hosts.two_processes import BATCH, BEGIN, END, EPOCH, TEST, check_stop, run_in_two

pytestmark = pytest.mark.slow

pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SCRIPT = Path(__file__).with_name("transformers_processes.py")
ONE_BATCH = [BEGIN, BATCH, TEST, END]
CALLS = {
    "on_train_begin": ONE_BATCH,
    BEGIN: ONE_BATCH,
    BATCH: [*EPOCH, BEGIN, BATCH, BATCH, TEST, END],
    TEST: EPOCH,
    END: EPOCH,
}
"""By the hook in which the second process asks to stop, what comes between the begin and the end of the training."""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Train in two processes; return what each of them wrote."""
    folder = tmp_path_factory.mktemp("processes")
    run_in_two(SCRIPT, folder, RANK=str, WORLD_SIZE=lambda rank: "2")
    return folder


def both(told, name):
    return [json.loads((told / f"{name} {rank}").read_text()) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("hook", CALLS)
def test_a_stop_in_one_process_stops_both_at_the_same_boundary(told, hook):
    check_stop(both(told, hook), CALLS[hook], "WatchMore")


@pytest.mark.slow
def test_they_agree_where_the_optimizer_steps(told):
    """The wish comes within an update: both finish it."""
    for one in both(told, "accumulated"):
        assert one["outcome"] == "stopped"
        assert one["calls"] == ["on_train_begin", *EPOCH, *EPOCH]
        assert one["step"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "accumulated"])
def test_the_values_of_each_and_of_both(told, name):
    first, second = both(told, name)
    assert first["logs"]["loss"] != second["logs"]["loss"]
    assert first["logs"]["val_loss"] == second["logs"]["val_loss"]
    assert first["logs"]["val_loss"] == pytest.approx(first["native"]["eval_loss"], rel=1e-6)


@pytest.mark.slow
def test_the_loss_is_that_of_the_batch_in_this_process(told):
    """The trainer multiplies it by the number of processes, and divides it by the labels of all of them."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 1)
    x = torch.tensor([[number / 12, 1.0] for number in range(12)])
    with torch.no_grad():
        errors = (layer(x).squeeze(-1) - torch.arange(12) % 5) ** 2
    expected = errors.reshape(6, 2).mean(1).tolist()  # of batches of two, every other of which is for each process
    for rank, (alone, accumulated) in enumerate(zip(both(told, "whole"), both(told, "accumulated"), strict=True)):
        assert alone["losses"][0] == pytest.approx(expected[rank], rel=1e-5)
        assert accumulated["losses"] == pytest.approx(expected[rank::2] * 2, rel=1e-5)  # nothing moves there


@pytest.mark.slow
def test_each_process_goes_on_with_its_own_state(told):
    for rank, (resumed, whole) in enumerate(zip(both(told, "resumed"), both(told, "whole"), strict=True)):
        assert resumed["calls"][:4] == ["on_train_begin", f"state of {rank}", BEGIN, f"state of {rank}"]
        assert resumed["calls"][4:] == [BATCH, BATCH, TEST, END, *EPOCH]
        assert resumed["logs"] == whole["logs"]
        assert resumed["losses"] == whole["losses"][4:]
    files = {path.name for path in (told / "whole" / "checkpoint-4").iterdir() if "onlooker" in path.name}
    assert files == {"onlooker_0_0.pt", "onlooker_0_1.pt"}


@pytest.mark.slow
def test_a_callback_that_runs_in_the_first_process_only_may_save(told):
    assert [path.name for path in told.iterdir() if path.name.startswith("first")] == ["first 0"]
    assert (told / "saved" / "trainer_state.json").is_file()
