"""Pairs of a thing and a colour that no training showed: which colours are right how often, and what drawings reach.

Writes assets/results/colours.json of every model whose `*-colour.json` is there. Pictures that `evaluate` sampled are
looked at again; those of other weights than it saw are left out.

python -m e2ed2.evaluation.report.measure_colours
"""

import json
from collections import defaultdict
from typing import Any

import numpy as np
import torch
import tyro

from e2ed2.assets import RESULTS
from e2ed2.data.pictures import Pictures
from e2ed2.data.turning import main_colour, to_oklab, turned
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.benchmark import Prompt, Sampled
from e2ed2.evaluation.emoji import COLOUR, concept_names, drawings, prompts_of
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.generators import load_generator, sample_all
from e2ed2.evaluation.judges import Alignment, Colour
from e2ed2.evaluation.metrics.ceilings import head_digest
from e2ed2.evaluation.report.colours import OUT, TURNED
from e2ed2.evaluation.results import as_result, read_result
from e2ed2.inference.request import available_models

NO_FEATURES = torch.empty(0)  # colour is determined from the pixels


@exit_on_user_error()
def main() -> None:
    prompts, pictures = prompts_of(COLOUR, None), drawings("train")
    result = {"head": head_digest(), TURNED: ceiling(*turned_drawings(prompts, pictures)), "models": models(prompts)}
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(OUT)


def models(prompts: list[Prompt]) -> dict[str, dict[str, Any]]:
    """For each model, its weights' fingerprint and the share of right pictures for each colour."""
    results = {}
    for file in sorted(RESULTS.glob(f"*-{COLOUR}.json")):
        settings = read_result(file)["settings"]
        if (name := settings["model"]) in available_models():
            generator = load_generator(name, settings["steps"])
            texts = [prompt.text for prompt in prompts]
            images = sample_all(generator, texts, range(len(texts)), drawings("train").images.shape[1])
            results[name] = {"weights": generator.fingerprint, "by_colour": by_colour(prompts, images)}
    return results


def by_colour(prompts: list[Prompt], images: np.ndarray) -> dict[str, float]:
    """The share of pictures, `[N, H, W, 3]`, in the colour that their prompt asks for; the colours by name."""
    rows = defaultdict(list)
    for row, prompt in enumerate(prompts):
        rows[prompt.colour].append(row)
    return {
        colour: share(Sampled([prompts[row] for row in of], images[of], NO_FEATURES)) for colour, of in rows.items()
    }


def share(sampled: Sampled) -> float:
    return Colour()(sampled)["alignment.colour"].value


def turned_drawings(prompts: list[Prompt], pictures: Pictures) -> tuple[list[Prompt], np.ndarray]:
    """The drawing of each prompt's thing and style in its colour; one without a main colour cannot be turned."""
    columns = zip(pictures.captions, pictures.styles, strict=True)
    rows = {drawn: row for row, drawn in enumerate(columns)}
    wanted, images = [], []
    for prompt in prompts:
        lab = to_oklab(pictures.images[rows[prompt.concept, prompt.style]])
        if main := main_colour(lab):
            wanted.append(prompt)
            images.append(turned(lab, main, prompt.colour))
    return wanted, np.stack(images)


def ceiling(prompts: list[Prompt], images: np.ndarray) -> dict[str, Any]:
    """All figures of the split, for drawings that match their prompts."""
    sampled = Sampled(prompts, images, HeldOutEncoder().of(images, TURNED))
    result = as_result({}, {}, Colour()(sampled) | Alignment(concept_names())(sampled))
    figures = {group: result[group] for group in ("alignment", "intervals")}
    return {"images": len(images), **figures, "by_colour": by_colour(prompts, images)}


if __name__ == "__main__":
    tyro.cli(main)
