"""The paper's claims, each with what was found here: a sentence, a verdict, an interval, a figure."""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from app.look.plots import GREY, blank, colour_of
from app.look.words import counted
from e2ed2.assets import RESULTS
from e2ed2.evaluation.report.ablations import loss_findings, sharing_findings
from e2ed2.evaluation.report.claims import equal_ratio
from e2ed2.evaluation.report.ratios import WORDS, Verdict, judge_below, times


@dataclass(frozen=True)
class Claim:
    source: str  # where the paper says it
    text: str
    verdict: Verdict
    found: str  # figures with their intervals

    @property
    def said(self) -> str:
        return WORDS[self.verdict].removeprefix("the claim ").capitalize()


def claims(results: Path = RESULTS) -> list[Claim]:
    """Those for which there is something to say."""
    return [*end_to_end(experiment("equal_work", results)), *ablations(experiment("ablations", results))]


def experiment(name: str, results: Path = RESULTS) -> dict:
    """What an experiment over seeds found; nothing where it was not made."""
    file = results / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def end_to_end(found: dict) -> list[Claim]:
    """One claim for each loss: what holds for one need not hold for another."""
    return [
        Claim(
            "Fig. 1",
            f"Training end to end beats training single steps (loss {loss})",
            judge_below(ratio := equal_ratio(result["arms"], "4")),
            f"For the same work, four steps trained end to end have {times(ratio, 2)} the distance to drawings"
            + over(result),
        )
        for loss, result in found.items()
    ]


def ablations(found: dict) -> list[Claim]:
    """What Fig. 3 and 4 say, each sentence by itself."""
    return [
        Claim(
            source,
            finding.claim,
            finding.verdict,
            (finding.figure[0].upper() + finding.figure[1:]).replace("`", "") + over(found),
        )
        for source, findings in (("Fig. 3", loss_findings(found)), ("Fig. 4", sharing_findings(found)))
        for finding in findings
    ]


def over(found: dict) -> str:
    """How sure an experiment's figures are."""
    return f" (95% interval, {counted(len(found['settings']['seeds']), 'seed')})."


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
