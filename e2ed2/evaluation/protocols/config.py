"""Benchmarks that the field compares models on: what each is, and what its folder holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from e2ed2.errors import UserError
from e2ed2.inference.request import MAX_STEPS

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
CLIP = "clip-vit-base-patch32"
CAPTIONS = "captions.txt"


@dataclass(frozen=True)
class Benchmark:
    """Prompts, one picture each, against reference pictures; both sides prepared alike."""

    references: str  # the folder of the pictures to compare with, inside the data folder
    prompts: int  # how many it has; 0 where its folder decides
    side: int  # pixels that both sides are cropped and resized to; 0 leaves them as they are
    captions_from: str  # where its prompts come from, for whoever has none
    references_from: str


BENCHMARKS = {
    "coco30k": Benchmark(
        "val2014",
        30_000,
        256,
        "captions of COCO 2014 validation, for example DMD2's main/coco_eval/captions_coco14_test.txt",
        "every picture of COCO 2014 validation, from cocodataset.org",
    ),
    "mjhq30k": Benchmark("references", 30_000, 0, "playgroundai/MJHQ-30K", "playgroundai/MJHQ-30K"),
    "hw30k": Benchmark("references", 0, 256, "wherever you have them from: HW30K is nowhere public", "there, too"),
}


@dataclass(frozen=True)
class Protocol:
    """Measure models as the field does: FID with clean resizing, CLIP score. Called again, it goes on."""

    benchmark: Literal["coco30k", "mjhq30k", "hw30k"]
    data: Path
    """The folder with captions.txt, the reference pictures, Inception's weights and CLIP; what is missing is named."""
    model: Annotated[str, tyro.conf.Positional] = ""
    """A bundled model's name, a model's folder, or that of any diffusers pipeline."""
    images: str = ""
    """Instead of a model: a folder of pictures made elsewhere, with a table of their prompts."""
    label: str = ""
    """What the file calls it; the model's name, or the folder's, where empty."""
    steps: int = 4
    guidance: float | None = None
    """Of a diffusers pipeline that has it: its own by default, and none for one that was trained here."""
    seed: int = 0
    """Prompt number i is sampled with seed + i."""
    limit: int = 0
    """Only so many prompts, for a rehearsal; its figures are not those of the benchmark, and the file says so."""
    shard: str = ""
    """`0/4` to `3/4`: sample this part of the prompts only, on as many machines; without it, all is measured."""
    out: Path = Path("evaluation.json")
    device: str = ""
    """cpu, cuda, cuda:1 or mps; the best there is by default, or $E2ED2_DEVICE."""

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.images):
            raise UserError("Name a model to judge, or a folder of pictures with --images FOLDER: one of the two.")
        if not 1 <= self.steps <= MAX_STEPS:
            raise UserError(f"{self.steps} steps are not possible: choose 1 to {MAX_STEPS}.")
        if self.limit and self.limit < 2:
            raise UserError("A distance between distributions needs at least 2 pictures: choose --limit 2 or more.")
        if self.images and (self.guidance is not None or self.shard):
            raise UserError("Pictures in a folder are there already: --guidance and --shard are for models.")
        self.part  # noqa: B018, it checks

    @property
    def about(self) -> Benchmark:
        return BENCHMARKS[self.benchmark]

    @property
    def called(self) -> str:
        return self.label or self.model or Path(self.images).name

    @property
    def part(self) -> tuple[int, int]:
        """Which part, of how many. Raises UserError: it is none."""
        first, _, count = (self.shard or "0/1").partition("/")
        if not (first.isdigit() and count.isdigit() and int(first) < int(count)):
            raise UserError(f"The shard {self.shard!r} is none: of four, the first is 0/4 and the last 3/4.")
        return int(first), int(count)
