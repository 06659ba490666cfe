"""Samples a CPU second and peak memory of one update: ours against TRL's AlignProp.

python -m benchmarks.alignprop --fetch [--repeats 3]

The same Stable Diffusion of 6.1 M random weights, LoRA of rank 4, four steps, four pictures of 64 by 64 pixels, LPIPS
to a fixed picture, float32, one thread; each figure is the median of a few processes. TRL has an
environment of its own, which is fetched once.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import tyro

from benchmarks.alignprop.pipeline import write_pipelines
from e2ed2.files import data_folder

TRL = "trl==0.23.1"
OURS = {"none": "all stored", "block": "blocks recomputed", "step": "steps recomputed"}
THEIRS = {
    "shipped": "as shipped: guidance 5, steps recomputed",
    "without-guidance": "guidance taken out, steps recomputed",
    "stored": "guidance taken out, all stored",
}


@dataclass(frozen=True)
class Options:
    repeats: int = 3
    fetch: bool = False
    """Make TRL's environment where there is none yet; else nothing is measured without it."""


def fetch(folder: Path, python: Path) -> None:
    """TRL, beside everything that is installed here."""
    venv.create(folder, with_pip=True)
    here = sysconfig.get_paths()["purelib"]
    packages = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"])
    (Path(packages.decode().strip()) / "here.pth").write_text(f"{here}\n")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", TRL], check=True)


def measured(python: Path, side: str, folder: Path, how: str) -> dict[str, float]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [python, "-m", f"benchmarks.alignprop.{side}", folder, how]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(told.splitlines()[-1])


def figures(options: Options, python: Path) -> Iterator[tuple[str, float, float]]:
    """What was measured, samples a CPU second, MB; TRL's by that Python."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = write_pipelines(Path(folder))
        jobs = [(f"TRL, {said}", partial(measured, python, "theirs", theirs, how)) for how, said in THEIRS.items()]
        here = Path(sys.executable)
        jobs += [(f"ours, {said}", partial(measured, here, "ours", ours, how)) for how, said in OURS.items()]
        for called, job in jobs:
            found = [job() for _ in range(options.repeats)]
            yield called, median(one["rate"] for one in found), median(one["memory"] for one in found)


def main() -> None:
    options, folder = tyro.cli(Options), data_folder() / "cache" / "alignprop"
    python = folder / "bin" / "python"
    if options.fetch and not python.is_file():
        fetch(folder, python)
    if not python.is_file():
        return print("TRL is not here, so nothing is measured: `python -m benchmarks.alignprop --fetch` gets it.")
    print(f"{'':50} {'samples/s':>10} {'peak MB':>8} {'rate, times':>12} {'memory, times':>14}", flush=True)
    first: tuple[float, float] | None = None
    for called, rate, memory in figures(options, python):
        first = first or (rate, memory)
        print(f"{called:50} {rate:10.2f} {memory:8,.0f} {rate / first[0]:12.2f} {memory / first[1]:14.2f}", flush=True)


if __name__ == "__main__":
    main()
