"""The loss curves of trainings."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from app.engine.runs import Run
from app.look.plots import blank, colour_of

SMOOTH = 5  # logged updates in a running mean


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
