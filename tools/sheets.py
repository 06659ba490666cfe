"""A contact sheet of every bundled model: a hundred captions of training drawings, not chosen, one picture each.

python -m tools.sheets --models l2 energy
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from PIL import Image

from e2ed2.assets import CHECKPOINTS
from e2ed2.evaluation.emoji import prompts_of
from e2ed2.inference.request import Request, available_models
from e2ed2.inference.sampling import load, most_steps, sample_image

SIDE, COLUMNS = 96, 10


@dataclass(frozen=True)
class Sheets:
    models: tuple[str, ...] = tuple(available_models())
    count: int = 100
    seed: int = 0
    out: Path = Path("docs/sheets")
    checkpoints: Path = CHECKPOINTS


def main() -> None:
    options = tyro.cli(Sheets)
    options.out.mkdir(parents=True, exist_ok=True)
    prompts = prompts_of("train", options.count, options.seed)
    for name in options.models:
        pipeline = load(name, options.checkpoints)
        steps = most_steps(pipeline)
        sheet = Image.new("RGB", (SIDE * COLUMNS, SIDE * -(-len(prompts) // COLUMNS)), "white")
        for i, prompt in enumerate(prompts):
            image = sample_image(pipeline, Request(prompt.text, name, steps, options.seed + i))
            sheet.paste(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (i % COLUMNS * SIDE, i // COLUMNS * SIDE))
        sheet.save(options.out / f"{name}.jpg", quality=85, optimize=True)
        print(options.out / f"{name}.jpg")


if __name__ == "__main__":
    main()
