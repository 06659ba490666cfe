"""Evaluation files as one table, their plots, and how they agree with what people prefer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go
from scipy.stats import spearmanr

from app.look.plots import GREY, blank, colour_of
from e2ed2.assets import RESULTS
from e2ed2.evaluation.results import asked
from study.store.visitors import Chosen

FOLDER = RESULTS
SPLITS = {
    "combo": "known things in a style not seen",
    "concept": "things never seen",
    "train": "training captions",
    "visitor": "visitors' own words, as they are",
    "visitor, read": "visitors' own words, read as captions",
    "everyday": "everyday words, as they are",
    "everyday, read": "everyday words, read as captions",
}


@dataclass(frozen=True)
class Measure:
    name: str
    path: tuple[str, ...]  # in an evaluation file
    better: int  # 1: more is better, -1: less is


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("distance to real drawings (FD)", ("distance", "fd"), -1),
        Measure("distance to real drawings (KID)", ("distance", "kid"), -1),
        Measure("precision", ("distance", "precision"), 1),
        Measure("recall", ("distance", "recall"), 1),
        Measure("right thing, first guess", ("alignment", "top1"), 1),
        Measure("right thing, five guesses", ("alignment", "top5"), 1),
        Measure("right style", ("alignment", "style"), 1),
        Measure("variety (1: as varied as the artists)", ("diversity_ratio",), 1),
        Measure("distance to the nearest training drawing", ("nearest_training_lpips",), 1),
    )
}
VARIETY = "variety (1: as varied as the artists)"
GFLOP, SECONDS = "GFLOP a picture", "seconds a picture"


class Net(NamedTuple):
    """Share of pairs won less share lost, in [-1, 1]."""

    value: float
    low: float  # 95% interval
    high: float


@dataclass(frozen=True)
class Preferences:
    """What people said of the bundled models: a plain table, so that this page knows nothing of how votes are kept."""

    net: Mapping[str, Net]  # by model
    votes: int
    steps: int = 4  # that all pictures of the study took


def read(folder: Path = FOLDER) -> pd.DataFrame:
    """A row for each file; a figure that a file lacks is empty, and a file that is no evaluation is left out."""
    rows = []
    for file in sorted(folder.glob("*.json")):
        try:
            data = json.loads(file.read_text())
            given = data["settings"]
            settings = {"model": given["model"], "steps": given["steps"], "split": asked(given)}
        except (ValueError, KeyError, TypeError):
            continue
        figures = {name: _at(data, measure.path) for name, measure in MEASURES.items()}
        costs = {GFLOP: _at(data, ("cost", "gflop")), SECONDS: _at(data, ("cost", "seconds"))}
        rows.append(settings | figures | costs | {"pictures": _at(data, ("choices", "images"))})
    return pd.DataFrame(rows)


def splits(table: pd.DataFrame) -> list[tuple[str, str]]:
    """What a visitor reads, and the value."""
    found = sorted(set(table["split"])) if len(table) else []
    return [(SPLITS.get(name, name), name) for name in found]


def shown(table: pd.DataFrame, split: str | None) -> str:
    """One split as an HTML table; columns without a figure are left out."""
    if table.empty:
        return ""
    part = table[table["split"] == split].drop(columns="split").sort_values(["model", "steps"])
    return html_table(part.dropna(axis=1, how="all"))


def html_table(table: pd.DataFrame) -> str:
    """It scrolls by itself on a narrow screen, also by keys."""
    numbers = table.to_html(
        index=False, border=0, classes="figures", na_rep="", float_format=lambda value: f"{value:.3g}"
    )
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Figures">{numbers}</div>'


def plot(table: pd.DataFrame, split: str | None, measure: str, against: str) -> go.Figure | None:
    """A line for each model; the marks are its numbers of steps."""
    part = table[table["split"] == split].dropna(subset=[measure, against]) if len(table) else table
    if part.empty:
        return None
    arrow = "more is better" if MEASURES[measure].better > 0 else "less is better"
    figure = blank(against, f"{measure}<br>{arrow}")
    for model, rows in part.sort_values("steps").groupby("model"):
        figure.add_scatter(
            x=rows[against],
            y=rows[measure],
            name=str(model),
            mode="lines+markers",
            text=rows["steps"],
            line={"color": colour_of(str(model))},
            hovertemplate="%{text} steps: %{y:.3g}",
        )
    if against == "steps":
        counts = sorted({str(int(count)) for count in part["steps"]}, key=int)  # evenly spaced: 50 is far from 4
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=counts)
    return figure


def variety_plot(table: pd.DataFrame) -> go.Figure | None:
    """A bar for each model at the most steps that were measured; its captions are those of no split."""
    part = table.dropna(subset=[VARIETY]) if len(table) else table
    if part.empty:
        return None
    most = part.sort_values("steps").groupby("model").tail(1).sort_values(VARIETY)
    figure = blank("1: as varied as the artists", "variety")
    figure.add_bar(
        x=most[VARIETY],
        y=most["model"],
        orientation="h",
        text=most[VARIETY].map("{:.2f}".format),
        marker_color=[colour_of(model) for model in most["model"]],
    )
    figure.add_vline(x=1, line={"color": GREY, "dash": "dot"})
    return figure.update_yaxes(ticksuffix="  ").update_layout(height=160 + 32 * len(most), margin_b=64)


def agreement(table: pd.DataFrame, split: str | None, people: Preferences) -> pd.DataFrame:
    """Rank correlation over models of each figure, turned so that more is better, with what people prefer."""
    rows = []
    part = table[(table["split"] == split) & (table["steps"] == people.steps)] if len(table) else table
    for name, measure in MEASURES.items():
        figures = zip(part["model"], part[name], strict=True) if len(part) else ()
        both = [
            (measure.better * x, people.net[model].value) for model, x in figures if model in people.net and pd.notna(x)
        ]
        if len(both) >= 3:  # two always agree or disagree wholly
            rows.append((name, spearmanr(*zip(*both, strict=True)).statistic, len(both)))
    return pd.DataFrame(rows, columns=["figure", "rank correlation", "models"])


def chosen_table(chosen: Sequence[Chosen]) -> str:
    """The better of the two first."""
    ordered = [one if one.wins >= one.losses else one.turned() for one in chosen]
    rows = [(one.arm, one.other, one.wins, one.ties, one.losses) for one in ordered]
    return html_table(
        pd.DataFrame(rows, columns=["one", "the other", "the one is better", "tie", "the other is better"])
    )


def preferences_plot(people: Preferences) -> go.Figure:
    figure = blank("net preference", "share of pairs won<br>less share lost")
    ordered = sorted(people.net.items(), key=lambda item: item[1].value)
    figure.add_bar(
        x=[one.value for _, one in ordered],
        y=[model for model, _ in ordered],
        orientation="h",
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [one.high - one.value for _, one in ordered],
            "arrayminus": [one.value - one.low for _, one in ordered],
            "color": GREY,
        },
    )
    return (
        figure.update_xaxes(range=[-1, 1]).update_yaxes(ticksuffix="  ").update_layout(height=120 + 32 * len(ordered))
    )


def _at(data: Any, path: tuple[str, ...]) -> float | None:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, int | float) else None
