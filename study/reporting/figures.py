"""Figures of a study's results: one look for all, light and dark.

Every function takes results (and a look) and gives a plotly figure with a transparent background.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from study.stats.analysis import Analysis
from study.stats.answers import own_ms
from study.stats.evalues import Evidence
from study.stats.intervals import Estimate

ROW = 38  # pixels for a row of a chart
PERCENT = {"tickvals": [0, 25, 50, 75, 100], "ticktext": ["0%", "25%", "50%", "75%", "100%"]}


@dataclass(frozen=True)
class Look:
    """Colours, as CSS has them."""

    text: str
    quiet: str
    grid: str
    tie: str
    series: tuple[str, ...]
    """Told apart by people who see no red or no green, too."""


LIGHT = Look("#0f172a", "#475569", "#e2e8f0", "#cbd5e1", ("#0f766e", "#c2410c", "#6d28d9", "#0369a1", "#a16207"))
DARK = Look("#e2e8f0", "#94a3b8", "#334155", "#475569", ("#2dd4bf", "#fb923c", "#c4b5fd", "#7dd3fc", "#facc15"))
LOOKS = {"light": LIGHT, "dark": DARK}


def _figure(look: Look, rows: int = 0, height: int = 320, **layout) -> go.Figure:
    figure = go.Figure()
    axis = {
        "gridcolor": look.grid,
        "zerolinecolor": look.grid,
        "linecolor": look.grid,
        "automargin": True,
        "fixedrange": True,
        "title": {"standoff": 8},
    }
    figure.update_layout(
        height=rows * ROW + 110 if rows else height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13, "color": look.text},
        colorway=look.series,
        margin={"l": 8, "r": 24, "t": 36 if layout.get("showlegend", True) else 12, "b": 8},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        xaxis=axis,
        yaxis=axis,
        hoverlabel={"font": {"family": "system-ui, sans-serif"}},
        dragmode=False,
    )
    figure.update_layout(**layout)
    return figure


def outcomes(analysis: Analysis, names: dict[str, str], look: Look) -> go.Figure:
    """Share of answers for each arm and for a tie, one bar for each question and pair of arms."""
    bars = [
        (_row(names[key], p.arm, p.other, len(q.preferences)), p)
        for key, q in analysis.questions.items()
        for p in q.preferences
        if p.wins + p.ties + p.losses
    ]
    labels = [label for label, _ in bars]
    one = len({(p.arm, p.other) for _, p in bars}) == 1
    first, second = (bars[0][1].arm, bars[0][1].other) if one else ("first named", "second named")
    parts = ((first, look.series[0], "wins"), ("tie", look.tie, "ties"), (second, look.series[1], "losses"))
    figure = _figure(look, len(bars), barmode="stack", bargap=0.35, uniformtext={"minsize": 10, "mode": "hide"})
    for name, colour, field in parts:
        counts = np.array([getattr(p, field) for _, p in bars])
        shares = 100 * counts / np.array([p.wins + p.ties + p.losses for _, p in bars])
        figure.add_bar(
            x=shares,
            y=labels,
            orientation="h",
            name=name,
            marker_color=colour,
            customdata=counts,
            cliponaxis=False,
            text=[f"{share:.0f}%" if share >= 8 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont_color=look.text if name == "tie" else ("white" if look is LIGHT else "#0f172a"),
            hovertemplate="%{y}<br>" + name + ": %{x:.1f}% (%{customdata} answers)<extra></extra>",
        )
    figure.update_xaxes(range=[0, 100.001], **PERCENT, showgrid=False)  # a bar beyond the end would lose its label
    figure.update_yaxes(autorange="reversed")
    return figure


def win_rates(analysis: Analysis, names: dict[str, str], look: Look) -> go.Figure:
    """Win rate (a tie is half a win) with its 95% interval, one row for each question and pair of arms."""
    rows = [
        (_row(names[key], p.arm, p.other, len(q.preferences)), p.win_rate_ties_half)
        for key, q in analysis.questions.items()
        for p in q.preferences
    ]
    figure = _figure(look, len(rows), showlegend=False)
    _intervals(figure, rows, look, "", look.series[0], percent=True)
    _middle(figure, 50, look)
    figure.update_xaxes(range=[0, 100], **PERCENT, title_text="win rate")
    return figure


def strengths(analysis: Analysis, names: dict[str, str], look: Look) -> go.Figure:
    """Davidson's log strengths with 95% intervals, one row for each arm, one colour for each question."""
    ranked = {key: q.ranking for key, q in analysis.questions.items() if q.ranking}
    order = list(next(iter(ranked.values())).strengths)
    figure = _figure(look, len(order) * max(1, len(ranked) // 2) + 1)
    for i, (key, ranking) in enumerate(ranked.items()):
        rows = [(arm, ranking.strengths[arm]) for arm in order]
        _intervals(figure, rows, look, names[key], look.series[i % 5], offset=_offset(i, len(ranked)))
    _middle(figure, 0, look)
    figure.update_xaxes(title_text="log odds")
    _rows(figure, order)
    return figure


def categories(analysis: Analysis, names: dict[str, str], look: Look) -> go.Figure:
    """Win rate within each category of prompts: first pair of arms, one colour for each question."""
    answered = {key: q for key, q in analysis.questions.items() if q.categories}
    labels = sorted({name for q in answered.values() for name in q.categories})
    figure = _figure(look, len(labels) * max(1, len(answered) // 2) + 1)
    for i, (key, q) in enumerate(answered.items()):
        rows = [(name, q.categories[name][0].win_rate_ties_half) for name in labels if name in q.categories]
        _intervals(figure, rows, look, names[key], look.series[i % 5], True, _offset(i, len(answered)), labels)
    _middle(figure, 50, look)
    figure.update_xaxes(range=[0, 100], **PERCENT, title_text="win rate")
    _rows(figure, labels)
    return figure


def agreement(analysis: Analysis, names: dict[str, str], look: Look) -> go.Figure:
    """Krippendorff's alpha between raters for each question, and between the questions of one rater for each mode."""
    rows = [(f"raters: {names[key]}", q.agreement.alpha) for key, q in analysis.questions.items()]
    rows += [(f"questions, {mode}", part.alpha) for mode, part in analysis.halo.items()]
    figure = _figure(look, len(rows), showlegend=False)
    _intervals(figure, rows, look, "", look.series[0])
    _middle(figure, 0, look)
    lowest = min([0.0, *(e.interval.low for _, e in rows if np.isfinite(e.value))])
    figure.update_xaxes(range=[lowest - 0.05, 1.02], title_text="Krippendorff’s alpha")
    return figure


def response_times(answers: pd.DataFrame, limit_ms: float | None, look: Look) -> go.Figure:
    """How long the answers took, on a log scale; and the rule's limit on a rater's median."""
    seconds = np.maximum(own_ms(answers).to_numpy(float), 10) / 1000
    counts, edges = np.histogram(np.log10(seconds), bins=36)
    figure = _figure(look, showlegend=False, bargap=0.05)
    middle = 10 ** ((edges[1:] + edges[:-1]) / 2)
    figure.add_bar(
        x=np.log10(middle),
        y=counts,
        marker_color=look.series[0],
        customdata=middle,
        hovertemplate="about %{customdata:.2g} s: %{y} answers<extra></extra>",
    )
    if limit_ms:
        figure.add_vline(
            x=float(np.log10(limit_ms / 1000)),
            line={"color": look.series[1], "dash": "dash"},
            annotation={"text": "limit", "font": {"color": look.series[1]}},
        )
    marks = np.array([0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000])
    marks = marks[(marks >= 10 ** edges[0]) & (marks <= 10 ** edges[-1])]
    figure.update_xaxes(
        tickvals=np.log10(marks), ticktext=[f"{mark:g} s" for mark in marks], title_text="time to answer"
    )
    figure.update_yaxes(title_text="answers")
    return figure


def progress(answers: pd.DataFrame, look: Look) -> go.Figure:
    """Answers so far, over time."""
    times = pd.to_datetime(answers["time"], utc=True, format="ISO8601").sort_values()
    keep = np.unique(np.linspace(0, len(times) - 1, 400).astype(int))
    figure = _figure(look, showlegend=False)
    figure.add_scatter(
        x=times.iloc[keep],
        y=keep + 1,
        mode="lines",
        line={"color": look.series[0], "shape": "hv", "width": 2},
        hovertemplate="%{x|%d %b %H:%M}: %{y} answers<extra></extra>",
    )
    figure.update_yaxes(title_text="answers", rangemode="tozero")
    return figure


def evidence(evidences: dict[str, Evidence], names: dict[str, str], alpha: float, look: Look) -> go.Figure:
    """The e-value after each rater, on a log scale, and where it is enough."""
    figure = _figure(look)
    for key, e in evidences.items():
        figure.add_scatter(
            x=np.arange(len(e.path) + 1),
            y=(1.0, *e.path),
            mode="lines",
            name=names[key],
            line={"width": 2},
            hovertemplate="%{x} raters: %{y:.3g}<extra>" + names[key] + "</extra>",
        )
    last = max(len(e.path) for e in evidences.values())
    figure.add_scatter(
        x=[0, last],
        y=[1 / alpha] * 2,
        mode="lines",
        name=f"enough: {1 / alpha:g}",
        hoverinfo="skip",
        line={"color": look.quiet, "dash": "dash", "width": 1},
    )
    figure.update_xaxes(title_text="raters who finished", rangemode="tozero", dtick=max(1, last // 8))
    decades = int(np.log10(max(1 / alpha, *(e.highest for e in evidences.values()))))
    figure.update_yaxes(type="log", title_text="e-value", exponentformat="power", dtick=max(1, decades // 6))
    return figure


def _row(question: str, arm: str, other: str, pairs: int) -> str:
    return question if pairs == 1 else f"{question}<br>{arm} : {other}"


def _offset(i: int, count: int) -> float:
    """Where a series sits in its row, so that intervals lie beside one another."""
    return (i - (count - 1) / 2) * 0.22


def _intervals(
    figure: go.Figure,
    rows: Iterable[tuple[str, Estimate]],
    look: Look,
    name: str,
    colour: str,
    percent: bool = False,
    offset: float = 0.0,
    order: list[str] | None = None,
) -> None:
    """Dots with whiskers. Unknown figures leave their row empty."""
    rows = list(rows)
    scale, unit = (100, "%") if percent else (1, "")
    labels = order or [label for label, _ in rows]
    known = [(labels.index(label), label, e) for label, e in rows if np.isfinite(e.value)]
    value, low, high = (
        np.array([scale * pick(e) for _, _, e in known])
        for pick in (lambda e: e.value, lambda e: e.interval.low, lambda e: e.interval.high)
    )
    digits = ".1f" if percent else ".2f"
    figure.add_scatter(
        x=value,
        y=[i + offset for i, _, _ in known],
        mode="markers",
        name=name,
        marker={"size": 10, "color": colour},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high - value,
            "arrayminus": value - low,
            "color": colour,
            "thickness": 2,
            "width": 5,
        },
        customdata=[
            f"{label}: {v:{digits}}{unit} ({a:{digits}} to {b:{digits}}), {e.n} answers"
            for (_, label, e), v, a, b in zip(known, value, low, high, strict=True)
        ],
        hovertemplate="%{customdata}<extra>" + name + "</extra>",
    )
    _rows(figure, labels)


def _rows(figure: go.Figure, labels: list[str]) -> None:
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.4, -0.6], zeroline=False
    )


def _middle(figure: go.Figure, x: float, look: Look) -> None:
    figure.add_vline(x=x, line={"color": look.quiet, "width": 1, "dash": "dot"})
