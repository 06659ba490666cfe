"""Generates a study's pictures: the same prompts and noise for every model and step count."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.engine.catalogue import Models
from app.look.words import counted
from e2ed2.inference.request import STEPS, Request
from study.errors import StudyError
from study.images.sources import Source

MAX_PICTURES = 5000


@dataclass(frozen=True)
class Wanted:
    """One prompt of a study."""

    shown: str  # what raters read
    painted: str  # what the model reads
    category: str = ""


@dataclass(frozen=True)
class PictureOrder:
    """Every model at every step count is an arm; copy c of a prompt has the seed `seed + c` in all of them."""

    models: tuple[str, ...]
    steps: tuple[int, ...]
    prompts: tuple[Wanted, ...]
    copies: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.models) * len(self.steps) < 2:
            raise StudyError("A study compares two arms at least: choose two models, or one with two numbers of steps.")
        if not set(self.steps) <= set(STEPS):
            raise StudyError(f"Steps must be from {STEPS[0]} to {STEPS[-1]}.")
        if not self.prompts:
            raise StudyError("Write at least one prompt.")
        if len({wanted.shown for wanted in self.prompts}) < len(self.prompts):
            raise StudyError("A prompt is there twice: ask for several pictures of it instead.")
        if self.copies < 1 or self.seed < 0:
            raise StudyError("Pictures for each prompt must be at least 1, and the seed at least 0.")
        if self.pictures > MAX_PICTURES:
            raise StudyError(f"These are {self.pictures} pictures; at most {MAX_PICTURES} are possible.")
        for wanted in self.prompts:
            Request(wanted.painted, self.models[0], self.steps[0], self.seed)  # its errors come before anything starts

    @property
    def pictures(self) -> int:
        return len(self.models) * len(self.steps) * len(self.prompts) * self.copies

    def arm(self, model: str, steps: int) -> str:
        return model if len(self.steps) == 1 else f"{model}, {counted(steps, 'step')}"


def paint_order(
    order: PictureOrder,
    folder: Path,
    checkpoints: Path | None = None,
    runs: Path | None = None,
    added: Mapping[str, Path] | None = None,
) -> Iterator[Source]:
    """Generate pictures into the folder and yield each when it is finished. Only one model is loaded at a time.

    Models may be bundled (`checkpoints`), visitors' trainings (`runs`), or added by the server's owner (`added`).
    """
    models = Models(checkpoints, runs, added)
    unknown = [model for model in order.models if model not in models.folders()]
    if unknown:
        raise StudyError(f"There is no model {unknown[0]!r}: choose from those on the page.")
    for model in order.models:
        *_, only = possible = models.steps(model)
        if not set(order.steps) <= set(possible):
            raise StudyError(f"{model} was made for {counted(only, 'step')} only: choose that, or leave it out.")
    number = 0
    for model in order.models:
        for steps in order.steps:
            for wanted in order.prompts:
                for copy in range(order.copies):
                    file = folder / f"{number:05}.png"
                    models.sampled(Request(wanted.painted, model, steps, order.seed + copy)).save(file)
                    number += 1
                    yield Source(wanted.shown, order.arm(model, steps), file, wanted.category)
        models.forget(model)
