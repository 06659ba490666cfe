"""Put finished models into the box: `runs/NAME/model` -> `assets/checkpoints/NAME`, the codec stored once.

python -m tools.box codec l2 l2-lpips
"""

import filecmp
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from e2ed2.generate import CHECKPOINTS


@dataclass(frozen=True)
class Box:
    names: Annotated[tuple[str, ...], tyro.conf.Positional]
    runs: Path = Path("runs")


def main() -> None:
    options = tyro.cli(Box)
    for name in options.names:
        source, target = options.runs / name / "model", CHECKPOINTS / name
        if not source.is_dir():
            sys.exit(f"{source} is not there: finish the training first.")
        if target.exists():
            shutil.rmtree(target)
        if name == "codec":
            shutil.copytree(source / "codec", target)
        else:
            check_codec(source / "codec")
            shutil.copytree(source / "denoiser", target / "denoiser")
        for file in source.iterdir():
            if file.is_file():
                shutil.copy(file, target)
        print(target)


def check_codec(folder: Path) -> None:
    weights = "diffusion_pytorch_model.safetensors"
    if not filecmp.cmp(folder / weights, CHECKPOINTS / "codec" / weights, shallow=False):
        sys.exit(f"{folder} is another codec than the box's: train this model from the box's codec.")


if __name__ == "__main__":
    main()
