"""Resolves a model's name on the command line or in a run's settings to its folder."""

import json
from pathlib import Path
from typing import Any

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.files import runs_folder

WEIGHTS = "diffusion_pytorch_model.safetensors"  # file name of a component's weights
INDEX = "model_index.json"  # every diffusers pipeline has one
# There, in a backbone that was trained here; diffusers passes over such names:
UNGUIDED = "_trained_without_guidance"  # whether it is to be called without guidance
INDEPENDENT = "_independent_steps"  # steps that have an adapter each
MANIFEST = "components.json"  # where to find the components that a model's folder lacks


def model_folder(reference: str) -> Path:
    """A model's folder by its path or that of its training, by the name of a training, or by the name of a bundled
    model, in this order.

    Raises:
        UserError: nothing has that name; the message says where we looked, and lists the bundled models.
    """
    place = Path(reference).expanduser()
    for folder in (place / "model", place, runs_folder() / reference / "model"):
        if folder.is_dir():
            return folder
    if reference in bundled_names():
        return CHECKPOINTS / reference
    bundled = ", ".join(bundled_names())
    raise UserError(
        f"There is no model {reference!r}: no such folder, no finished training in {runs_folder()}, and no bundled "
        f"model of that name ({bundled})."
    )


def independent_steps(folder: Path) -> int | None:
    """The steps of a trained backbone's folder that has an adapter for each; None for any other folder."""
    return index_of(folder).get(INDEPENDENT)


def index_of(folder: Path) -> dict[str, Any]:
    """What a pipeline's folder says of itself; empty if that cannot be read: whoever loads it is told."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return index if isinstance(index, dict) else {}


def bundled_names() -> list[str]:
    """Names of bundled models and parts of models; for a few trainings only the curve is bundled."""
    return sorted(
        run.parent.name
        for run in CHECKPOINTS.glob("*/run.json")
        if any((run.parent / name).exists() for name in ("denoiser", WEIGHTS, MANIFEST))
    )
