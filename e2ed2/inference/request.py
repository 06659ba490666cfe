"""A request to a model, and its record in an image's file: shared by the CLI and the app."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL.PngImagePlugin import PngInfo

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.files import runs_folder
from e2ed2.inference.hub import ID, hub_folder
from e2ed2.models.references import INDEX

MAX_PROMPT = 200  # characters; the text encoder reads about the first 20 words
MAX_COUNT = 8  # pictures per request
MAX_SEED = 2**31 - 1
STEPS = (1, 2, 3, 4)  # what the pages offer, and what end-to-end models were trained for
MAX_STEPS = 50


@dataclass(frozen=True)
class Request:
    """Everything that determines a picture's bytes on a given machine."""

    prompt: str
    model: str
    steps: int = 4
    seed: int = 0
    caption: str = ""  # what the prompt was read as, and the model is given; empty: the prompt's own words

    def __post_init__(self) -> None:
        if not any(sign.isprintable() and not sign.isspace() for sign in self.prompt):  # zero-width ones are invisible
            raise UserError("The prompt is empty: type what you would like to see, for example “red apple”.")
        if len(self.prompt) > MAX_PROMPT:
            raise UserError(f"The prompt has {len(self.prompt)} characters: use at most {MAX_PROMPT}.")
        if len(self.caption) > MAX_PROMPT:
            raise UserError(f"The caption has {len(self.caption)} characters: use at most {MAX_PROMPT}.")
        if not 1 <= self.steps <= MAX_STEPS:
            raise UserError(f"{self.steps} steps are not possible: choose 1 to {MAX_STEPS}; most models expect 1 to 4.")
        check_seed(self.seed)

    @property
    def words(self) -> str:
        """The text given to the model."""
        return self.caption.strip() or self.prompt.strip()


def check_seed(seed: int) -> None:
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"Seed {seed} is out of range: choose a whole number from 0 to {MAX_SEED}.")


def check_guidance(guidance: float | None) -> None:
    if guidance is not None and not 0 <= guidance < math.inf:
        raise UserError(f"guidance is {guidance}: choose a number of at least 0; up to 1 is none.")


def available_models(folder: Path = CHECKPOINTS) -> dict[str, Path]:
    """Name and folder of every model, sorted by name; parts that models share are not listed."""
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/denoiser"))}


def model_path(model: str, folder: Path = CHECKPOINTS) -> Path:
    """The folder of a model of ours, as `load` takes it, or of any pipeline of diffusers, also by its id on a hub; a
    training's stands for its model's. Raises UserError: none is.
    """
    known = available_models(folder)
    if model in known:
        return known[model]
    for place in (Path(model), Path(model) / "model", runs_folder() / model / "model"):
        if (place / "denoiser").is_dir() or is_stock(place):
            return place
    if ID.fullmatch(model) and not Path(model).exists():
        return hub_folder(model)
    names = ", ".join(known) or "none yet: train one with `python -m e2ed2 train`"
    raise UserError(
        f"No model {model!r}: choose one of {names}; or give a model's folder, or that of a diffusers pipeline, "
        "or its id on a hub."
    )


def is_stock(folder: Path) -> bool:
    """Whether the folder is a pipeline of diffusers' own classes, trained here or elsewhere."""
    return (folder / INDEX).is_file() and not (folder / "denoiser").is_dir()


def slug(prompt: str) -> str:
    """The prompt as part of a file name: `A red apple!` => `a-red-apple`."""
    return "-".join("".join(c if c.isalnum() else " " for c in prompt.lower()).split())[:40] or "picture"


def png_info(settings: Request, **more: Any) -> PngInfo:
    """The settings as PNG text chunks."""
    info = PngInfo()
    for name, value in (asdict(settings) | more).items():
        info.add_itxt(name, str(value))
    return info
