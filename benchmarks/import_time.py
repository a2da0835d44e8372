"""How long `import onlooker` takes over an empty interpreter: fresh processes, in pairs.

The two of a pair run one right after the other, in changing order, so that a machine that grows
slow in between slows both. The figure is the median of the pairs' differences, by the wall's clock and in CPU time,
in which what others took from us does not count.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

from benchmarks._results import keep

GOAL_MS = 10.0


def run_ms(code: str) -> tuple[float, float]:
    """How long a fresh interpreter takes for `code`, from start to end, and its CPU time, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall * 1e3, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def difference_ms(code: str, pairs: int) -> list[tuple[float, float]]:
    """By each clock: the median of what `code` takes over an empty program, and half the quartiles' distance."""
    run_ms(code)  # compiles, and reads the disk
    differences = []
    for pair in range(pairs):
        if pair % 2:
            full, empty = run_ms(code), run_ms("")
        else:
            empty, full = run_ms(""), run_ms(code)
        differences.append([a - b for a, b in zip(full, empty, strict=True)])
    found = []
    for by_clock in zip(*differences, strict=True):
        low, median, high = statistics.quantiles(by_clock, n=4)
        found.append((median, (high - low) / 2))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=40)
    arguments = parser.parse_args()
    (wall, wall_spread), (cpu, cpu_spread) = difference_ms("import onlooker", arguments.pairs)
    row = {
        "": "import onlooker, over an empty interpreter",
        "wall": f"{wall:.1f} ms (± {wall_spread:.1f})",
        "CPU time": f"{cpu:.1f} ms (± {cpu_spread:.1f})",
        "goal": f"≤ {GOAL_MS:.0f} ms",
    }
    keep("import_time", "Importing", f"Fresh processes, in pairs; the median of {arguments.pairs}.", [row], ())


if __name__ == "__main__":
    main()
