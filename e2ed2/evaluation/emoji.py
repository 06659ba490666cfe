"""The benchmark of the bundled drawings: things that six artists drew, named as they are captioned or by visitors."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from e2ed2.assets import EVERYDAY_PROMPTS, STRANGERS_PROMPTS, VISITOR_PROMPTS
from e2ed2.data.colours import COLOURS, can_have, in_colour
from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import Pictures, load_pictures
from e2ed2.data.recoloured import is_held_out
from e2ed2.errors import UserError
from e2ed2.evaluation.benchmark import Benchmark, Metric, Prompt
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.judges import Alignment, Colour, Distance, Diversity, Nearest
from e2ed2.evaluation.metrics.ceilings import load_ceilings

# What people type; not training captions.
WORDS = {"visitor": VISITOR_PROMPTS, "everyday": EVERYDAY_PROMPTS, "strangers": STRANGERS_PROMPTS}
COLOUR = "colour"  # things that a training on `emoji-colours` shows, in colours in which it never shows them
SPLITS = ("train", "combo", "concept", *WORDS, COLOUR)
ARTISTS = 5  # concepts whose samples are compared in variety were drawn by at least this many


@dataclass(frozen=True)
class Emoji:
    """What to ask of a model, and what to measure."""

    split: str = "combo"
    captions: int | None = None  # at most; None takes all
    seed: int = 0  # seed of the choice of captions
    variety: int = 0  # captions without a style for the diversity ratio
    nearest: int = 0  # pictures whose nearest training drawing is searched

    def benchmark(self, encoder: HeldOutEncoder) -> Benchmark:
        prompts = prompts_of(self.split, self.captions, self.seed)
        training = drawings("train")
        real = drawings("combo") if self.split == "combo" else training
        known = encoder.deepest_of(training.images, "the training drawings")
        features = known if real is training else encoder.deepest_of(real.images, "the real drawings")
        # No drawing has the requested colours, so there is nothing that pictures should be near.
        first: Metric = Colour() if self.split == COLOUR else Distance(features)
        metrics: list[Metric] = [first, Alignment(concept_names())]
        if self.variety:
            metrics.append(self._diversity(encoder, training))
        if self.nearest:
            metrics.append(Nearest(encoder, self.nearest, training.images, known))
        ceilings = {kind: rates[self.split] for kind, rates in load_ceilings().items() if self.split in rates}
        return Benchmark(f"split {self.split}", prompts, real.images, tuple(metrics), ceilings=ceilings)

    def _diversity(self, encoder: HeldOutEncoder, training: Pictures) -> Diversity:
        rows = drawn_by_many(training, self.variety, self.seed)
        return Diversity(encoder, list(rows), [training.images[of_it] for of_it in rows.values()])


def drawn_by_many(pictures: Pictures, most: int, seed: int = 0) -> dict[str, list[int]]:
    """At most `most` random concepts drawn by at least five artists, each with the rows of its drawings."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(pictures.captions):
        rows[name].append(row)
    names = sorted(name for name, of_it in rows.items() if len(of_it) >= ARTISTS)
    return {names[i]: rows[names[i]] for i in chosen(len(names), most, seed)}


def prompts_of(split: str, limit: int | None, seed: int = 0) -> list[Prompt]:
    """At most `limit` prompts in an order that `seed` decides: captions with their style, or visitors' own words."""
    if split not in SPLITS:
        raise UserError(f"Unknown split {split!r}: choose one of {', '.join(SPLITS)}.")
    if limit is not None and limit < 1:
        raise UserError(f"{limit} captions leave nothing to sample: choose at least 1.")
    if split == COLOUR:
        prompts = unseen_colours(drawings("train"))
    elif split in WORDS:
        with open(WORDS[split], newline="") as file:
            prompts = [words_of(row) for row in csv.DictReader(file)]
    else:
        pictures = drawings(split)
        prompts = [
            Prompt(f"{name}, {style} style", name, style)
            for name, style in zip(pictures.captions, pictures.styles, strict=True)
        ]
    return [prompts[i] for i in chosen(len(prompts), limit, seed)]


def unseen_colours(pictures: Pictures) -> list[Prompt]:
    """Each thing in each colour that is held out, in the style of one of those who drew it."""
    columns = zip(pictures.captions, pictures.styles, pictures.groups, strict=True)
    things = {name: (style, group) for name, style, group in columns}
    return [
        Prompt(f"{in_colour(name, colour)}, {style} style", name, style, colour=colour)
        for name, (style, group) in sorted(things.items())
        for colour in COLOURS
        if is_held_out(name, colour) and can_have(name, group, colour) and in_colour(name, colour) not in things
    ]


def words_of(row: dict[str, str]) -> Prompt:
    """A row of a list: the prompt, and every concept that it may mean."""
    first, *others = row["concepts"].split("; ")
    return Prompt(row["prompt"], first, others=tuple(others))


def write_prompts(folder: Path, split: str, captions: int, seed: int) -> Path:
    """Write a table of prompts for somebody else's model; add its pictures, and judge them with `--images`.

    Raises:
        UserError: the table already exists.
    """
    file = folder / "metadata.csv"
    if file.exists():
        raise UserError(f"{file} is there already: choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(["file_name", "prompt", "seed"])
        prompts = prompts_of(split, captions, seed)
        table.writerows([f"{i:05d}.png", prompt.text, seed + i] for i, prompt in enumerate(prompts))
    return file


def chosen(count: int, limit: int | None, seed: int) -> np.ndarray:
    """At most `limit` of `count` rows, by a seed without a purpose: the stored results used these captions."""
    return np.random.default_rng(seed).permutation(count)[:limit]


@cache
def drawings(split: str) -> Pictures:
    """The real drawings of a split of the bundled set."""
    return load_pictures(DataConfig(split=split))


def concept_names() -> list[str]:
    """Every concept of the bundled set, seen in training or not."""
    return sorted({name for split in ("train", "combo", "concept") for name in drawings(split).captions})
