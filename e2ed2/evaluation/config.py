"""What to measure, and how much of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from e2ed2.data.config import DataConfig
from e2ed2.device import Device
from e2ed2.errors import UserError
from e2ed2.evaluation.metrics.neighbours import FEWEST
from e2ed2.inference.request import MAX_STEPS, check_guidance, check_seed


@dataclass(frozen=True)
class Evaluate:
    """Measure models: distance to real pictures, alignment, variety, cost. The same command resumes."""

    model: tyro.conf.Suppress[str] = ""
    """A bundled model's name, a model's folder, or that of any diffusers pipeline, or its id on a hub."""
    images: str = ""
    """Instead of a model: a folder of pictures made elsewhere, with a table of their prompts."""
    label: str = ""
    """Name in the file; by default the model's name, or the folder's."""
    steps: int = 4
    """Sampler steps of each picture, 1 to 50."""
    guidance: float | None = None
    """Guidance scale of a diffusers pipeline that takes one: its own by default, and none if it was trained here."""
    split: str = "combo"
    """`train`, `combo` (a seen thing in an unseen style), `concept` (an unseen thing); `visitor`, `everyday`,
    `strangers`: what people type; `colour`: things in colours that a training on `emoji-colours` never gives them."""
    data: DataConfig = field(default_factory=DataConfig)
    """Pictures of your own to compare with, instead of the bundled ones."""
    read: bool = False
    """Give the model what each prompt is read as, as the pages do; else the prompt's own words."""
    captions: Annotated[int, tyro.conf.arg(aliases=("--limit",))] = 2000
    """Maximum number of captions to sample, drawn at random; FD needs many."""
    seed: int = 0
    """Seed of the choice of captions; number i is sampled with seed + i."""
    variety: int = 24
    """Captions without a style for the diversity ratio, four samples each; 0 leaves the ratio out. With `--read`, the
    four are those that the pages make of one prompt."""
    nearest: int = 100
    """Number of pictures whose nearest training drawing is searched; 0 leaves the distance out."""
    out: Path = Path("evaluation.json")
    """The file to write; of several models, the folder of one for each."""
    device: Device = ""

    def __post_init__(self) -> None:
        check_captions(self.captions)
        check_seed(self.seed)
        check_guidance(self.guidance)
        if min(self.variety, self.nearest) < 0:
            raise UserError("variety and nearest must be at least 0, which leaves the figure out.")
        if not 1 <= self.steps <= MAX_STEPS:
            raise UserError(f"{self.steps} steps are not possible: choose 1 to {MAX_STEPS}.")
        if self.model and self.images:
            raise UserError("Either a model or --images is judged: leave one of them out.")
        if self.images and self.guidance is not None:
            raise UserError("Pictures in a folder are there already: --guidance is for pipelines.")
        if self.images and self.read:
            raise UserError("Pictures in a folder are there already: --read is for models.")

    @property
    def called(self) -> str:
        return self.label or self.model or Path(self.images).name


def check_captions(captions: int) -> None:
    """Raises UserError: there are too few captions, since each picture needs others as neighbours."""
    if captions < FEWEST:
        raise UserError(f"{captions} captions are too few for precision and recall: choose at least {FEWEST}.")
