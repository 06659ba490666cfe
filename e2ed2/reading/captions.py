"""From a prompt to the model's input: one caption for each picture."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from e2ed2.data.config import BUNDLED, COLOURED, is_bundled
from e2ed2.data.emoji import Concepts, bundled_words
from e2ed2.data.styles import BY_SEED, MIXED, check_style
from e2ed2.errors import UserError
from e2ed2.models.base import TextEncoder
from e2ed2.models.references import model_folder
from e2ed2.reading.ignored import ignores
from e2ed2.reading.reader import Reader, Reading, load_head, mixed_styles, style_of

GUESS = 0.2  # below this probability, the likeliest name is seldom right; of 302 people's prompts one is below
ALONE = "The models draw one thing at a time, of one size, on white."
MOST_STARTS = 9  # length limit of the chain of trainings, each started from the next


def readable(folder: Path) -> bool:
    """Whether this model learned from the bundled drawings, whose names the reader knows."""
    return is_bundled(learned_from(folder))


def knows_colours(folder: Path) -> bool:
    """Whether this model, or one that it was started from, has seen the bundled drawings in other colours."""
    return any(learned_from(one) == COLOURED for one in _and_starts(folder)) and readable(folder)


def _and_starts(folder: Path) -> Iterator[Path]:
    """A model's folder, then those it was started from, as far as they still exist."""
    for _ in range(MOST_STARTS):
        yield folder
        start = _settings(folder).get("objective", {}).get("init")
        if not start:
            return
        try:
            folder = model_folder(start)
        except UserError:
            return


def learned_from(folder: Path) -> str:
    """The path of a model's training set; empty if its files do not record it."""
    if not (folder / "run.json").is_file():
        return BUNDLED
    return str(_settings(folder).get("data", {}).get("path", ""))


def _settings(folder: Path) -> dict[str, dict[str, Any]]:
    """The settings of a model's training; empty if its files do not record them."""
    try:
        config = json.loads((folder / "run.json").read_text())["config"]
        return config if all(isinstance(part, dict) for part in config.values()) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def read(prompt: str, folder: Path, encoder: TextEncoder) -> Reading | None:
    """What the prompt may mean to the model in that folder; None if the model learned other names, or none."""
    if not readable(folder):
        return None
    return Reader(load_head(), Concepts(bundled_words(), encoder))(prompt, knows_colours(folder))


def captions_of(reading: Reading, seeds: Sequence[int], style: str = "") -> list[str]:
    """One caption per seed: the likeliest name for the first picture; for the others, one of the likely names.

    Args:
        style: `MIXED`, the default, or one of `STYLES`, if the prompt names none.

    Raises:
        UserError: no such style.
    """
    check_style(style)
    names = ["" if index == 0 else reading.draw(seed) for index, seed in enumerate(seeds)]
    return [reading.caption(*pair) for pair in zip(_styles(style or MIXED, seeds), names, strict=True)]


def _styles(style: str, seeds: Sequence[int]) -> list[str]:
    if style == MIXED:
        return mixed_styles(seeds)
    return [style_of(seed) if style == BY_SEED else style for seed in seeds]


def advice_on(reading: Reading) -> str:
    """A message about what the models cannot know of a prompt; empty if there is nothing to say.

    For words in other scripts no near names are proposed: the encoder does not know such words.
    """
    shown = f"The models were never shown “{reading.never_shown}”." if reading.never_shown else ""
    if not reading.candidates:
        return f"{shown} {unread(reading)}".strip()
    name, probability = reading.candidates[0].name, reading.candidates[0].probability
    if shown or probability >= GUESS:
        notes = [shown, ALONE if (reading.around and not shown) or ignores(reading.words, name) else ""]
    else:
        notes = ["This is a guess: nothing that the models know is near."]
    return " ".join(filter(None, notes))


def unread(reading: Reading) -> str:
    if not re.search("[a-z0-9]", reading.words, re.IGNORECASE):
        return "Not read: the models know English words and emoji, so the model is given this as it is."
    near = ", ".join(f"“{name}”" for name in reading.nearest)
    return f"Not read: this is far from all that the models know ({near} come nearest), so its own words are used."
