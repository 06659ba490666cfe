"""What the models are asked to paint, and the drawings that would be right."""

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from e2ed2.assets import VISITOR_PROMPTS
from e2ed2.data.pictures import DataConfig, Pictures, load_pictures
from e2ed2.errors import UserError

SPLITS = ("train", "combo", "concept", "visitor")


@dataclass(frozen=True)
class Prompt:
    text: str
    concept: str
    style: str  # "" where the text names none


def prompts_of(split: str, limit: int, seed: int = 0) -> list[Prompt]:
    """At most `limit` prompts in an order that `seed` decides: captions with their style, or visitors' own words."""
    if split not in SPLITS:
        raise UserError(f"Unknown split {split!r}: choose one of {', '.join(SPLITS)}.")
    if limit < 1:
        raise UserError(f"A limit of {limit} leaves nothing to paint: choose at least 1.")
    if split == "visitor":
        with open(VISITOR_PROMPTS, newline="") as file:
            prompts = [Prompt(row["prompt"], row["concept"], "") for row in csv.DictReader(file)]
    else:
        pictures = drawings(split)
        prompts = [
            Prompt(f"{name}, {style} style", name, style)
            for name, style in zip(pictures.captions, pictures.styles, strict=True)
        ]
    return [prompts[i] for i in chosen(len(prompts), limit, seed)]


def chosen(count: int, limit: int, seed: int) -> np.ndarray:
    """At most `limit` of `count` rows."""
    return np.random.default_rng(seed).permutation(count)[:limit]


@cache
def drawings(split: str) -> Pictures:
    """The real drawings of a split of the bundled set."""
    return load_pictures(DataConfig(split=split))
