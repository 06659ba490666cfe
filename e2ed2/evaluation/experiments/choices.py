"""What each one-hot choice of a model came to mean: how many drawings it is nearest to, and who drew them.

python -m e2ed2.evaluation.experiments.choices energy    # a minute

The coarse path decides it, so only its pictures are compared, of captions that name no style. A choice that is seldom
the nearest is a blend. Keep the others with `denoiser.kept`: in a training (`--denoiser.kept 0 6 7 8 14`), or in the
`config.json` of a model's denoiser.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor

from e2ed2.data.pictures import Pictures
from e2ed2.errors import UserError, exit_on_user_error
from e2ed2.evaluation.emoji import drawings, drawn_by_many
from e2ed2.inference.model import Sampling
from e2ed2.inference.sampling import load
from e2ed2.progress import track


@dataclass(frozen=True)
class Choices:
    model: Annotated[str, tyro.conf.Positional] = "energy"
    """A bundled model's name, a training's, or a model's folder."""
    captions: int = 200
    """Number of random concepts that at least five artists drew."""


@dataclass
class Meaning:
    """What one choice came to mean."""

    nearest: int = 0
    """Drawings that no other choice comes as near to."""
    error: float = 0.0
    """Mean squared error of the latents, to the drawing that is nearest; summed over captions."""
    artists: Counter[str] = field(default_factory=Counter)
    """The artist of the nearest drawing, counted over captions."""


@exit_on_user_error()
def main() -> None:
    options = tyro.cli(Choices)
    pipeline = load(options.model)
    if getattr(getattr(pipeline.denoiser, "coarse", None), "choice", "") != "one-hot":
        raise UserError(f"{options.model} makes no one-hot choice: take one that does, such as `energy`.")
    pictures = drawings("train")
    show(options.model, meanings(pipeline, pictures, drawn_by_many(pictures, options.captions)))


@torch.no_grad()
def meanings(pipeline: Sampling, pictures: Pictures, things: dict[str, list[int]]) -> list[Meaning]:
    """
    Args:
        things: captions that name no style, each with the rows of the drawings that fit.
    """
    path = pipeline.denoiser.coarse
    choices = math.sqrt(path.choices) * torch.eye(path.choices, device=pipeline.device)
    found = [Meaning() for _ in choices]
    for name, rows in track(things.items(), "comparing choices", total=len(things)):
        drawn = path(choices, pipeline.text_encoder([name]).to(pipeline.device).repeat(len(choices)))
        real = pipeline.codec.encode(pictures.tensor(torch.tensor(rows), pipeline.device))
        note(found, (drawn[:, None] - real).square().flatten(2).mean(dim=2), [pictures.styles[row] for row in rows])
    return found


def note(found: list[Meaning], errors: Tensor, artists: list[str]) -> None:
    """
    Args:
        errors: `[choices, drawings]` of one caption.
    """
    for best in errors.argmin(dim=0).tolist():
        found[best].nearest += 1
    for meaning, (error, row) in zip(found, zip(*map(Tensor.tolist, errors.min(dim=1)), strict=True), strict=True):
        meaning.error += error
        meaning.artists[artists[row]] += 1


def show(model: str, found: list[Meaning]) -> None:
    drawings_of_all = sum(meaning.nearest for meaning in found)
    table = Table("choice", "nearest to", "error", "whose drawings", title=f"{model}: {drawings_of_all} drawings")
    for number, meaning in enumerate(found):
        captions = meaning.artists.total()
        whose = ", ".join(f"{artist} {count / captions:.0%}" for artist, count in meaning.artists.most_common(2))
        table.add_row(str(number), f"{meaning.nearest / drawings_of_all:.0%}", f"{meaning.error / captions:.3f}", whose)
    Console().print(table)


if __name__ == "__main__":
    main()
