"""How long `import onlooker` takes over an empty interpreter: fresh processes, in pairs.

The two of a pair run one right after the other, in changing order, so that a machine that grows
slow in between slows both. The figure is the median of the pairs' differences.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks._results import keep

GOAL_MS = 10.0


def run_ms(code: str) -> float:
    """How long a fresh interpreter takes for `code`, from start to end, in milliseconds."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - begin) * 1e3


def difference_ms(code: str, pairs: int) -> tuple[float, float]:
    """Median of what `code` takes over an empty program, and half the quartiles' distance."""
    run_ms(code)  # compiles, and reads the disk
    differences = []
    for pair in range(pairs):
        if pair % 2:
            full, empty = run_ms(code), run_ms("")
        else:
            empty, full = run_ms(""), run_ms(code)
        differences.append(full - empty)
    low, median, high = statistics.quantiles(differences, n=4)
    return median, (high - low) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=40)
    arguments = parser.parse_args()
    median, spread = difference_ms("import onlooker", arguments.pairs)
    row = {
        "": "import onlooker, over an empty interpreter",
        "figure": f"{median:.1f} ms (± {spread:.1f})",
        "goal": f"≤ {GOAL_MS:.0f} ms",
    }
    keep("import_time", "Importing", f"Fresh processes, in pairs; the median of {arguments.pairs}.", [row], ())


if __name__ == "__main__":
    main()
