"""The paper's claims, each with what was found here: a sentence, a verdict, an interval, a figure."""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from app.look.plots import GREY, blank, colour_of
from app.look.words import counted
from e2ed2.assets import CHECKPOINTS, RESULTS
from e2ed2.evaluation.report.claims import LADDER, PAPER, equal_ratio, judged, lower, sharing_ratios

FD = "distance to real drawings (FD)"
HOLDS, NOT, OPEN = "holds", "not", "open"
TRAINED = "train"  # the split on which every model is measured


@dataclass(frozen=True)
class Claim:
    source: str  # where the paper says it
    text: str
    verdict: str  # HOLDS, NOT or OPEN
    said: str  # the verdict in words
    found: str  # figures with their intervals


def claims(table: pd.DataFrame, results: Path = RESULTS, checkpoints: Path = CHECKPOINTS) -> list[Claim]:
    """Those for which there is something to say."""
    return [*end_to_end(equal_work(results)), *losses(table), *sharing(checkpoints)]


def equal_work(results: Path) -> dict:
    file = results / "equal_work.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def end_to_end(found: dict) -> list[Claim]:
    """One claim for each loss: what holds for one need not hold for another."""
    claims = []
    for loss, result in found.items():
        ratio, low, high = equal_ratio(result["arms"], "4")
        seeds = counted(len(result["settings"]["seeds"]), "seed")
        claims.append(
            Claim(
                "Fig. 1",
                f"Training end to end beats training single steps (loss {loss})",
                HOLDS if high < 1 else NOT if low > 1 else OPEN,
                judged(low, high).removeprefix("the claim ").capitalize(),
                f"For the same work, four steps trained end to end have {ratio:.2f} times the distance to drawings "
                f"({low:.2f} to {high:.2f}, 95% interval, {seeds}).",
            )
        )
    return claims


def losses(table: pd.DataFrame) -> list[Claim]:
    part = table[(table["split"] == TRAINED) & (table["steps"] == 4)].dropna(subset=[FD]) if len(table) else table
    fd = dict(zip(part["model"], part[FD], strict=True)) if len(part) else {}
    ladder = [f"{name} {fd[name]:.1f}" for name in LADDER if name in fd]
    if len(ladder) < 2:
        return []
    return [
        Claim(
            "Fig. 3",
            PAPER["Fig. 3"][0].upper() + PAPER["Fig. 3"][1:],
            OPEN,
            "Inconclusive",
            f"Distance to real drawings at four steps: {', '.join(ladder)}. One training each, so there is no interval,"
            " and a small difference says nothing.",
        )
    ]


def sharing(checkpoints: Path) -> list[Claim]:
    found = sharing_ratios(checkpoints / "independent", checkpoints / "shared-twin")
    if not found:
        return []
    ratios = "; ".join(
        f"{term} of independent steps is {ratio:.3f} times that of shared ones "
        f"({low:.3f} to {high:.3f}): {lower(low, high)}"
        for term, (ratio, low, high), _ in found
    )
    said = PAPER["Fig. 4"]
    return [Claim("Fig. 4", said[0].upper() + said[1:], OPEN, "Inconclusive", f"One pair of trainings: {ratios}.")]


def page(found: list[Claim]) -> str:
    """HTML: a card for each."""
    return f'<div class="claims">{"".join(map(_card, found))}</div>'


def _card(claim: Claim) -> str:
    return (
        f'<article><p class="verdict {claim.verdict}">{escape(claim.said)}</p><h3>{escape(claim.text)}</h3>'
        f"<p>{escape(claim.found)}</p><p class='source'>The paper’s {escape(claim.source)}</p></article>"
    )


def ratios_plot(found: dict) -> go.Figure | None:
    """Both trainings' distance at each number of steps as a ratio, with intervals; below 1, the claim holds."""
    if not found:
        return None
    figure = blank("times its distance to drawings", "End to end against single steps,<br>for the same work")
    steps: list[str] = []
    for number, (loss, result) in enumerate(found.items()):
        steps = list(result["arms"]["single-step"])
        ratios = [equal_ratio(result["arms"], one) for one in steps]
        figure.add_scatter(
            x=[ratio for ratio, _, _ in ratios],
            y=[place + 0.25 * number for place in range(len(steps))],
            name=f"loss {loss}",
            mode="markers",
            marker={"size": 10, "color": colour_of(loss)},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - ratio for ratio, _, high in ratios],
                "arrayminus": [ratio - low for ratio, low, _ in ratios],
                "color": colour_of(loss),
            },
            hovertemplate="%{x:.2f}",
        )
    figure.add_vline(x=1, line={"color": GREY, "dash": "dot"})
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(steps))), ticktext=[counted(int(one), "step") + "  " for one in steps]
    )
    return figure.update_layout(height=360, margin_b=88)
