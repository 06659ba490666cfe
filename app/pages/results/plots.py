"""The Results page's plots."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.look.plots import GREY, blank, colour_of, with_legend
from app.pages.results.figures import MEASURES, VARIETY, Preferences, ceilings, interval

LINE = 16  # px; the height of a line of text


def plot(table: pd.DataFrame, split: str | None, measure: str, against: str) -> go.Figure | None:
    """A line for each model, with a mark for each number of steps; if there is only one number, a list of models.

    Lines through the marks are 95% intervals; dotted lines show real drawings, and drawings through the codec.
    """
    part = table[table["split"] == split].dropna(subset=[measure, against]) if len(table) else table
    if part.empty:
        return None
    limits = ceilings(split, measure)
    if not part["model"].duplicated().any():
        return _dots(part, measure, limits)
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
            error_y=_errors(rows, measure, thin=True),
            hovertemplate="%{text} steps: %{y:.3g}",
        )
    for place, (name, value) in enumerate(sorted(limits.items(), key=lambda limit: -limit[1])):
        figure.add_hline(y=value, **_marked(name), annotation_position="bottom right" if place else "top right")
    if against == "steps":
        counts = sorted({str(int(count)) for count in part["steps"]}, key=int)  # evenly spaced, since 50 is far from 4
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=counts)
    return with_legend(figure)


def _dots(part: pd.DataFrame, measure: str, limits: dict[str, float]) -> go.Figure:
    ordered = part.sort_values(measure, ascending=MEASURES[measure].better > 0)
    arrow = "more is better" if MEASURES[measure].better > 0 else "less is better"
    figure = blank("", f"{measure}<br>{arrow}")
    figure.add_scatter(
        x=ordered[measure],
        y=ordered["model"],
        mode="markers",
        marker={"size": 11, "color": [colour_of(str(model)) for model in ordered["model"]]},
        error_x=_errors(ordered, measure) | {"color": GREY},
        hovertemplate="%{y}: %{x:.3g}",
    )
    middle = max([*ordered[measure], *limits.values()]) / 2
    for place, (name, value) in enumerate(limits.items()):  # their names one above the other, towards the middle
        figure.add_vline(
            x=value,
            **_marked(name),
            annotation_xanchor="right" if value > middle else "left",
            annotation_yanchor="bottom",
            annotation_yshift=LINE * place,
        )
    figure.update_yaxes(ticksuffix="  ").update_xaxes(rangemode="tozero")
    above = 64 + LINE * len(limits)
    return figure.update_layout(height=68 + above + 32 * len(ordered), margin_t=above, margin_b=32)


def _marked(name: str) -> dict[str, Any]:
    """The look of a line across the plot that has this name."""
    return {"line": {"color": GREY, "dash": "dot"}, "annotation": {"text": name, "font_color": GREY}}


def _errors(rows: pd.DataFrame, measure: str, thin: bool = False) -> dict[str, Any]:
    """The intervals as Plotly's error bars."""
    intervals = [interval(row, measure) for row in rows.to_dict("records")]
    return {
        "type": "data",
        "visible": any(high > low for low, high in intervals),
        "symmetric": False,
        "array": [high - value for (_, high), value in zip(intervals, rows[measure], strict=True)],
        "arrayminus": [value - low for (low, _), value in zip(intervals, rows[measure], strict=True)],
        "thickness": 1 if thin else 2,
        "width": 0 if thin else 5,
    }


def variety_plot(table: pd.DataFrame) -> go.Figure | None:
    """A bar for each model at the most steps measured; its captions belong to no split."""
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
