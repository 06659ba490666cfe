"""What a model is called on the command line and in a run's settings, as a folder."""

from pathlib import Path

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.files import runs_folder

WEIGHTS = "diffusion_pytorch_model.safetensors"  # of a component
INDEX = "model_index.json"  # of every diffusers pipeline
MANIFEST = "components.json"  # of a model: where the components are that its folder lacks


def model_folder(reference: str) -> Path:
    """A model's folder by its path or that of its training, by the name of a training, or by the name of a bundled
    model, in this order.

    Raises:
        UserError: nothing is called so; it says where we looked, and lists the bundled models.
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


def bundled_names() -> list[str]:
    """Models and the parts of some; of a few trainings only the curve is bundled."""
    return sorted(
        run.parent.name
        for run in CHECKPOINTS.glob("*/run.json")
        if any((run.parent / name).exists() for name in ("denoiser", WEIGHTS, MANIFEST))
    )
