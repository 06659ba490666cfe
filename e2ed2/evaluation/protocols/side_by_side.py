"""Models and baselines on the same prompts and seeds: what a picture costs and how it scores, a table and a grid."""

import json
import textwrap
from collections.abc import Generator as Yields
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from e2ed2.device import pick_device
from e2ed2.evaluation.generators import BATCH, load_or_sample
from e2ed2.evaluation.metrics.cost import cost
from e2ed2.evaluation.protocols.arms import Arm
from e2ed2.evaluation.protocols.changed import check_arm, generator_of
from e2ed2.evaluation.protocols.config import SideBySide
from e2ed2.evaluation.protocols.files import gathered, prompts_in
from e2ed2.evaluation.protocols.geneval import overall, read_metadata, write_samples
from e2ed2.evaluation.protocols.scores import Score, score_of
from e2ed2.evaluation.results import check_folder
from e2ed2.evaluation.shown import table
from e2ed2.inference.request import slug
from e2ed2.progress import track

USUAL = (
    "red apple",
    "cat face",
    "house",
    "sunflower",
    "red car",
    "slice of pizza",
    "dog",
    "rocket",
    "guitar",
    "rainbow",
    "cup of coffee",
    "smiling face",
)
REPEATS = 3  # repetitions of the timing
MARGIN, HEAD = 150, 44  # pixels in the grid to the left of and above the pictures
Row = dict[str, Any]


def side_by_side(options: SideBySide) -> list[Row]:
    """One row for each arm, also written as `table.md`, `table.json` and `grid.jpg` into `options.out`.

    Raises:
        UserError: requested models, scores or files are missing; no folder is created in that case.
    """
    check_folder(options.out)
    prompts = prompts_in(options.prompts) if options.prompts else list(USUAL)
    geneval = read_metadata(options.geneval) if options.geneval else []
    device = pick_device(options.device)
    scored = [partial(score_of, name, options.weights, device) for name in options.scores]
    found = gathered(*(partial(check_arm, arm) for arm in options.parsed), *scored)
    scores = dict(zip(options.scores, found[len(options.parsed) :], strict=True))
    rows, pictures = [], []
    for arm in options.parsed:
        generator = generator_of(arm, options.device)
        images = sampled(generator, prompts, options.seed)
        row: Row = {"arm": arm.name} | asdict(arm) | cost_of(generator, prompts[0], options.seed)
        row |= {name: mean_score(score, images, prompts) for name, score in scores.items()}
        if geneval:
            folder = options.out / "geneval" / slug(arm.name)
            write_samples(generator, geneval, options.seed, folder)
            row["geneval"] = overall(folder)
        rows.append(row)
        pictures.append(images[: options.columns])
    options.out.mkdir(parents=True, exist_ok=True)
    write(options, prompts, rows)
    grid(options.parsed, prompts, pictures, options.side).save(options.out / "grid.jpg", quality=90)
    return rows


def sampled(generator: Any, prompts: list[str], seed: int) -> list[Image.Image]:
    """One picture for each prompt; pictures that an earlier call sampled are read from disk."""
    jobs = [(prompt, seed + number) for number, prompt in enumerate(prompts)]
    parts = [jobs[start : start + BATCH] for start in range(0, len(jobs), BATCH)]
    found = [picture for part in track(parts, "sampling") for picture in load_or_sample(generator, part)]
    return [picture.convert("RGB") for picture in found]


def cost_of(generator: Any, prompt: str, seed: int) -> Row:
    """The cost of one picture by itself: network calls (guidance doubles them), GFLOP, seconds on this machine."""
    with counted_calls(generator.pipeline) as calls:
        generator([prompt], [seed])
    figures = cost(lambda: generator([prompt], [seed]), REPEATS)
    return {"nfe": sum(calls), "gflop": figures["cost.gflop"].value, "seconds": figures["cost.seconds"].value}


@contextmanager
def counted_calls(pipeline: Any) -> Yields[list[int]]:
    """Record, for each call of the pipeline's network in the meantime, the number of samples."""
    names = ("denoiser", "unet", "transformer")
    network = next(part for name in names if (part := getattr(pipeline, name, None)) is not None)
    calls: list[int] = []

    def note(module: Any, given: Any, named: Any) -> None:
        calls.append(len(next(value for value in (*given, *named.values()) if isinstance(value, Tensor))))

    hook = network.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield calls
    finally:
        hook.remove()


def mean_score(score: Score, pictures: list[Image.Image], prompts: list[str]) -> float:
    parts = range(0, len(prompts), BATCH)
    return float(torch.cat([score(pictures[i : i + BATCH], prompts[i : i + BATCH]) for i in parts]).mean())


def write(options: SideBySide, prompts: list[str], rows: list[Row]) -> None:
    figures = [name for name in rows[0] if name not in Arm.__annotations__ and name != "arm"]
    told = [[row["arm"], *("-" if row[name] is None else f"{row[name]:.4g}" for name in figures)] for row in rows]
    settings = asdict(options) | {"prompts": prompts, "weights": str(options.weights), "out": options.out.name}
    settings["geneval"] = str(options.geneval or "")
    (options.out / "table.md").write_text(table(["arm", *figures], told))
    (options.out / "table.json").write_text(json.dumps({"settings": settings, "arms": rows}, indent=2) + "\n")


def grid(arms: list[Arm], prompts: list[str], pictures: list[list[Image.Image]], side: int) -> Image.Image:
    """A row for each arm and a column for each prompt; a column's pictures start from the same noise."""
    columns = len(pictures[0])
    sheet = Image.new("RGB", (MARGIN + columns * side, HEAD + len(arms) * side), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for x, prompt in enumerate(prompts[:columns]):
        label = "\n".join(textwrap.wrap(prompt, max(4, side // 8), max_lines=2, placeholder=" …"))
        draw.multiline_text((MARGIN + side * (x + 0.5), HEAD / 2), label, "black", font, "mm", align="center")
    for y, (arm, row) in enumerate(zip(arms, pictures, strict=True)):
        label = "\n".join(textwrap.wrap(arm.name.replace(", ", ",\n"), MARGIN // 8, replace_whitespace=False))
        draw.multiline_text((6, HEAD + side * (y + 0.5)), label, "black", font, "lm")
        for x, picture in enumerate(row):
            sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (MARGIN + side * x, HEAD + side * y))
    return sheet
