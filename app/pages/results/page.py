"""The Results page: measured figures, and what people prefer."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from app.engine.services import Services
from app.look.handlers import QUIET, UNCHECKED, Updates, at_once
from app.look.words import counted, list_of
from app.pages.results.claims import claims, experiment, page, ratios_plot
from app.pages.results.figures import GFLOP, MEASURES, SECONDS, Preferences, agreement, measured, read, splits
from app.pages.results.plots import plot, preferences_plot, variety_plot
from app.pages.results.rounds import rounds_table
from app.pages.results.tables import SORT, by_steps, chosen_table, csv_file, html_table
from app.studies.votes import Round
from study.store.visitors import Chosen

NOTHING = (
    "No model has been measured yet. `python -m e2ed2 evaluate --model NAME --steps 4 --split combo --out "
    "assets/results/NAME-4-combo.json` measures one; this page then shows it."
)
NO_VOTES = "Nobody has voted on the bundled models yet. Be the first: the [Study page](take-part) leads you there."
FEWEST_VOTES = 30
TOO_FEW = f"{{}} so far: too few to compare models. The comparison is shown from {FEWEST_VOTES} on."
INTERVALS = "The lines are 95% intervals: models whose lines overlap may well be equally good."
FEW = "With fewer than three models that were both measured and voted on, there is nothing to correlate yet."
CHOSEN = (
    "<h3>Pairs of visitors</h3><p>From the Compare page: chosen by themselves, most having seen the names, or "
    "drawn by lot. No random sample, so these are counts and nothing more. They are in no other figure.</p>"
)
PREDICTS = (
    "<h3>How well each figure predicts it</h3><p>1: it ranks the models as people do; -1: the other way round.</p>"
)
FAILED = "That did not work, and the figure below is still the one before: please choose again."
AGAINST = [("steps", "steps"), ("computing", GFLOP), ("time", SECONDS)]


class ResultsPage:
    def __init__(
        self,
        services: Services,
        demo: gr.Blocks,
        people: Callable[[], Preferences | None],
        chosen: Callable[[], Sequence[Chosen]],
        rounds: Callable[[], Sequence[Round]],
    ):
        self.models, self.people, self.chosen, self.rounds = services.models, people, chosen, rounds
        gr.Markdown("# What holds of the paper’s claims here?")
        self.claims = gr.HTML(label="The paper's claims", elem_id="claims")
        self.ratios = gr.Plot(label="End to end against single steps", show_label=False, visible=False)
        self.unlisted = gr.Markdown(label="Status")
        with gr.Column() as self.figures:
            self.lay_out_figures()
        self.lay_out_people()
        self.wire(demo)

    def lay_out_figures(self) -> None:
        gr.Markdown(
            "## How good are the models?\nMeasured on this project's own models and drawings, with an encoder that no "
            "model was trained against. Lines through the marks are 95% intervals, where a figure has one."
        )
        with gr.Row():
            self.split = gr.Dropdown([], label="Asked for", min_width=280, scale=3)
            self.measure = gr.Dropdown(list(MEASURES), label="Figure", min_width=220, scale=3)
            self.against = gr.Radio(AGAINST, value="steps", label="Against", min_width=240, scale=3)
        self.failed = gr.Markdown(elem_id="failed")
        self.plot = gr.Plot(label="Figure", show_label=False, elem_id="quality", visible=False)
        self.table = gr.HTML(label="The figure in numbers", elem_id="table", js_on_load=SORT)
        with gr.Row():
            self.csv = gr.DownloadButton("Everything that was measured, as CSV", size="md", min_width=240)
        gr.Markdown(
            "## Variety\nFour pictures of one caption that names no style, against six artists' drawings of it."
        )
        self.variety = gr.Plot(label="Variety", show_label=False, elem_id="variety", visible=False)
        gr.Markdown(
            "Seconds are those of the one machine, with two cores, that measured all; yours has others.",
            elem_classes="hint",
        )

    def lay_out_people(self) -> None:
        gr.Markdown("## What people prefer")
        self.votes = gr.Markdown(label="Votes", elem_id="votes")
        self.preferences = gr.Plot(label="What people prefer", show_label=False, visible=False)
        self.agreement = gr.HTML(label="How well each figure predicts it", visible=False)

        self.loop = gr.HTML(label="Models that votes finished", elem_id="loop", visible=False)
        self.pairs = gr.HTML(label="Pairs that visitors chose", elem_id="chosen", visible=False)

    def wire(self, demo: gr.Blocks) -> None:
        picked = [self.split, self.measure, self.against]
        drawn = [self.plot, self.variety, self.table]
        people = [self.votes, self.preferences, self.agreement]
        first = [self.claims, self.ratios]
        opened = [*first, self.unlisted, self.figures, self.split, self.measure, *drawn, *people, self.loop, self.pairs]
        demo.load(self.open_page, None, opened, **QUIET).success(self.as_csv, None, self.csv, **QUIET)
        redrawn = gr.on([one.change for one in picked], self.draw, picked, drawn, **UNCHECKED)
        redrawn.success(outputs=self.failed, **at_once(""))
        redrawn.failure(outputs=self.failed, **at_once(FAILED))
        gr.api(self.results_of, api_name="results")
        self.split.input(self.offer, [self.split, self.measure], self.measure, **UNCHECKED)
        self.split.change(self.with_people, self.split, people, **UNCHECKED)

    def open_page(self) -> Updates:
        table, chosen, rounds = read(), self.chosen(), self.rounds()
        offered = splits(table)
        split = next((value for _, value in offered), None)
        measure = next(iter(measured(table, split)), next(iter(MEASURES)))
        ratios = ratios_plot(experiment("equal_work"))
        return {
            self.claims: page(claims()),
            self.ratios: gr.Plot(ratios, visible=ratios is not None),
            self.unlisted: self.absent(table) if offered else NOTHING,
            self.figures: gr.Column(visible=bool(offered)),
            self.split: gr.Dropdown(choices=offered, value=split),
            self.measure: self.offer(split, measure),
            **self.draw(split, measure, "steps"),
            **self.with_people(split),
            self.loop: gr.HTML(rounds_table(rounds), visible=bool(rounds)),
            self.pairs: gr.HTML(CHOSEN + chosen_table(chosen), visible=bool(chosen)),
        }

    def offer(self, split: str | None, measure: str | None) -> Any:
        """The dropdown of measures, with only those that this kind of prompts has."""
        names = measured(read(), split)
        return gr.Dropdown(choices=names, value=measure if measure in names else next(iter(names), None))

    def as_csv(self) -> Iterator[Updates]:
        with tempfile.TemporaryDirectory() as folder:
            yield {self.csv: csv_file(read(), Path(folder))}

    def absent(self, table: pd.DataFrame) -> str:
        names = sorted(set(table["model"]) - set(self.models.names()))
        return f"Measured, but not among the models here: {list_of(names, 'and')}." if names else ""

    def results_of(self, split: str) -> list[dict[str, Any]]:
        """Everything measured on one kind of prompts: a row for each model and number of steps."""
        table = read()
        offered = [value for _, value in splits(table)]
        if split not in offered:
            names = list_of([f"“{one}”" for one in offered])  # some have commas
            raise gr.Error(f"split must be one of {names}.", print_exception=False)
        return json.loads(table[table["split"] == split].to_json(orient="records"))

    def draw(self, split: str | None, measure: str, against: str) -> Updates:
        if measure not in list(MEASURES) or against not in [value for _, value in AGAINST]:
            raise gr.Error("measure and against must be what the page offers.", print_exception=False)
        table = read()
        quality, variety = plot(table, split, measure, against), variety_plot(table)
        return {
            self.plot: gr.Plot(quality, visible=quality is not None),
            self.variety: gr.Plot(variety, visible=variety is not None),
            self.table: by_steps(table, split, measure),
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
