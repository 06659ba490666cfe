"""What real drawings reach in the figures that models are measured by, as they are and through the codec.

No model on this codec can be expected to do better. Writes assets/results/ceiling.json.

python -m e2ed2.evaluation.experiments.ceiling
"""

import json
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from e2ed2.assets import CHECKPOINTS, RESULTS
from e2ed2.data.pictures import Pictures
from e2ed2.evaluation.benchmark import Sampled
from e2ed2.evaluation.emoji import chosen, concept_names, drawings, prompts_of
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.judges import Alignment, Distance
from e2ed2.evaluation.results import as_result
from e2ed2.inference.pipeline import to_image
from e2ed2.models.codec import Codec
from e2ed2.models.weights import load_codec

OUT = RESULTS / "ceiling.json"
SPLITS = ("train", "combo")


def main(captions: Annotated[int, tyro.conf.arg(aliases=("--limit",))] = 2000, seed: int = 0) -> None:
    """Measure so many drawings of each split, chosen by `seed` as the prompts of the models are."""
    codec, encoder, aligned = load_codec(CHECKPOINTS / "coarse"), HeldOutEncoder(), Alignment(concept_names())
    found: dict[str, dict[str, Any]] = {"real drawings": {}, "through the codec": {}}
    for split in SPLITS:
        pictures, prompts = drawings(split), prompts_of(split, captions, seed)
        rows = chosen(len(pictures), captions, seed)
        distance = Distance(encoder.of(pictures.images, f"drawings of split {split}"))
        for name, images in (
            ("real drawings", pictures.images[rows]),
            ("through the codec", through(codec, pictures, rows)),
        ):
            sampled = Sampled(prompts, images, encoder.of(images, name))
            result = as_result({}, {}, distance(sampled) | aligned(sampled))
            found[name][split] = {group: result[group] for group in ("distance", "alignment", "intervals")}
    OUT.write_text(json.dumps({"captions": captions, "seed": seed, "pictures": found}, indent=2) + "\n")
    print(OUT)


@torch.no_grad()
def through(codec: Codec, pictures: Pictures, rows: np.ndarray) -> np.ndarray:
    """Encoded and decoded, uint8 `[len(rows), H, W, 3]`."""
    images = (pictures.tensor(torch.tensor([row])) for row in rows)
    return np.stack([np.asarray(to_image(codec.decode(codec.encode(image))[0])) for image in images])


if __name__ == "__main__":
    tyro.cli(main)
