"""How much of what could be broken would the tests notice? mutmut's mutants, all of them or some by lot.

python -m tests.mutants --some 50         # of each package; `make check-slow`
python -m tests.mutants                   # all: hours; goes on where it was stopped

What is mutated, and by which tests it is judged, stands in `[tool.mutmut]` of pyproject.toml. Fails where fewer than
85% are noticed, and names those that were not: `mutmut show NAME` prints one.
"""

import json
import random
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tyro
from mutmut.stats import status_by_exit_code
from statsmodels.stats.proportion import proportion_confint

FOLDER = Path("mutants")
PACKAGES = ("e2ed2", "study")
FEW = "e2ed2.losses.pixel.*"
LEAST = 0.85
NOTICED = ("killed", "timeout", "segfault", "suspicious")


@dataclass(frozen=True)
class Options:
    """Mutate the code, and count what the tests notice."""

    some: int = 0
    """So many of each package, by lot; 0 for all."""
    seed: int = 0
    """Seed of the random draw."""
    processes: int = 2


def results() -> dict[str, str]:
    """What became of every mutant, by name."""
    files = [json.loads(file.read_text())["exit_code_by_key"] for file in FOLDER.rglob("*.meta")]
    return {name: status_by_exit_code[code] for codes in files for name, code in codes.items()}


def mutmut(names: Iterable[str], processes: int) -> None:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(processes), *names]
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(code)


def drawn(names: Iterable[str], package: str, some: int, seed: int) -> list[str]:
    """Some of the package's, by lot; the same ones for the same code."""
    own = sorted(name for name in names if name.startswith(f"{package}."))
    return random.Random(f"{seed} {package}").sample(own, min(some, len(own)))


def said(package: str, found: dict[str, str]) -> bool:
    """Print how many were noticed, and which were not; were there enough?"""
    noticed = sum(status in NOTICED for status in found.values())
    low, high = proportion_confint(noticed, len(found), method="wilson")
    print(f"{package}: {noticed} of {len(found)} noticed, {noticed / len(found):.2f} ({low:.2f} to {high:.2f})")
    for name, status in sorted(found.items()):
        if status not in NOTICED:
            print(f"    {status}: {name}")
    return noticed >= LEAST * len(found)


def main(options: Options) -> int:
    if options.some:
        mutmut([FEW], options.processes)  # makes all mutants, and sees which tests meet which
        chosen = {one: drawn(results(), one, options.some, options.seed) for one in PACKAGES}
        mutmut([name for names in chosen.values() for name in names], options.processes)
    else:
        mutmut([], options.processes)
        chosen = {one: [name for name in results() if name.startswith(f"{one}.")] for one in PACKAGES}
    found = results()
    enough = [said(package, {name: found[name] for name in names}) for package, names in chosen.items()]
    return 0 if all(enough) else 1


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
