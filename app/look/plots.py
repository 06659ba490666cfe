"""Plotly figures in the style of the pages, light and dark."""

from zlib import crc32

import plotly.graph_objects as go

from app.look.names import DESCRIPTIONS

GREY = "#7c8798"  # legible on white and on black
COLOURS = ("#0d9488", "#d97706", "#6366f1", "#dc2626", "#65a30d", "#c026d3", "#0284c7", "#92400e")
OTHER_COLOURS = ("#64748b", "#ec4899", "#a16207")  # for models that are not bundled
NARROW, PAIRED = 17, 84  # characters of a name, and px, with which a phone's legend has two names in a row


def colour_of(model: str) -> str:
    """A model's colour, the same on every page."""
    names = list(DESCRIPTIONS)
    if model in names:
        return COLOURS[names.index(model)]
    return OTHER_COLOURS[crc32(model.encode()) % len(OTHER_COLOURS)]


def blank(x: str, y: str) -> go.Figure:
    """An empty figure with axis titles and no background of its own; `y` is written above, where there is room."""
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


def with_legend(figure: go.Figure) -> go.Figure:
    """The figure with room for its names below, which on a phone take a row for each or for each two."""
    names = [trace.name for trace in figure.data if trace.name]
    if names and max(map(len, names)) <= NARROW:
        figure.update_layout(legend_entrywidth=PAIRED)
    return figure.update_layout(height=max(400, 320 + 20 * len(names)))
