"""Finished models as folders: `denoiser/`, `codec/`, a card. Half precision on disk, full in memory.

Components missing from a model's folder are shared: `components.py` explains how, and finds them.
"""

import copy
import shutil
from pathlib import Path

import torch

from e2ed2.errors import UserError
from e2ed2.models.coarse_to_fine import CoarseToFineDenoiser, coarse_of, coarse_weights
from e2ed2.models.codec import Codec
from e2ed2.models.components import MANIFEST, WEIGHTS, as_damaged, shared, write_index
from e2ed2.models.saved import ModelMixin


def save_model(model: ModelMixin, folder: Path) -> None:
    """Write the weights as float16 safetensors, with their config."""
    copy.deepcopy(model).half().save_pretrained(folder)


def load_denoiser(folder: Path, dtype: torch.dtype | None = None) -> CoarseToFineDenoiser:
    """The denoiser, with the coarse path that its own file has or that it shares; in full precision by default.

    Raises:
        UserError: the folder has none, or it is damaged.
    """
    part = folder / "denoiser"
    if not (part / "config.json").is_file():
        raise UserError(f"No denoiser at {part}: train one with `python -m e2ed2 train`, or check the path.")
    with as_damaged(folder):
        return CoarseToFineDenoiser.from_pretrained(part, torch_dtype=dtype)


def load_coarse(denoiser: CoarseToFineDenoiser, folder: Path) -> None:
    """Give the denoiser the coarse path of a model's folder, or of the bundled `coarse`.

    Raises:
        UserError: the folder has none, it is damaged, or its sizes are not this denoiser's.
    """
    if not any((folder / name).is_file() for name in (f"denoiser/{WEIGHTS}", WEIGHTS, MANIFEST)):
        raise UserError(f"No coarse path at {folder}: run `python -m e2ed2 train coarse`, or check the path.")
    with as_damaged(folder):
        weights, own = coarse_weights(folder), denoiser.state_dict()
    if other := [name for name, value in weights.items() if name in own and value.shape != own[name].shape]:
        raise UserError(
            f"The coarse path at {folder} has other sizes ({other[0]}): give the denoiser its channels, grid, "
            "coarse-width and choices, or train a coarse path of your own."
        )
    with as_damaged(folder):
        missing = denoiser.load_state_dict(weights, strict=False).missing_keys
        if coarse_of(dict.fromkeys(missing)):
            raise ValueError("incomplete")


def load_codec(folder: Path, dtype: torch.dtype | None = None) -> Codec:
    """The codec inside a model's folder or, shared, elsewhere, or in a folder of its own; in full precision by default.

    Raises:
        UserError: there is none, or it is damaged.
    """
    own = folder if (folder / "config.json").is_file() else folder / "codec"
    part = own if own.is_dir() else shared(folder, "codec")
    if not (part / "config.json").is_file():
        raise UserError(f"No codec at {part}: train one with `python -m e2ed2 train`, or check the path.")
    with as_damaged(part):
        return Codec.from_pretrained(part, torch_dtype=dtype)


def export_whole(folder: Path, out: Path) -> None:
    """A copy of a model that shares nothing, so that it can be moved or uploaded. Raises UserError: `out` exists."""
    if out.exists():
        raise UserError(f"{out} exists already: choose another folder.")
    denoiser, codec = load_denoiser(folder), load_codec(folder)
    save_model(denoiser, out / "denoiser")
    save_model(codec, out / "codec")
    for file in folder.iterdir():
        if file.is_file() and file.name != MANIFEST:
            shutil.copy(file, out)
    write_index(out)
