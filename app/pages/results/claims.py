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
from e2ed2.evaluation.report.claims import PAPER, QUESTION, equal_ratios
from e2ed2.evaluation.report.ratios import ANSWERS, DISTANCES, WORDS, Verdict, judge_nearer, times_each

SYMBOLS = {"kid": "circle", "fd": "circle-open"}
HINT = (
    "KID and FD are distances to real drawings: less is better. “0.50 times” is half the distance, and so better; "
    "“1.12 times” is a larger one, and so worse."
)


@dataclass(frozen=True)
class Claim:
    source: str  # where the paper says it
    text: str
    verdict: Verdict
    found: str  # figures with their intervals
    question: str = ""  # our question, if figures cannot judge the paper's sentence itself

    @property
    def answer(self) -> str:
        words = ANSWERS if self.question else WORDS
        return words[self.verdict].removeprefix("the claim ").capitalize()


def claims(results: Path = RESULTS) -> list[Claim]:
    """All claims on which there are findings."""
    return [*end_to_end(experiment("equal_work", results)), *ablations(experiment("ablations", results))]


def experiment(name: str, results: Path = RESULTS) -> dict:
    """The findings of an experiment over seeds; empty if it was not run."""
    file = results / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def end_to_end(found: dict) -> list[Claim]:
    """A claim for each loss, since what holds for one need not hold for another."""
    return [
        Claim(
            "abstract and Fig. 1, in our words",
            f"{sentence(PAPER['abstract'])}. Fig. 1 shows {PAPER['Fig. 1']}.",
            judge_nearer(ratios := equal_ratios(result["arms"], "4")),
            f"Four steps trained end to end have {times_each(ratios, 2)}, two distances to drawings, "
            f"of which less is better{over(result)}",
            f"{QUESTION} (loss {loss})?",
        )
        for loss, result in found.items()
    ]


def ablations(found: dict) -> list[Claim]:
    """The statements of Fig. 3 and 4, one claim each."""
    return [
        Claim(
            source,
            finding.claim,
            finding.verdict,
            sentence(finding.figure).replace("`", "") + over(found),
        )
        for source, findings in (("Fig. 3", loss_findings(found)), ("Fig. 4", sharing_findings(found)))
        for finding in findings
    ]


def sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def over(found: dict) -> str:
    """How certain an experiment's figures are."""
    return f" (95% interval, {counted(len(found['settings']['seeds']), 'seed')})."


def page(found: list[Claim]) -> str:
    """HTML with a hint and a card for each claim; empty without claims."""
    if not found:
        return ""
    return f'<div class="hint"><p>{HINT}</p></div><div class="claims">{"".join(map(_card, found))}</div>'


def _card(claim: Claim) -> str:
    """A claim as its heading, or, if we ask something else, that question below the paper's words."""
    source = f"The paper’s {escape(claim.source)}"
    if claim.question:
        above, heading, below = f"{source}: {escape(claim.text)}", f"We ask: {escape(claim.question)}", ""
    else:
        above, heading, below = "", escape(claim.text), source
    return (
        f'<article><p class="verdict {claim.verdict}">{escape(claim.answer)}</p>{_muted(above)}<h3>{heading}</h3>'
        f"<p>{escape(claim.found)}</p>{_muted(below)}</article>"
    )


def _muted(text: str) -> str:
    return f"<p class='source'>{text}</p>" if text else ""


def ratios_plot(found: dict) -> go.Figure | None:
    """Both trainings' distances at each number of steps as ratios, with intervals; below 1, end to end is nearer."""
    if not found:
        return None
    figure = blank(
        "times the distance of single steps<br>(below 1 is better: nearer drawings)",
        "End to end against single steps,<br>for the same work",
    )
    steps: list[str] = []
    series = [(loss, key) for loss in found for key in DISTANCES]
    for number, (loss, key) in enumerate(series):
        arms = found[loss]["arms"]
        steps = list(arms["single-step"])
        ratios = [equal_ratios(arms, one)[key] for one in steps]
        figure.add_scatter(
            x=[ratio for ratio, _, _ in ratios],
            y=[place + 0.6 * number / len(series) for place in range(len(steps))],
            name=f"loss {loss}, {DISTANCES[key]}",
            mode="markers",
            marker={"size": 10, "color": colour_of(loss), "symbol": SYMBOLS[key]},
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
    return figure.update_layout(height=460, margin_b=96, legend_y=-0.3)
