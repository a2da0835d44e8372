"""XGBoost in two real processes: rank and world size are right, and a stop asked in one stops both in one round."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import json, sys
import numpy as np
import xgboost
import onlooker as ol

rank, tracker, cases = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])


class Asks(ol.Callback):
    def __init__(self, asks):
        self.asks = asks

    def on_epoch_begin(self, epoch, logs):
        self.ask("begin", epoch)

    def on_epoch_end(self, epoch, logs):
        self.ask("end", epoch)

    def ask(self, where, epoch):
        if [self.run.rank, where, epoch] in self.asks:
            self.run.stop(f"asked by {self.run.rank}")


class Hears(ol.Callback):
    def __init__(self):
        self.epochs = []

    def on_epoch_end(self, epoch, logs):
        self.epochs.append(epoch)


class HearsAlone(Hears):
    only_on = "rank 0"


def train(asks):
    random = np.random.default_rng(xgboost.collective.get_rank())
    data = xgboost.DMatrix(random.normal(size=(50, 3)), label=random.normal(size=50))
    everywhere, alone = Hears(), HearsAlone()
    booster = xgboost.train(
        {"nthread": 1}, data, 4, evals=[(data, "train")], verbose_eval=False,
        callbacks=[ol.for_xgboost(Asks(asks), everywhere, alone)],
    )
    run = everywhere.run
    return {
        "rank": run.rank, "world_size": run.world_size, "rounds": booster.num_boosted_rounds(),
        "outcome": run.outcome, "reason": run.reason, "by": run.stopped_by,
        "everywhere": everywhere.epochs, "alone": alone.epochs,
    }


with xgboost.collective.CommunicatorContext(**tracker, dmlc_task_id=str(rank)):
    print(json.dumps([train(asks) for asks in cases]))
"""

CASES = {
    "by none": ([], 4, "completed", "", None),
    "by the second": ([[1, "end", 1]], 2, "stopped", "asked by 1", "Asks"),
    "by the second as a round begins": ([[1, "begin", 1]], 1, "stopped", "asked by 1", "Asks"),
    "by both": ([[0, "end", 0], [1, "end", 0]], 1, "stopped", "asked by 0", "Asks"),
    "in the last round": ([[1, "end", 3]], 4, "stopped", "asked by 1", "Asks"),
}


@pytest.fixture(scope="module")
def told():
    """Run all cases in two processes, which takes seconds to set up; return what each has told, by rank and case."""
    tracker = pytest.importorskip("xgboost.tracker").RabitTracker(host_ip="127.0.0.1", n_workers=2)
    tracker.start()
    arguments = [json.dumps(tracker.worker_args()), json.dumps([asks for asks, *_ in CASES.values()])]
    command = [sys.executable, "-c", PROGRAM]
    processes = [
        subprocess.Popen([*command, str(rank), *arguments], stdout=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    try:
        lines = [process.communicate(timeout=120)[0].splitlines()[-1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0]
    by_rank = sorted((json.loads(line) for line in lines), key=lambda one: one[0]["rank"])
    return [dict(zip(CASES, one, strict=True)) for one in by_rank]


@pytest.mark.parametrize("case", CASES)
def test_both_stop_where_one_asks(told, case):
    asks, rounds, outcome, reason, by = CASES[case]
    first, second = (one[case] for one in told)
    for rank, one in enumerate((first, second)):
        assert (one["rank"], one["world_size"]) == (rank, 2)
        assert (one["rounds"], one["outcome"], one["reason"], one["by"]) == (rounds, outcome, reason, by)
        begun = rounds + (asks == [[1, "begin", 1]])
        assert one["everywhere"] == list(range(begun))
    assert first["alone"] == first["everywhere"]
    assert second["alone"] == []
