"""Evaluation files as one table, and how well they agree with what people prefer."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from e2ed2.assets import RESULTS
from e2ed2.evaluation.metrics.ceilings import load_ceilings
from e2ed2.evaluation.report.colours import OUT as COLOURS
from e2ed2.evaluation.report.colours import TURNED, read_colours
from e2ed2.evaluation.results import prompts_label

FOLDER, ALIGNMENT = RESULTS, "alignment"
TYPED = {  # prompts typed by people, a hundred of each
    "visitor, read": "visitors' own words, read as captions",
    "everyday, read": "everyday words, read as captions",
    "strangers, read": "strangers' words, read as captions",
    "visitor": "visitors' own words, as they are",
    "everyday": "everyday words, as they are",
    "strangers": "strangers' words, as they are",
}
SPLITS = TYPED | {
    "train": "training captions",
    "combo": "known things in a style not seen",
    "concept": "things never seen",
    "colour": "known things in a colour not seen",
}


@dataclass(frozen=True)
class Measure:
    name: str
    path: tuple[str, ...]  # in an evaluation file
    better: int  # 1: more is better, -1: less is
    meaning: str  # for a newcomer
    share: bool = False  # it is a share of the pictures, so that it has an interval


MEASURES = {
    measure.name: measure
    for measure in (
        Measure(
            "distance to real drawings (KID)",
            ("distance", "kid"),
            -1,
            "how far the pictures as a whole are from real drawings",
        ),
        Measure(
            "distance to real drawings (FD)",
            ("distance", "fd"),
            -1,
            "how far the pictures as a whole are from real drawings, by another formula",
        ),
        Measure("precision", ("distance", "precision"), 1, "share of the pictures that are near a real drawing"),
        Measure("recall", ("distance", "recall"), 1, "share of the real drawings that are near a picture"),
        Measure(
            "right thing, first guess",
            (ALIGNMENT, "top1"),
            1,
            "share of the pictures in which a recogniser sees what was asked for at its first guess",
            share=True,
        ),
        Measure(
            "right thing, five guesses",
            (ALIGNMENT, "top5"),
            1,
            "share of the pictures in which a recogniser sees what was asked for within five guesses",
            share=True,
        ),
        Measure(
            "right style",
            (ALIGNMENT, "style"),
            1,
            "share of the pictures in which a recogniser sees the style that was asked for",
            share=True,
        ),
        Measure(
            "right colour",
            (ALIGNMENT, "colour"),
            1,
            "share of the pictures whose main colour is the one that was asked for",
            share=True,
        ),
        Measure(
            "variety (1: as varied as the artists)",
            ("diversity_ratio",),
            1,
            "how much pictures of one caption differ, compared with the artists’ drawings of it",
        ),
        Measure(
            "distance to the nearest training drawing",
            ("nearest_training_lpips",),
            1,
            "how much a picture differs from the training drawing most like it; a copy has 0",
        ),
    )
}
VARIETY = "variety (1: as varied as the artists)"
LOW, HIGH = "{}: low end", "{}: high end"  # of the 95% interval
GFLOP, SECONDS = "GFLOP a picture", "seconds a picture"


class Net(NamedTuple):
    """The share of pairs won minus the share lost, in [-1, 1]."""

    value: float
    low: float  # 95% interval
    high: float


@dataclass(frozen=True)
class Preferences:
    """What people said about the bundled models, as plain values: this page need not know how votes are stored."""

    net: Mapping[str, Net]  # by model
    votes: int
    steps: int = 4  # of all pictures in the study


def read(folder: Path = FOLDER) -> pd.DataFrame:
    """One row per file; a figure missing from a file is empty, and files that are no evaluations are left out."""
    rows = []
    for file in sorted(folder.glob("*.json")):
        try:
            data = json.loads(file.read_text())
            given = data["settings"]
            settings = {"model": given["model"], "steps": given["steps"], "split": prompts_label(given)}
        except (ValueError, KeyError, TypeError):
            continue
        figures = {name: _at(data, measure.path) for name, measure in MEASURES.items()} | _intervals(data)
        costs = {GFLOP: _at(data, ("cost", "gflop")), SECONDS: _at(data, ("cost", "seconds"))}
        rows.append(settings | figures | costs | {"pictures": _at(data, ("choices", "images"))})
    return pd.DataFrame(rows)


def _intervals(data: dict[str, Any]) -> dict[str, float]:
    """Both ends of each interval in the file."""
    intervals: dict[str, Any] = data.get("intervals") or {}
    ends = {name: intervals.get(".".join(measure.path)) for name, measure in MEASURES.items()}
    return {
        end.format(name): value
        for name, pair in ends.items()
        if pair
        for end, value in zip((LOW, HIGH), pair, strict=True)
    }


def interval(row: Mapping[Any, Any], measure: str) -> tuple[float, float]:
    """95% interval of a row's figure: from its file, else (for a share) from the number of pictures, else none."""
    low, high = (row.get(end.format(measure), math.nan) for end in (LOW, HIGH))
    if pd.notna(low):
        return low, high
    return within(row[measure], row["pictures"]) if MEASURES[measure].share else (row[measure], row[measure])


def splits(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of what a visitor reads and the value; prompts typed by people come first."""
    order = list(SPLITS)
    names = set(table["split"]) if len(table) else set()
    ordered = sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [(SPLITS.get(name, name), name) for name in ordered]


def measured(table: pd.DataFrame, split: str | None) -> list[str]:
    """The measures that a split has figures for; for people's prompts, which are few, shares come before distances."""
    part = table[table["split"] == split] if len(table) else table
    names = [name for name in MEASURES if len(part) and part[name].notna().any()]
    return sorted(names, key=lambda name: not MEASURES[name].share) if split in TYPED else names


def ceilings(split: str | None, measure: str, folder: Path = FOLDER) -> dict[str, float]:
    """The same figure for real drawings, and for drawings passed through the codec, which limits all models here.

    Rates are in the retrieval head's file; distances and what hue-turned drawings reach are in `folder`.
    """
    path = MEASURES[measure].path
    pictures = _aligned(split, folder) if path[0] == ALIGNMENT else _distances(split, folder)
    values = {name: _at(of, path) for name, of in pictures.items()}
    return {name: value for name, value in values.items() if value is not None}


def _distances(split: str | None, folder: Path) -> dict[str, Any]:
    file = folder / "ceiling.json"
    pictures = json.loads(file.read_text())["pictures"] if file.is_file() else {}
    return {name: by.get(split) for name, by in pictures.items()}


def _aligned(split: str | None, folder: Path) -> dict[str, Any]:
    """No drawings exist of what people typed: those of training captions stand in, and are labelled so."""
    if split == "colour":
        measured = read_colours(folder / COLOURS.name)
        return {TURNED: measured[TURNED]} if measured else {}
    drawn, called = ("train", f"{{}}, {SPLITS['train']}") if split in TYPED else (split, "{}")
    return {called.format(name): {ALIGNMENT: by.get(drawn)} for name, by in load_ceilings().items()}


def within(share: float, count: float) -> tuple[float, float]:
    """95% interval (Wilson) of a share of `count` pictures."""
    from scipy.stats import binomtest  # takes a second to import: the first page need not wait for it

    interval = binomtest(round(share * count), int(count)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def agreement(table: pd.DataFrame, split: str | None, people: Preferences) -> pd.DataFrame:
    """Each figure's rank correlation, over models, with what people prefer; signs are such that more is better."""
    from scipy.stats import spearmanr

    rows = []
    part = table[(table["split"] == split) & (table["steps"] == people.steps)] if len(table) else table
    for name, measure in MEASURES.items():
        figures = zip(part["model"], part[name], strict=True) if len(part) else ()
        both = [
            (measure.better * x, people.net[model].value) for model, x in figures if model in people.net and pd.notna(x)
        ]
        if len(both) >= 3:  # two always agree or disagree completely
            rows.append((name, spearmanr(*zip(*both, strict=True)).statistic, len(both)))
    return pd.DataFrame(rows, columns=["figure", "rank correlation", "models"])


def _at(data: Any, path: tuple[str, ...]) -> float | None:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, int | float) else None
