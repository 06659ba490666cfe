"""The pairs of pictures behind a result, small enough for a page."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from study.protocol.spec import StudySpec
from study.stats.analysis import Analysis
from study.stats.answers import comparisons
from study.stats.pooling import NO_CATEGORY

DRIVING, CATEGORIES = 2, 12  # pairs for each category, and categories, at most
SHOWN = 3  # pairs of pictures in each group
EDGE = 320  # pixels of a picture in the report, at most


@dataclass(frozen=True)
class Pictures:
    """A pair of pictures and what raters said about it, on the first question."""

    prompt: str
    arm: str
    other: str
    wins: int
    ties: int
    losses: int
    image: str
    """The picture by `arm`: a file, relative to the export."""
    other_image: str


def pictures(kept: pd.DataFrame, spec: StudySpec) -> dict[str, list[Pictures]]:
    """Pairs behind the results on the first question: clearest for either side, and the most divided.

    For two arms those are the two arms; for more, the winner of a pair and the other.
    """
    votes = comparisons(kept, spec.questions[0].key)
    pairs = [_pair(rows, spec.arms) for _, rows in votes.groupby("pair", sort=True)]
    clear = sorted(pairs, key=lambda p: -_lean(p))
    divided = sorted((p for p in pairs if p.wins and p.losses), key=lambda p: (abs(_lean(p)), -p.wins - p.losses))
    return {
        "clearest": [p for p in clear if _lean(p) > 0][:SHOWN],
        "against": [p for p in clear[::-1] if _lean(p) < 0][:SHOWN],
        "divided": divided[:SHOWN],
    }


def by_category(kept: pd.DataFrame, spec: StudySpec, analysis: Analysis) -> dict[str, list[Pictures]]:
    """The pairs that drive the effect of each category on the first question, the clearest first."""
    key = spec.questions[0].key
    pooled = analysis.questions[key].pooling if key in analysis.questions else None
    if pooled is None:
        return {}
    votes = comparisons(kept, key)
    driven = {}
    for one in pooled.categories:
        rows = votes[votes["category"] == ("" if one.category == NO_CATEGORY else one.category)]
        pairs = [_pair(of_pair, spec.arms) for _, of_pair in rows.groupby("pair", sort=True)]
        sign = 1 if one.value >= 0 else -1
        driven[one.category] = sorted(pairs, key=lambda p: -sign * _lean(p))[:DRIVING]
    return dict(list(driven.items())[:CATEGORIES])


def _pair(rows: pd.DataFrame, arms: tuple[str, ...]) -> Pictures:
    first = rows.iloc[0]
    arm, other = sorted((first["left"], first["right"]), key=arms.index)
    files = {first["left"]: first["image_left"], first["right"]: first["image_right"]}
    winner = np.select([rows["answer"] == "left", rows["answer"] == "right"], [rows["left"], rows["right"]], "")
    wins, losses = int((winner == arm).sum()), int((winner == other).sum())
    return Pictures(first["prompt"], arm, other, wins, len(rows) - wins - losses, losses, files[arm], files[other])


def _lean(p: Pictures) -> float:
    """Net preference, drawn towards 0 where few have answered."""
    return (p.wins - p.losses) / (p.wins + p.ties + p.losses + 2)


def data_uri(path: Path) -> str:
    """The picture, small enough for a page; empty if the file is missing."""
    if not path.is_file():
        return ""
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((EDGE, EDGE))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=90)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
