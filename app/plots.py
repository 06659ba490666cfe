"""Plotly figures in the look of the pages, light and dark."""

from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import pandas as pd
import plotly.graph_objects as go

from app.models import DESCRIPTIONS
from app.runs import Run

GREY = "#7c8798"  # reads on white and on black
COLOURS = ("#0d9488", "#d97706", "#6366f1", "#dc2626", "#65a30d", "#c026d3", "#0284c7", "#92400e")
OTHER_COLOURS = ("#64748b", "#ec4899", "#a16207")  # of what is not in the box
SMOOTH = 5  # logged updates in a running mean


def colour_of(model: str) -> str:
    """The same on every page."""
    names = list(DESCRIPTIONS)
    if model in names:
        return COLOURS[names.index(model)]
    return OTHER_COLOURS[crc32(model.encode()) % len(OTHER_COLOURS)]


def blank(x: str, y: str) -> go.Figure:
    """Axes with their titles, on whatever background the page has; `y` stands above, where there is room for it."""
    figure = go.Figure()
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=COLOURS,
        height=400,
        font={"color": GREY, "family": "system-ui, sans-serif"},
        margin={"l": 48, "r": 16, "t": 64, "b": 48},
        title={"text": y, "font": {"size": 14}, "x": 0, "xref": "paper", "y": 0.95, "yanchor": "top"},
        legend={"orientation": "h", "y": -0.25},
        hovermode="closest",
    )
    figure.update_xaxes(title=x, gridcolor="rgba(124,135,152,.25)", zeroline=False)
    figure.update_yaxes(gridcolor="rgba(124,135,152,.25)", zeroline=False, automargin=True)
    return figure


def terms(runs: Sequence[Run]) -> list[str]:
    """Everything that they logged; what most of them have comes first, the gradient's norm last."""
    logged = Counter(term for run in runs for term in {key for line in run.lines() for key in line})
    names = set(logged) - {"step", "seconds"}
    return sorted(names, key=lambda name: (name == "grad_norm", -logged[name], name))


def curves(runs: Sequence[Run], term: str, over: str) -> go.Figure:
    """A term of the loss, unweighted, over `step` or `seconds`: running means, the values themselves faint behind."""
    figure = blank({"step": "updates", "seconds": "minutes of training"}[over], term)
    for run in runs:
        colour = colour_of(run.name)
        table = pd.DataFrame(run.curve(term, over), columns=["x", "y"])
        if table.empty:
            continue
        x = table["x"] / 60 if over == "seconds" else table["x"]
        mean = table["y"].rolling(SMOOTH, min_periods=1).mean()
        figure.add_scatter(
            x=x,
            y=table["y"],
            mode="lines",
            line={"color": colour, "width": 1},
            opacity=0.3,
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(x=x, y=mean, name=run.name, mode="lines", line={"color": colour, "width": 2})
    return figure
