"""Resolves a model's name on the command line or in a run's settings to its folder."""

import json
from pathlib import Path

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.files import runs_folder

WEIGHTS = "diffusion_pytorch_model.safetensors"  # file name of a component's weights
INDEX = "model_index.json"  # every diffusers pipeline has one
INDEPENDENT = "_independent_steps"  # there: steps that have an adapter each; diffusers passes over such a name
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
    try:
        return json.loads((folder / INDEX).read_text(encoding="utf-8")).get(INDEPENDENT)
    except (OSError, ValueError, AttributeError):
        return None  # whoever loads it is told


def bundled_names() -> list[str]:
    """Names of bundled models and parts of models; for a few trainings only the curve is bundled."""
    return sorted(
        run.parent.name
        for run in CHECKPOINTS.glob("*/run.json")
        if any((run.parent / name).exists() for name in ("denoiser", WEIGHTS, MANIFEST))
    )
