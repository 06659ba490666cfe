"""Finished models as folders: `denoiser/`, `codec/`, a card. Half precision on disk, full in memory.

A model whose folder has no `codec/` shares the one beside it: `checkpoints/codec` serves `checkpoints/l2`.
"""

import copy
from pathlib import Path
from typing import TypeVar

import torch
from diffusers.models.modeling_utils import ModelMixin
from safetensors import SafetensorError

from e2ed2.codec import Codec
from e2ed2.denoiser import CoarseToFineDenoiser
from e2ed2.errors import UserError

Model = TypeVar("Model", bound=ModelMixin)


def save_model(model: ModelMixin, folder: Path) -> None:
    """Write the weights as float16 safetensors, with their config."""
    copy.deepcopy(model).half().save_pretrained(folder)


def load_model(kind: type[Model], folder: Path) -> Model:
    """Raises UserError where the folder is missing or damaged."""
    if not (folder / "config.json").is_file():
        raise UserError(f"No {kind.__name__} at {folder}: train one with `python -m e2ed2 train`, or mend the path.")
    try:
        model = kind.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise UserError(f"The model at {folder} is damaged: copy it again, or train it anew.") from error
    return model.eval()


def load_denoiser(folder: Path) -> CoarseToFineDenoiser:
    return load_model(CoarseToFineDenoiser, folder / "denoiser")


def load_codec(folder: Path) -> Codec:
    """The codec inside a model's folder or, shared, beside it."""
    own = folder / "codec"
    return load_model(Codec, own if own.is_dir() else folder.parent / "codec")
