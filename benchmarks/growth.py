"""How costs grow: with the number of callbacks, and with the number of batches.

Per batch: both batch hooks, and the same with direct calls in a loop. Attaching: making a `Dispatcher`, whose own cost
the first callback carries. Memory: the blocks that Python has allocated while the loop runs, with eight callbacks that
listen and a value logged in each batch; and the process's peak where each logged loss holds a graph with activations of
1 MB.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onlooker as ol
from benchmarks._paired import compare
from benchmarks._results import keep
from benchmarks.dispatch import LOGS, Listens
from onlooker.core.dispatch import Dispatcher

COUNTS = (1, 10, 100, 1000)
BATCHES = (1_000, 10_000, 100_000, 1_000_000)

GRAPHS = """
import resource, sys, torch
import onlooker as ol
torch.set_num_threads(1)
weight = torch.ones(512, 512, requires_grad=True)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def losses(count):
    for _ in range(count):
        yield (weight * 2).tanh().mean()
how = sys.argv[1]
next(losses(1)).backward()
before = peak()
if how == "loop.log":
    with ol.Loop(None) as loop:
        for loss in loop.train(losses(1000)):
            loop.log(loss=loss)
elif how == "total += loss":
    total = 0.0
    for loss in losses(1000):
        total = total + loss
else:
    for loss in losses(1000):
        pass
print(peak() - before)
"""


def batches_of(count: int) -> int:
    """How many batches a chunk has, so that it takes a few milliseconds."""
    return max(1, 20_000 // count)


def both_hooks(count: int) -> tuple[Callable[[], None], Callable[[], None]]:
    callbacks = [Listens() for _ in range(count)]
    dispatcher, batches = Dispatcher(callbacks), batches_of(count)

    def ours() -> None:
        for batch in range(batches):
            dispatcher.on_train_batch_begin(batch, LOGS)
            dispatcher.on_train_batch_end(batch, LOGS)

    def direct() -> None:
        for batch in range(batches):
            for callback in callbacks:
                callback.on_train_batch_begin(batch, LOGS)
            for callback in callbacks:
                callback.on_train_batch_end(batch, LOGS)

    return ours, direct


def attaching_us(count: int) -> float:
    """The best of several, in microseconds for each callback."""
    best = float("inf")
    for _ in range(max(3, 2000 // count)):
        callbacks = [Listens() for _ in range(count)]
        begin = time.process_time()
        Dispatcher(callbacks)
        best = min(best, time.process_time() - begin)
    return best / count * 1e6


class Blocks(ol.Callback):
    """Keeps the most blocks that it saw, from the tenth batch on."""

    def __init__(self) -> None:
        self.first = self.most = 0

    def on_train_batch_end(self, batch, logs):
        if batch % 500 == 10:
            blocks = sys.getallocatedblocks()
            self.first = self.first or blocks
            self.most = max(self.most, blocks)


def more_blocks(batches: int) -> int:
    blocks = Blocks()
    with ol.Loop(None, callbacks=[blocks, *(Listens() for _ in range(7))]) as loop:
        for _ in loop.train(range(batches)):
            loop.log(loss=0.5)
    return blocks.most - blocks.first


def graphs_mb(how: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", GRAPHS, how],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    return float(done.stdout)


def main() -> None:
    rows: list[dict[str, Any]] = []
    slopes = {}
    for count in COUNTS:
        ours, direct = both_hooks(count)
        summary = compare(direct, {"ours": ours}, 40)["ours"].summary(batches_of(count))
        slopes[count] = (summary["us"], summary["baseline_us"])
        rows.append(
            {
                "what": f"both batch hooks, callbacks: {count:,}",
                "figure": f"{summary['us']:.2f} µs, × direct calls {summary['cpu']['ratio']:.2f}",
                "goal": "",
            }
        )
    (ours_few, direct_few), (ours_many, direct_many) = slopes[COUNTS[0]], slopes[COUNTS[-1]]
    slope = (ours_many - ours_few) / (direct_many - direct_few)
    rows.append(
        {
            "what": "the slope from 1 to 1,000 callbacks, × that of direct calls",
            "figure": f"{slope:.2f}",
            "goal": "≤ 1.5",
        }
    )
    rows += [
        {"what": f"attaching callbacks, each of {count:,}", "figure": f"{attaching_us(count):.1f} µs", "goal": "linear"}
        for count in COUNTS
    ]
    rows += [
        {"what": f"{count:,} batches, blocks more", "figure": f"{more_blocks(count)}", "goal": "constant"}
        for count in BATCHES
    ]
    rows += [
        {"what": f"1,000 losses with graphs, {how}", "figure": f"{graphs_mb(how):.0f} MB more", "goal": goal}
        for how, goal in (("nothing kept", ""), ("loop.log", "as with nothing kept"), ("total += loss", ""))
    ]
    keep("growth", "Growth", __doc__.partition("\n\n")[2].strip(), rows, ("torch",))


if __name__ == "__main__":
    main()
