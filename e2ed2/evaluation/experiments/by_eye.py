"""Randomly drawn user prompts, sampled as the pages sample them, for a person to judge: how reliable is the head?

python -m e2ed2.evaluation.experiments.by_eye    # writes a sheet for each model, and assets/results/by_eye.csv

Look at the sheets and write `right`, `half` or `wrong` into the table's column `eye`. Called again, it keeps what was
judged, except of pictures that have changed, and counts it beside the retrieval head's verdict.
"""

import csv
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image, ImageDraw

from e2ed2.assets import RESULTS
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.benchmark import Prompt
from e2ed2.evaluation.emoji import WORDS, chosen, concept_names, prompts_of
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.generators import load_generator
from e2ed2.evaluation.metrics.retrieval import load_head, spread
from e2ed2.evaluation.run import reader_for
from e2ed2.files import data_folder
from e2ed2.models.minilm import MiniLM

OUT = RESULTS / "by_eye.csv"
VERDICTS = ("right", "half", "wrong")
STEPS = 4
SIDE, LINE, COLUMNS = 192, 16, 8  # of a sheet: pixels of a picture and of a line of text; pictures in a row


@dataclass(frozen=True)
class ByEye:
    models: tuple[str, ...] = ("l2-lpips-gan", "lpips", "l2-lpips")
    prompts: int = 40
    """Number of prompts, drawn from the visitors', the everyday and the strangers' lists together."""
    seed: int = 1
    """Seed of the choice of prompts, and of every picture."""
    sheets: Path = field(default_factory=lambda: data_folder() / "evaluation" / "by-eye")
    """Where the sheets are written."""


@dataclass(frozen=True)
class Judged:
    """One picture: a row of the table."""

    model: str
    prompt: str
    caption: str  # what the prompt was read as
    weights: str  # the model's fingerprint
    head: str  # right or wrong
    eye: str = ""


@exit_on_user_error()
def main() -> None:
    options = tyro.cli(ByEye, description=__doc__)
    prompts, before = draw_prompts(options.prompts, options.seed), read_judged(OUT)
    judged = [one for model in options.models for one in sampled(options, model, prompts)]
    judged = [kept_verdict(one, before) for one in judged]
    write_judged(OUT, judged)
    print(counted(judged))
    print(f"The sheets are in {options.sheets}, the table is {OUT}.")


def draw_prompts(count: int, seed: int) -> list[Prompt]:
    every = [prompt for split in WORDS for prompt in prompts_of(split, None)]
    return [every[row] for row in chosen(len(every), count, seed)]


def sampled(options: ByEye, model: str, prompts: list[Prompt]) -> list[Judged]:
    """Sample the prompts, write the model's sheet, and return the pictures to judge."""
    read, generator = reader_for(model), load_generator(model, STEPS)
    captions = [read(prompt.text, [options.seed])[0] for prompt in prompts]
    images = generator(captions, [options.seed] * len(prompts))
    options.sheets.mkdir(parents=True, exist_ok=True)
    sheet(images, [prompt.text for prompt in prompts], captions).save(options.sheets / f"{model}.png")
    heads = verdicts(np.stack([np.asarray(one) for one in images]), prompts)
    return [
        Judged(model, prompt.text, caption, generator.fingerprint, head)
        for prompt, caption, head in zip(prompts, captions, heads, strict=True)
    ]


@torch.no_grad()
def verdicts(images: np.ndarray, prompts: list[Prompt]) -> list[str]:
    """The retrieval head's verdicts, `right` or `wrong`.

    Args:
        images: uint8 `[N, H, W, 3]`
    """
    names = concept_names()
    concepts, _ = load_head()(HeldOutEncoder().of(images))
    nearest = (concepts @ spread(MiniLM()(names).pooled).T).argmax(dim=1)
    right = [{prompt.concept, *prompt.others} for prompt in prompts]
    return ["right" if names[row] in one else "wrong" for row, one in zip(nearest.tolist(), right, strict=True)]


def sheet(images: list[Image.Image], prompts: list[str], captions: list[str]) -> Image.Image:
    """Every picture, above its prompt and the caption that the prompt was read as."""
    rows = -(-len(images) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * SIDE, rows * (SIDE + 2 * LINE)), "white")
    pen = ImageDraw.Draw(page)
    for number, (image, *texts) in enumerate(zip(images, prompts, captions, strict=True)):
        x, y = number % COLUMNS * SIDE, number // COLUMNS * (SIDE + 2 * LINE)
        page.paste(image.resize((SIDE - 8, SIDE - 8), Image.Resampling.LANCZOS), (x + 4, y + 4))
        for line, text in enumerate(texts):
            pen.text((x + 4, y + SIDE + line * LINE), text[:30], fill="black")
    return page


def read_judged(file: Path) -> list[Judged]:
    """The rows of the table; none if there is no table yet."""
    if not file.is_file():
        return []
    with open(file, newline="") as opened:
        return [Judged(**row) for row in csv.DictReader(opened)]


def write_judged(file: Path, judged: list[Judged]) -> None:
    with open(file, "w", newline="") as opened:
        table = csv.DictWriter(opened, list(asdict(judged[0])), lineterminator="\n")
        table.writeheader()
        table.writerows(map(asdict, judged))


def kept_verdict(one: Judged, before: list[Judged]) -> Judged:
    """The same, with the verdict that a person gave for this very picture, if any."""
    same = (old.eye for old in before if replace(old, eye="", head="") == replace(one, eye="", head=""))
    return replace(one, eye=next(same, ""))


def counted(judged: list[Judged]) -> str:
    """For each model: right, half and wrong by eye, and how many of each the head calls right."""
    lines = []
    for model in dict.fromkeys(one.model for one in judged):
        own = [one for one in judged if one.model == model]
        eye, head = Counter(one.eye for one in own), Counter(one.eye for one in own if one.head == "right")
        parts = [f"{eye[verdict]} {verdict} ({head[verdict]})" for verdict in VERDICTS]
        open_ones = f", {eye['']} not judged yet" if eye[""] else ""
        lines.append(f"{model}: {', '.join(parts)}{open_ones}; the head calls {sum(head.values())} right (in brackets)")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
