"""A study's export whose raters have a known taste."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SIDE = 48


def write_votes(folder: Path, taste: float = 4.0, prompts: int = 24, raters: int = 12, seed: int = 0) -> Path:
    """Two plain images of each prompt; whose is warmer wins with log odds of `taste` times the difference.

    Every rater answers on every prompt, one question, sides by lot; a tenth of the answers are ties.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    warmth = rng.uniform(-1, 1, (prompts, 2))
    for prompt in range(prompts):
        for arm in range(2):
            red, blue = 128 + 100 * warmth[prompt, arm], 128 - 100 * warmth[prompt, arm]
            noise = rng.normal(0, 12, (SIDE, SIDE, 3))
            pixels = np.clip(np.array([red, 110 + 60 * rng.random(), blue]) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{prompt}-{arm}.png")
    rows = []
    for rater in range(raters):
        for prompt in range(prompts):
            left = int(rng.integers(2))
            odds = taste * (warmth[prompt, left] - warmth[prompt, 1 - left])
            said = "left" if rng.random() < 1 / (1 + np.exp(-odds)) else "right"
            rows.append(
                {
                    "rater": f"r{rater:03}",
                    "prompt": f"thing {prompt}",
                    "kind": "comparison",
                    "question": "overall",
                    "answer": "tie" if rng.random() < 0.1 else said,
                    "image_left": f"images/{prompt}-{left}.png",
                    "image_right": f"images/{prompt}-{1 - left}.png",
                }
            )
    votes = pd.DataFrame(rows)
    votes.to_parquet(folder / "votes.parquet")
    pd.DataFrame({"rater": sorted(set(votes["rater"]))}).assign(withdrawn="").to_parquet(folder / "raters.parquet")
    return folder
