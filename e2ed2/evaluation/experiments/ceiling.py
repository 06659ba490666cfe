"""The distance of an equal number of real drawings from all of them, unchanged and through the codec.

No model on this codec can be expected to do better. Writes assets/results/ceiling.json.

python -m e2ed2.evaluation.experiments.ceiling
"""

import json
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from e2ed2.assets import CHECKPOINTS, RESULTS
from e2ed2.data.pictures import to_tensor
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.emoji import chosen, drawings
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.judges import distances
from e2ed2.evaluation.results import as_result
from e2ed2.inference.model import to_image
from e2ed2.models.base import Codec
from e2ed2.models.weights import load_codec

OUT = RESULTS / "ceiling.json"
SPLITS = ("train", "combo")


@exit_on_user_error()
def main(captions: Annotated[int, tyro.conf.arg(aliases=("--limit",))] = 2000, seed: int = 0) -> None:
    """Measure `captions` drawings of each split, chosen by `seed` as the models' prompts are."""
    codec, encoder = load_codec(CHECKPOINTS / "coarse"), HeldOutEncoder()
    ceilings: dict[str, dict[str, Any]] = {"real drawings": {}, "through the codec": {}}
    for split in SPLITS:
        pictures = drawings(split)
        rows = chosen(len(pictures), captions, seed)
        real = encoder.deepest_of(pictures.images, f"drawings of split {split}")
        for name, images in (
            ("real drawings", pictures.images[rows]),
            ("through the codec", through(codec, pictures.images[rows])),
        ):
            result = as_result({}, {}, distances(encoder.deepest_of(images, name), real))
            ceilings[name][split] = {group: result[group] for group in ("distance", "intervals")}
    OUT.write_text(
        json.dumps({"captions": min(captions, len(drawings("train"))), "seed": seed, "pictures": ceilings}, indent=2)
        + "\n"
    )
    print(OUT)


@torch.no_grad()
def through(codec: Codec, images: np.ndarray) -> np.ndarray:
    """The images after encoding and decoding, one by one, uint8 `[N, H, W, 3]`."""
    one_by_one = (to_tensor(images[i : i + 1]) for i in range(len(images)))
    return np.stack([np.asarray(to_image(codec.decode(codec.encode(image))[0])) for image in one_by_one])


if __name__ == "__main__":
    tyro.cli(main)
