"""The README's picture: the bundled models (rows) on common prompts (columns), all from the same noise.

python -m tools.grid --out docs/grid.jpg
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from PIL import Image, ImageDraw, ImageFont

from e2ed2.inference.request import Request, available_models
from e2ed2.inference.sampling import load, most_steps, sample_image

SIDE, MARGIN, HEAD = 128, 130, 26
PROMPTS = (
    "red apple",
    "cat face",
    "grinning face",
    "house",
    "red heart",
    "sunflower",
    "fire",
    "automobile",
    "pizza",
    "dog face",
    "rocket",
    "robot",
    "panda",
    "rainbow",
    "guitar",
    "strawberry",
)


@dataclass(frozen=True)
class Grid:
    out: Path = Path("docs/grid.jpg")
    prompts: tuple[str, ...] = PROMPTS
    style: str = "noto"
    """Style added to each prompt; empty for none."""
    models: tuple[str, ...] = tuple(available_models())
    steps: tuple[int, ...] = (4,)
    """Numbers of steps; a model that takes only fewer samples with those."""
    seeds: tuple[int, ...] = (7,)
    """One column each for every prompt."""


def main() -> None:
    options = tyro.cli(Grid)
    rows = [(name, steps) for name in options.models for steps in options.steps]
    columns = [(prompt, seed) for prompt in options.prompts for seed in options.seeds]
    sheet = Image.new("RGB", (MARGIN + SIDE * len(columns), HEAD + SIDE * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for x, (prompt, _) in enumerate(columns):
        draw.text((MARGIN + SIDE * (x + 0.5), HEAD / 2), prompt[:18], "black", font, anchor="mm")
    pipelines = {name: load(name) for name in options.models}
    for y, (name, wanted) in enumerate(rows):
        steps = min(wanted, most_steps(pipelines[name]))
        label = f"{name}\n{steps} step{'s' * (steps > 1)}"
        draw.multiline_text((8, HEAD + SIDE * (y + 0.5)), label, "black", font, anchor="lm")
        for x, (prompt, seed) in enumerate(columns):
            text = f"{prompt}, {options.style} style" if options.style else prompt
            image = sample_image(pipelines[name], Request(text, name, steps, seed))
            sheet.paste(image, (MARGIN + SIDE * x, HEAD + SIDE * y))
    sheet.save(options.out, optimize=True, quality=85)
    print(options.out)


if __name__ == "__main__":
    main()
