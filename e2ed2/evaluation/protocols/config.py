"""Benchmarks that the field compares models on: their definitions, and what each one's folder contains."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from e2ed2.device import Device
from e2ed2.errors import UserError
from e2ed2.evaluation.protocols.arms import Arm, arms_of
from e2ed2.inference.request import MAX_STEPS, check_guidance, check_seed, slug

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
CLIP = "clip-vit-base-patch32"
CAPTIONS = "captions.txt"


@dataclass(frozen=True)
class Benchmark:
    """Prompts with one picture each, compared with reference pictures; both sides are prepared in the same way."""

    references: str  # the folder of the pictures to compare with, inside the data folder
    prompts: int  # number of prompts; 0: as many as the folder has
    pictures: int  # number of reference pictures; 0: as many as the folder has
    side: int  # pixels that both sides are cropped and resized to; 0 leaves them as they are
    captions_from: str  # what captions.txt must contain, and where to get it
    references_from: str  # the same for the reference pictures


MJHQ = "huggingface.co/datasets/playgroundai/MJHQ-30K"
NOWHERE = "HW30K is not published"
BENCHMARKS = {
    "coco30k": Benchmark(
        "val2014",
        30_000,
        40_504,
        256,
        "the 30,000 captions of COCO 2014 validation that others use, one a line: main/coco_eval/"
        "captions_coco14_test.txt of DMD2 (github.com/tianweiy/DMD2)",
        "all 40,504 pictures of COCO 2014 validation (val2014.zip of cocodataset.org)",
    ),
    "mjhq30k": Benchmark(
        "references",
        30_000,
        30_000,
        0,
        f"the 30,000 prompts of {MJHQ}, one a line",
        f"the 30,000 pictures of {MJHQ}",
    ),
    "hw30k": Benchmark(
        "references",
        0,
        0,
        256,
        f"your own prompts, one a line ({NOWHERE})",
        f"your own pictures to compare with ({NOWHERE})",
    ),
}


@dataclass(frozen=True)
class Protocol:
    """Measure models the way the field does: FID with clean resizing, CLIP score. The same command resumes."""

    benchmark: Literal["coco30k", "mjhq30k", "hw30k"]
    data: Path
    """The folder with captions.txt, the reference pictures, Inception's weights and CLIP; what is missing is named."""
    model: Annotated[str, tyro.conf.Positional] = ""
    """A bundled model's name, a model's folder, or that of any diffusers pipeline, or its id on a hub."""
    images: str = ""
    """Instead of a model: a folder of pictures made elsewhere, with a table of their prompts."""
    label: str = ""
    """What the file calls it; the model's name, or the folder's, where empty."""
    steps: int = 4
    """Sampler steps of each picture, 1 to 50."""
    guidance: float | None = None
    """Guidance scale of a diffusers pipeline that takes one: its own by default, and none if it was trained here."""
    seed: int = 0
    """Prompt number i is sampled with seed + i."""
    limit: int = 0
    """A rehearsal: only this many prompts, and all reference pictures that are there. Its figures are not those of the
    benchmark, and the file says so."""
    shard: str = ""
    """`0/4` to `3/4`: sample this part of the prompts only, on as many machines; without it, all is measured."""
    out: Path = Path("evaluation.json")
    device: Device = ""

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.images):
            raise UserError("Name a model to judge, or a folder of pictures with --images FOLDER: one of the two.")
        check_seed(self.seed)
        check_guidance(self.guidance)
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
        """The index of the part, and the number of parts. Raises UserError: `shard` is malformed."""
        first, _, count = (self.shard or "0/1").partition("/")
        if not (first.isdigit() and count.isdigit() and int(first) < int(count)):
            raise UserError(f"The shard {self.shard!r} is none: of four, the first is 0/4 and the last 3/4.")
        return int(first), int(count)


@dataclass(frozen=True)
class SideBySide:
    """Models and baselines side by side: the same prompts and seeds, what a picture costs, scores; a table (Markdown
    and JSON) and a grid. The same command resumes."""

    arms: tuple[str, ...]
    """Each MODEL, MODEL:STEPS or MODEL:STEPS:GUIDANCE: a bundled model's name, a model's folder, or that of any
    diffusers pipeline, or its id on a hub; 4 steps, and its own guidance, if none are given. Or a file ARMS.json: a
    list of arms that also have a label, scheduler, spacing, timesteps or lora (docs/scaling.md)."""
    prompts: Path | None = None
    """A file with one prompt a line; a dozen everyday ones if there is none."""
    seed: int = 0
    """Prompt number i is sampled with seed + i by every arm."""
    scores: tuple[Literal["clip", "pickscore", "hpsv2", "imagereward"], ...] = ()
    """Scores of the pictures; each needs its weights, and hpsv2 and imagereward their packages, too."""
    weights: Path = Path("weights")
    """The folder with clip-vit-base-patch32, PickScore_v1, ImageReward."""
    geneval: Path | None = None
    """GenEval's evaluation_metadata.jsonl: sample its prompts, too, into the folders that its judge reads; when its
    results.jsonl is there, the same command puts its score into the table."""
    columns: int = 8
    """Prompts in the grid."""
    side: int = 192
    """Height and width of a picture in the grid, in pixels."""
    out: Path = Path("side-by-side")
    device: Device = ""

    def __post_init__(self) -> None:
        if len(set(self.arms)) < max(1, len(self.arms)):
            raise UserError("Name one arm or more, each once: --arms l2-lpips l2-lpips:1 my/stable-diffusion:50:7.5.")
        if min(self.columns, self.side) < 1:
            raise UserError("columns and side must be at least 1.")
        check_seed(self.seed)
        names = [slug(arm.name) for arm in self.parsed]
        if twice := [arm.name for arm, name in zip(self.parsed, names, strict=True) if names.count(name) > 1]:
            raise UserError(f"Arms would be called alike ({'; '.join(twice)}): tell them apart with labels.")

    @property
    def parsed(self) -> list[Arm]:
        return arms_of(self.arms)
