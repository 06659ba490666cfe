"""The Results page: figures without people, and with them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
import pandas as pd

from app.engine.services import Services
from app.look.handlers import QUIET, UNCHECKED, Updates
from app.look.words import counted, list_of
from app.pages.results.figures import (
    GFLOP,
    MEASURES,
    SECONDS,
    Preferences,
    agreement,
    chosen_table,
    html_table,
    plot,
    preferences_plot,
    read,
    shown,
    splits,
    variety_plot,
)
from study.store.visitors import Chosen

NOTHING = (
    "No model has been measured yet. `python -m e2ed2 evaluate --model NAME --steps 4 --split combo --out "
    "assets/results/NAME-4-combo.json` measures one; this page then shows it."
)
NO_VOTES = "Nobody has voted on the bundled models yet. Be the first: the Study page leads you there."
FEWEST_VOTES = 30
TOO_FEW = f"{{}} so far: too few to compare models. The comparison is shown from {FEWEST_VOTES} on."
INTERVALS = "The lines are 95% intervals: models whose lines overlap may well be equally good."
FEW = "With fewer than three models that were both measured and voted on, there is nothing to correlate yet."
CHOSEN = (
    "<h3>Pairs that visitors chose</h3><p>On the Compare page, having seen the names: no random sample and no blind "
    "test, so these are counts and nothing more. They are in no other figure.</p>"
)
PREDICTS = (
    "<h3>How well each figure predicts it</h3><p>1: it ranks the models as people do; -1: the other way round.</p>"
)
AGAINST = [("steps", "steps"), ("computing", GFLOP), ("time", SECONDS)]


class ResultsPage:
    def __init__(
        self,
        services: Services,
        demo: gr.Blocks,
        people: Callable[[], Preferences | None],
        chosen: Callable[[], Sequence[Chosen]],
    ):
        self.models, self.people, self.chosen = services.models, people, chosen
        gr.Markdown(
            "# How good are they?\nEvery figure here was measured on this project's own models and drawings, "
            "with an encoder that no model was trained against."
        )
        self.said = gr.Markdown(label="Status")
        with gr.Column() as self.figures:
            self.lay_out_figures()
        self.lay_out_people()
        self.wire(demo)

    def lay_out_figures(self) -> None:
        with gr.Row():
            self.split = gr.Dropdown([], label="Asked for", min_width=180, scale=2)
            self.measure = gr.Dropdown(
                list(MEASURES), value=next(iter(MEASURES)), label="Figure", min_width=220, scale=3
            )
            self.against = gr.Radio(AGAINST, value="steps", label="Against", min_width=240, scale=3)
        self.plot = gr.Plot(label="Figure", show_label=False, elem_id="quality", visible=False)
        gr.Markdown(
            "## Variety\nFour pictures of one caption that names no style, against six artists' drawings of it."
        )
        self.variety = gr.Plot(label="Variety", show_label=False, elem_id="variety", visible=False)
        gr.Markdown("## All figures")
        self.table = gr.HTML(label="All figures", elem_id="table")
        gr.Markdown(
            "Seconds are those of the one machine, with two cores, that measured all; yours has others.",
            elem_classes="hint",
        )

    def lay_out_people(self) -> None:
        gr.Markdown("## What people prefer")
        self.votes = gr.Markdown(label="Votes", elem_id="votes")
        self.preferences = gr.Plot(label="What people prefer", show_label=False, visible=False)
        self.agreement = gr.HTML(label="How well each figure predicts it", visible=False)

        self.pairs = gr.HTML(label="Pairs that visitors chose", elem_id="chosen", visible=False)

    def wire(self, demo: gr.Blocks) -> None:
        picked = [self.split, self.measure, self.against]
        drawn = [self.plot, self.variety, self.table]
        people = [self.votes, self.preferences, self.agreement]
        opened = [self.said, self.figures, self.split, *drawn, *people, self.pairs]
        demo.load(self.open_page, None, opened, **QUIET)
        gr.on(
            [one.change for one in picked],
            self.draw,
            picked,
            drawn,
            **UNCHECKED,
        )
        gr.api(self.results_of, api_name="results")
        self.split.change(self.with_people, self.split, people, **UNCHECKED)

    def open_page(self) -> Updates:
        table, chosen = read(), self.chosen()
        offered = splits(table)
        split = "train" if "train" in [value for _, value in offered] else next((value for _, value in offered), None)
        return {
            self.said: self.absent(table) if offered else NOTHING,
            self.figures: gr.Column(visible=bool(offered)),
            self.split: gr.Dropdown(choices=offered, value=split),
            **self.draw(split, next(iter(MEASURES)), "steps"),
            **self.with_people(split),
            self.pairs: gr.HTML(CHOSEN + chosen_table(chosen), visible=bool(chosen)),
        }

    def absent(self, table: pd.DataFrame) -> str:
        names = sorted(set(table["model"]) - set(self.models.names()))
        return f"Measured, but not among the models here: {list_of(names, 'and')}." if names else ""

    def results_of(self, split: str) -> list[dict[str, Any]]:
        """Everything that was measured on one kind of prompts: a row for each model and number of steps."""
        table = read()
        offered = [value for _, value in splits(table)]
        if split not in offered:
            raise gr.Error(f"split must be one of {', '.join(offered)}.", print_exception=False)
        return json.loads(table[table["split"] == split].to_json(orient="records"))

    def draw(self, split: str | None, measure: str, against: str) -> Updates:
        if measure not in list(MEASURES) or against not in [value for _, value in AGAINST]:
            raise gr.Error("measure and against must be what the page offers.", print_exception=False)
        table = read()
        quality, variety = plot(table, split, measure, against), variety_plot(table)
        return {
            self.plot: gr.Plot(quality, visible=quality is not None),
            self.variety: gr.Plot(variety, visible=variety is not None),
            self.table: shown(table, split),
        }

    def with_people(self, split: str | None) -> Updates:
        people = self.people()
        if people is None or people.votes < FEWEST_VOTES:
            return {
                self.votes: TOO_FEW.format(counted(people.votes, "answer")) if people and people.votes else NO_VOTES,
                self.preferences: gr.Plot(visible=False),
                self.agreement: gr.HTML(visible=False),
            }
        agreed = agreement(read(), split, people)
        return {
            self.votes: f"{people.votes} answers so far. {INTERVALS} {FEW if agreed.empty else ''}",
            self.preferences: gr.Plot(preferences_plot(people), visible=True),
            self.agreement: gr.HTML(PREDICTS + html_table(agreed), visible=not agreed.empty),
        }
