"""What real drawings reach in the figures that models are measured by, as they are and through the codec.

No model on this codec can be expected to do better. Writes assets/results/ceiling.json.

python -m e2ed2.evaluation.experiments.ceiling
"""

import json
from typing import Any

import numpy as np
import torch
import tyro

from e2ed2.assets import CHECKPOINTS, RESULTS
from e2ed2.data.pictures import Pictures
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.prompts import chosen, drawings, prompts_of
from e2ed2.evaluation.run import alignment, distances
from e2ed2.inference.pipeline import to_image
from e2ed2.models.codec import Codec
from e2ed2.models.weights import load_codec

OUT = RESULTS / "ceiling.json"
SPLITS = ("train", "combo")


def main(limit: int = 150, seed: int = 0) -> None:
    """Measure `limit` drawings of each split, chosen by `seed` as the prompts of the models are."""
    codec, encoder = load_codec(CHECKPOINTS / "coarse"), HeldOutEncoder()
    found: dict[str, dict[str, Any]] = {"real drawings": {}, "through the codec": {}}
    for split in SPLITS:
        pictures = drawings(split)
        rows, prompts = chosen(len(pictures), limit, seed), prompts_of(split, limit, seed)
        real = encoder.of(pictures.images, f"drawings of split {split}")
        decoded = encoder.of(through(codec, pictures, rows), "decoded drawings")
        for name, features in (("real drawings", real[rows]), ("through the codec", decoded)):
            found[name][split] = {"distance": distances(features, real), "alignment": alignment(features, prompts)}
    OUT.write_text(json.dumps({"limit": limit, "seed": seed, "pictures": found}, indent=2) + "\n")
    print(OUT)


@torch.no_grad()
def through(codec: Codec, pictures: Pictures, rows: np.ndarray) -> np.ndarray:
    """Encoded and decoded, uint8 `[len(rows), H, W, 3]`."""
    images = (pictures.tensor(torch.tensor([row])) for row in rows)
    return np.stack([np.asarray(to_image(codec.decode(codec.encode(image))[0])) for image in images])


if __name__ == "__main__":
    tyro.cli(main)
