"""Finished models as folders: `denoiser/`, `codec/`, a card. Half precision on disk, full in memory.

What a model's folder lacks, it shares with the folders beside it, `codec` and `coarse`, or with the bundled ones; its
`components.json` says which, by their hashes.
"""

import copy
import hashlib
import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.models.modeling_utils import ModelMixin
from safetensors import SafetensorError
from safetensors.torch import load_file

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.models.coarse_to_fine import CoarseToFineDenoiser
from e2ed2.models.codec import Codec

Model = TypeVar("Model", bound=ModelMixin)
WEIGHTS = "diffusion_pytorch_model.safetensors"
MANIFEST = "components.json"  # which components a folder shares, each by the SHA-256 of its weights


def save_model(model: ModelMixin, folder: Path) -> None:
    """Write the weights as float16 safetensors, with their config."""
    copy.deepcopy(model).half().save_pretrained(folder)


def load_model(kind: type[Model], folder: Path) -> Model:
    """Raises UserError where the folder is missing or damaged."""
    if not (folder / "config.json").is_file():
        raise UserError(f"No {kind.__name__} at {folder}: train one with `python -m e2ed2 train`, or check the path.")
    with as_damaged(folder):
        # Saving memory while loading would give other threads' new modules no weights at all (a global patch).
        model: Any = kind.from_pretrained(
            folder, torch_dtype=torch.float32, local_files_only=True, low_cpu_mem_usage=False
        )
        return model.eval()


def load_denoiser(folder: Path) -> CoarseToFineDenoiser:
    """The denoiser, with the coarse path that its own file has or, shared, the one beside it."""
    part = folder / "denoiser"
    if not (part / "config.json").is_file():
        raise UserError(f"No denoiser at {part}: train one with `python -m e2ed2 train`, or check the path.")
    with as_damaged(folder):
        config: Any = CoarseToFineDenoiser.load_config(part, local_files_only=True)
        model: Any = CoarseToFineDenoiser.from_config(config)
        weights = load_file(part / WEIGHTS)
        if not coarse_of(weights):
            weights |= load_file(shared(folder, "coarse") / WEIGHTS)
        model.load_state_dict(weights)
    return model.eval()


def load_coarse(denoiser: CoarseToFineDenoiser, folder: Path) -> None:
    """Give the denoiser the coarse path of a model's folder, or of the bundled `coarse`."""
    file = folder / "denoiser" / WEIGHTS
    file = file if file.is_file() else folder / WEIGHTS
    if not file.is_file():
        raise UserError(f"No coarse path at {folder}: run `python -m e2ed2 train coarse`, or check the path.")
    with as_damaged(folder):
        missing = denoiser.load_state_dict(coarse_of(load_file(file)), strict=False).missing_keys
        if coarse_of(dict.fromkeys(missing)):
            raise ValueError("incomplete")


def coarse_of(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in weights.items() if name.startswith("coarse.")}


@contextmanager
def as_damaged(folder: Path) -> Generator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise UserError(f"The model at {folder} is damaged: copy it again, or train it anew.") from error


def load_codec(folder: Path) -> Codec:
    """The codec inside a model's folder or, shared, beside it."""
    own = folder / "codec"
    return load_model(Codec, own if own.is_dir() else shared(folder, "codec"))


def shared(folder: Path, component: str) -> Path:
    """The folder of a component that a model shares: beside the model, else the bundled one of the same hash.

    Raises:
        UserError: there is none, or only another one.
    """
    manifest = folder / MANIFEST
    wanted = json.loads(manifest.read_text()).get(component, {}).get("shared", "") if manifest.is_file() else ""
    places = [place / component for place in (folder.parent, CHECKPOINTS) if (place / component / WEIGHTS).is_file()]
    for place in places:
        if not wanted or digest(place / WEIGHTS) == wanted:
            return place
    raise UserError(
        f"The model at {folder} shares its {component}{f' (SHA-256 {wanted[:12]}…)' if wanted else ''}, which is "
        "neither beside it nor bundled: copy that folder too, or make a whole copy with `python -m e2ed2 export`."
    )


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


@cache
def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
