"""What a model is called on the command line and in a run's settings, as a folder."""

from pathlib import Path

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.files import runs_folder


def model_folder(reference: str) -> Path:
    """A model's folder by its path, by the name of a training, or by the name of a bundled model, in this order.

    Raises:
        UserError: nothing is called so; it says where we looked, and lists the bundled models.
    """
    places = (Path(reference).expanduser(), runs_folder() / reference / "model", CHECKPOINTS / reference)
    for place in places:
        if place.is_dir():
            return place
    bundled = ", ".join(sorted(folder.name for folder in CHECKPOINTS.iterdir() if folder.is_dir()))
    raise UserError(
        f"There is no model {reference!r}: no such folder, no finished training in {runs_folder()}, and no bundled "
        f"model of that name ({bundled})."
    )
