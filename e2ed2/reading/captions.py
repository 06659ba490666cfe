"""From a prompt to what a model is given: one caption for each picture."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from e2ed2.data.config import BUNDLED, COLOURED, is_bundled
from e2ed2.data.emoji import Concepts, bundled_words
from e2ed2.data.styles import BEST, BY_SEED, check_style
from e2ed2.models.base import TextEncoder
from e2ed2.reading.reader import Reader, Reading, load_head, style_of


def readable(folder: Path) -> bool:
    """Did this model learn from the bundled drawings, whose names the reader knows?"""
    return is_bundled(learned_from(folder))


def knows_colours(folder: Path) -> bool:
    """Did this model see the bundled drawings in other colours than their own?"""
    return learned_from(folder) == COLOURED


def learned_from(folder: Path) -> str:
    """The path of a model's training set; empty where its files do not say."""
    run = folder / "run.json"
    try:
        return str(json.loads(run.read_text())["config"]["data"]["path"]) if run.is_file() else BUNDLED
    except (ValueError, KeyError, TypeError):
        return ""


def read(prompt: str, folder: Path, encoder: TextEncoder) -> Reading | None:
    """What the prompt may mean to the model in that folder; None where it knows other names, or none."""
    if not readable(folder):
        return None
    return Reader(load_head(), Concepts(bundled_words(), encoder))(prompt, knows_colours(folder))


def captions_of(reading: Reading, seeds: Sequence[int], style: str = "") -> list[str]:
    """The first picture is of the likeliest name; of the others, the seed draws among the likely ones.

    Args:
        style: one of `STYLES`, where the prompt names none; `BEST` by default.

    Raises:
        UserError: no such style.
    """
    check_style(style)
    names = ["" if index == 0 else reading.drawn(seed) for index, seed in enumerate(seeds)]
    styles = [style_of(seed) if style == BY_SEED else style or BEST for seed in seeds]
    return [reading.caption(*pair) for pair in zip(styles, names, strict=True)]


def said(reading: Reading) -> str:
    """What to tell somebody whose prompt could not be read, or names what no model was shown; empty for any other.

    What is near to words of other scripts says nothing.
    """
    if reading.candidates:
        return f"The models were never shown “{reading.never_shown}”." if reading.never_shown else ""
    if not re.search("[a-z0-9]", reading.words, re.IGNORECASE):
        return "Not read: the models know English words and emoji, so the model is given this as it is."
    known = ", ".join(f"“{name}”" for name in reading.nearest)
    return f"Not read: this is far from all that the models know ({known} come nearest), so its own words are used."
