"""Bundle finished models: `runs/NAME/model` -> `assets/checkpoints/NAME`.

The codec and the coarse path are stored once, for all.

python -m tools.bundle codec coarse l2 l2-lpips independent --curves shared-twin
"""

import filecmp
import json
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from safetensors.torch import load_file

from e2ed2.assets import CHECKPOINTS
from e2ed2.files import runs_folder
from e2ed2.models.coarse_to_fine import coarse_of
from e2ed2.models.components import INDEX, MANIFEST, PIPELINE, WEIGHTS, digest, write_index
from e2ed2.tensors import save_tensors

SHARED = CHECKPOINTS / "coarse" / WEIGHTS
PIPELINE_FILES = (INDEX, f"{PIPELINE}.py")  # of a folder that paints: the coarse path alone does not


@dataclass(frozen=True)
class Bundle:
    names: Annotated[tuple[str, ...], tyro.conf.Positional]
    runs: Path = field(default_factory=runs_folder)
    curves: tuple[str, ...] = ()
    """Runs kept only as settings and curve, for comparison."""


def main() -> None:
    options = tyro.cli(Bundle)
    for name in options.names:
        source, target = options.runs / name / "model", CHECKPOINTS / name
        if not source.is_dir():
            sys.exit(f"{source} is not there: finish the training first.")
        if name == "codec-decoder":
            target = CHECKPOINTS / "codec"
            check_encoder(source / "codec", target)
        if target.exists():
            shutil.rmtree(target)
        if target.name == "codec":
            shutil.copytree(source / "codec", target)
        else:
            check_codec(source / "codec")
            bundle_denoiser(source / "denoiser", target)
            write_manifest(target)
        for file in source.iterdir():
            if file.is_file() and not (target == SHARED.parent and file.name in PIPELINE_FILES):
                shutil.copy(file, target)
        say_where(target)
        if name == "codec-decoder":
            for model in sorted(CHECKPOINTS.glob(f"*/{MANIFEST}")):
                write_manifest(model.parent)
        print(target)
    for name in options.curves:
        target = CHECKPOINTS / name
        target.mkdir(exist_ok=True)
        for file in ("run.json", "metrics.jsonl"):
            shutil.copy(options.runs / name / "model" / file, target)
        print(target)


def say_where(folder: Path) -> None:
    """Let the card's example load the model from its new place."""
    card, place = folder / "README.md", folder.relative_to(CHECKPOINTS.parent.parent).as_posix()
    if card.is_file():
        card.write_text(re.sub(r'from_pretrained\("[^"]*"\)', f'from_pretrained("{place}")', card.read_text()))


def check_encoder(folder: Path, bundled: Path) -> None:
    """A decoder may replace another only if the latents are the same."""
    new, old = (load_file(place / WEIGHTS) for place in (folder, bundled))
    if not all(torch.equal(new[name], value) for name, value in old.items() if ".decoder." not in name):
        sys.exit(f"{folder} has other latents than the bundled codec: bundle it as `codec`, and train the models anew.")


def check_codec(folder: Path) -> None:
    if not filecmp.cmp(folder / WEIGHTS, CHECKPOINTS / "codec" / WEIGHTS, shallow=False):
        sys.exit(f"{folder} is not the bundled codec: train this model from that one.")


def write_manifest(folder: Path) -> None:
    """Which components the folder shares with those beside it, by the hashes of their weights."""
    lacks = ["codec"] if not (folder / "codec").is_dir() else []
    file = folder / "denoiser" / WEIGHTS
    if file.is_file() and not coarse_of(load_file(file)):
        lacks.append("coarse")
    if file.is_file():
        shared = {part: {"shared": digest(CHECKPOINTS / part / WEIGHTS)} for part in lacks}
        (folder / MANIFEST).write_text(json.dumps(shared, indent=2) + "\n")
        write_index(folder)


def bundle_denoiser(source: Path, target: Path) -> None:
    """Copy the denoiser, without its coarse path if that equals the bundled one; for `coarse`, only that path."""
    weights = load_file(source / WEIGHTS)
    coarse = coarse_of(weights)
    if target == SHARED.parent:
        target.mkdir(parents=True)
        save_tensors(coarse, SHARED)
        return
    shutil.copytree(source, target / "denoiser")
    shared = load_file(SHARED) if SHARED.is_file() else {}
    if shared and all(torch.equal(shared[name], value) for name, value in coarse.items()):
        save_tensors(
            {name: value for name, value in weights.items() if name not in coarse}, target / "denoiser" / WEIGHTS
        )


if __name__ == "__main__":
    main()
