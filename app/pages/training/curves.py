"""Trainings' loss curves."""

from collections import Counter
from collections.abc import Sequence
from textwrap import wrap

import pandas as pd
import plotly.graph_objects as go

from app.engine.runs import Run
from app.look.plots import blank, colour_of, with_legend

BESIDE = ("loss", "held_out", "discriminator", "grad_norm", "lr")  # logged values that are no terms of the loss
MEANINGS = {
    "l1": "absolute error",
    "l2": "squared error",
    "lpips": "difference to the eye",
    "loss": "everything that is minimised, with its weights",
    "held_out": "loss on pictures that are not trained on",
    "discriminator": "loss of the critic itself",
    "grad_norm": "size of the gradient",
    "lr": "learning rate",
}
LINE = 36  # characters
SMOOTH = 5  # logged updates in a running mean


def terms(runs: Sequence[Run]) -> list[str]:
    """The names of all logged values: loss terms first, those of most runs before others; then `BESIDE`."""
    logged = Counter(name for run in runs for name in {name for line in run.lines() for name in line.names()})
    return sorted(logged, key=lambda name: (BESIDE.index(name) + 1 if name in BESIDE else 0, -logged[name], name))


def curves(runs: Sequence[Run], term: str, over: str) -> go.Figure:
    """One value, over `update` or `seconds`: running means, the values themselves faint behind.

    Dotted, beside `loss`: the loss on held-out pictures.
    """
    figure = blank({"update": "updates", "seconds": "minutes of training"}[over], title_of(term))
    for run in runs:
        line = {"color": colour_of(run.name), "width": 2}
        table = table_of(run, term, over)
        if table.empty:
            continue
        mean = table["y"].rolling(SMOOTH, min_periods=1).mean()
        faint = {"line": line | {"width": 1}, "opacity": 0.3, "showlegend": False, "hoverinfo": "skip"}
        figure.add_scatter(x=table["x"], y=table["y"], mode="lines", **faint)
        figure.add_scatter(x=table["x"], y=mean, name=run.name, mode="lines", line=line)
        held_out = table_of(run, "held_out", over)
        if term == "loss" and not held_out.empty:
            dotted = {"name": f"{run.name}, held out", "mode": "lines+markers", "line": line | {"dash": "dot"}}
            figure.add_scatter(x=held_out["x"], y=held_out["y"], **dotted)
    return with_legend(figure)


def title_of(term: str) -> str:
    """`l2` => `l2: squared error`, since a model may have the same name as a value; in lines that fit a phone."""
    return "<br>".join(wrap(f"{term}: {MEANINGS[term]}", LINE)) if term in MEANINGS else term


def table_of(run: Run, name: str, over: str) -> pd.DataFrame:
    table = pd.DataFrame(run.curve(name, over), columns=["x", "y"])
    return table.assign(x=table["x"] / 60) if over == "seconds" else table
