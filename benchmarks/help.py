"""CPU seconds of `--help`, and how many times those of a Python that does nothing.

python -m benchmarks.help [--repeats 9]

Imports are compiled before anything is counted.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

import tyro

COMMANDS = ("", "train", "train l2-lpips", "sample", "evaluate", "evaluate --benchmark coco30k")
GOAL = 0.5  # s


@dataclass(frozen=True)
class Options:
    repeats: int = 9


def seconds(command: list[str]) -> float:
    """CPU seconds of a command, run in a separate process."""
    before = getrusage(RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    repeats = tyro.cli(Options).repeats
    jobs = {f"e2ed2 {name}".strip(): ["-m", "e2ed2", *name.split(), "--help"] for name in COMMANDS}
    jobs = {"nothing": ["-c", "pass"]} | jobs
    for command in jobs.values():
        seconds(command)
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):  # by turns, so that other work on the machine is shared
        for name, command in jobs.items():
            found[name].append(seconds(command))
    bare = median(found["nothing"])
    print(f"{'--help of':40} {'CPU s':>6} {'times nothing':>14}   (goal < {GOAL} s)")
    for name, taken in found.items():
        print(f"{name:40} {median(taken):6.2f} {median(taken) / bare:14.1f}")


if __name__ == "__main__":
    main()
