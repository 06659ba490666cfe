"""The Training page: how the models learned, and visitors' own short trainings."""

import json
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from app.engine.runs import Run, find_runs, sharing_pair
from app.engine.services import Services
from app.look.handlers import QUIET, SAYING, UNCHECKED, Updates, at_once, busy
from app.look.words import list_of
from app.pages.training.curves import curves, terms
from app.pages.training.own import OwnTrainings
from app.pages.training.votes import FromVotes, Organiser
from app.pages.training.wiring import wire_own
from app.studies.ready import Studies
from e2ed2.training.metrics import CURVE

SHARING = "Shared against independent networks"
SHARING_HINT = (
    "Chooses models that differ in one thing only: one network shared by all steps, or a network for each step."
)
OVER = [("updates", "update"), ("time", "seconds")]
UNWEIGHTED = (
    "Faint: the value at each update; bold: a running mean. The parts of a loss are drawn without their weights, so "
    "that `l2` is the same measure in every end-to-end training, whatever else its loss asks for. In single-step "
    "training it is about one step from a picture with noise on it, which is easier. "
    "`held_out` is the loss on pictures that are not trained on, dotted beside `loss`."
)
LONE = "There is no bundled model with a network of its own for each step yet."


class TrainingPage(OwnTrainings):
    def __init__(self, services: Services, demo: gr.Blocks, studies: Studies, organiser: Organiser | None):
        super().__init__(services, organiser)
        gr.Markdown("# How the models learn")
        self.lay_out_own()
        self.votes = FromVotes(self.trainings, studies, organiser)
        self.lay_out_curves()
        self.lay_out_sheets()
        self.seen = gr.State((0, 0))  # sizes of the curves' files on the page: if unchanged, they are not drawn again
        wire_own(self)
        self.votes.wire(self.pleasing, self.progress, self.progressing())
        self.wire(demo)

    def lay_out_curves(self) -> None:
        gr.Markdown("## The loss of every model while it learned")
        runs = find_runs(self.services.models)
        with gr.Row():
            self.chosen = gr.Dropdown(list(runs), label="Trainings", multiselect=True, scale=4, min_width=280)
            self.term = gr.Dropdown([], label="Value", scale=2, min_width=140)
            self.over = gr.Radio(OVER, value="update", label="Over", scale=2, min_width=220)
        self.plot = gr.Plot(label="Curves", show_label=False, elem_id="curves", visible=False)
        self.lacking = gr.Markdown(label="Trainings without this value", elem_classes="hint")
        with gr.Row():
            with gr.Column(scale=3, min_width=280):
                gr.Markdown(UNWEIGHTED, elem_classes="hint")
            with gr.Column(scale=1, min_width=280):
                self.sharing = gr.Button(SHARING, size="sm")
                gr.Markdown(SHARING_HINT, elem_classes="hint")

    def lay_out_sheets(self) -> None:
        gr.Markdown("## Samples along the way\nDrawings above, the model's pictures of the same captions below.")
        with gr.Row():
            self.run = gr.Dropdown([], label="Training", scale=1, min_width=200)
            self.moment = gr.Slider(1, 2, 1, step=1, label="Moment", buttons=[], scale=2, min_width=200)
        self.sheet = gr.HTML(label="Pictures", elem_id="sheet", elem_classes="sheet")
        self.when = gr.Markdown(label="Moment")

    def wire(self, demo: gr.Blocks) -> None:
        picked = [self.chosen, self.term, self.over]
        drawn = [self.plot, self.lacking]
        progress = self.progressing()
        demo.load(self.open_page, None, [self.chosen, self.term, *drawn, self.run, self.base, *progress], **QUIET)
        self.chosen.change(self.offer_terms, [self.chosen, self.term], self.term, **UNCHECKED)
        gr.on(
            [self.chosen.change, self.term.change, self.over.change],
            self.draw,
            picked,
            drawn,
            **UNCHECKED,
        )
        gr.api(self.curves_of, api_name="curves")
        looked = self.sharing.click(outputs=self.sharing, **at_once(busy("Looking …"))).then(
            self.choose_sharing, None, [self.chosen, self.sharing], **SAYING
        )
        looked.failure(outputs=self.sharing, **at_once(gr.update(value=SHARING, interactive=True)))
        self.run.change(self.offer_moments, self.run, self.moment, **UNCHECKED)
        gr.on(
            [self.run.change, self.moment.change],
            self.show_sheet,
            [self.run, self.moment],
            [self.sheet, self.when],
            **UNCHECKED,
        )
        watched = [*progress, self.term, *drawn, self.run, self.moment, self.seen]
        votes = [*self.votes.shown_parts(), self.pleasing]
        demo.load(self.fill_votes, None, votes, **QUIET)
        looked = self.timer.tick(
            self.look,
            [*picked, self.run, self.seen],
            watched,
            preprocess=False,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=8,
        )
        looked.success(self.fill_votes, None, votes, **QUIET)

    def fill_votes(self, request: gr.Request) -> Updates:
        return self.votes.show(request) | self.votes.form(request, self.pleasing)

    def runs(self, names: list[str] | None) -> list[Run]:
        """The runs with these names that exist: a running training may have no curve yet."""
        known = find_runs(self.services.models)
        return [known[name] for name in names or [] if name in known]

    def open_page(self) -> Updates:
        runs = find_runs(self.services.models)
        shown = self.alike(runs)
        offered = terms(self.runs(shown))
        pictured = self.pictured()
        return {
            self.chosen: gr.Dropdown(choices=sorted({*runs, *shown}), value=shown, multiselect=True),
            self.term: gr.Dropdown(choices=offered, value=next(iter(offered), None)),
            self.run: gr.Dropdown(
                choices=pictured, value=next((name for name in [*shown, *pictured] if name in pictured), None)
            ),
            self.base: gr.Dropdown(choices=self.services.models.our_choices()),
            **self.draw(shown, next(iter(offered), None), "update"),
            **self.progress(),
        }

    def alike(self, runs: dict[str, Run]) -> list[str]:
        """The bundled end-to-end trainings that logged the most common value."""
        names = self.services.models.names()
        whole_chains = [run for name, run in runs.items() if name in names and not run.single_step()]
        value = next(iter(terms(whole_chains)), "")
        return [run.name for run in whole_chains if value in terms([run])]

    def pictured(self) -> list[str]:
        return [name for name, run in find_runs(self.services.models).items() if run.sheets()]

    def offer_terms(self, names: list[str], term: str | None) -> Any:
        offered = terms(self.runs(names))
        return gr.Dropdown(choices=offered, value=term if term in offered else next(iter(offered), None))

    def draw(self, names: list[str], term: str | None, over: str) -> Updates:
        runs = self.runs(names)
        if not runs or not term or over not in ("update", "seconds"):
            return {self.plot: gr.Plot(visible=False), self.lacking: ""}
        lacking = [run.name for run in runs if term not in terms([run])]
        return {
            self.plot: gr.Plot(curves(runs, term, over), visible=True),
            self.lacking: f"Without {term}, and so not drawn: {list_of(lacking, 'and')}." if lacking else "",
        }

    def curves_of(self, names: list[str], term: str, over: Literal["update", "seconds"] = "update") -> dict[str, Any]:
        """A Plotly figure, as JSON, of one value that these trainings logged, over updates or seconds."""
        known = find_runs(self.services.models)
        if not isinstance(names, list) or not names or not known.keys() >= set(map(str, names)):
            raise gr.Error(f"names must be some of {', '.join(known)}.", print_exception=False)
        offered = terms(self.runs(names))
        if term not in offered or over not in ("update", "seconds"):
            raise gr.Error(
                f"term must be one of {', '.join(offered)}, and over update or seconds.", print_exception=False
            )
        return json.loads(curves(self.runs(names), term, over).to_json())

    def choose_sharing(self) -> Updates:
        pair = sharing_pair(find_runs(self.services.models))
        button: Updates = {self.sharing: gr.Button(SHARING, interactive=True)}
        if len(pair) < 2:
            gr.Info(LONE)
            return button
        return button | {self.chosen: pair}

    def offer_moments(self, name: str | None) -> Any:
        count = len(self.sheets(name))
        return gr.Slider(maximum=max(2, count), value=max(1, count), visible=count > 1)

    def show_sheet(self, name: str | None, moment: int) -> Updates:
        sheets = self.sheets(name)
        if not sheets:
            return {self.sheet: "", self.when: ""}
        file = sheets[min(int(moment), len(sheets)) - 1]
        when = f"After {int(file.stem)} updates." if file.stem.isdigit() else "At the end."
        return {self.sheet: self.picture(file), self.when: when}

    def sheets(self, name: str | None) -> list[Path]:
        return [sheet for run in self.runs([name] if name else []) for sheet in run.sheets()]

    def look(self, names: list[str], term: str | None, over: str, run: str | None, seen: tuple[int, int]) -> Updates:
        """Update the page from the running training; whatever has not changed stays as it is."""
        runs, shown = self.runs(names), self.progress()
        size = sum((one.folder / CURVE).stat().st_size for one in runs)
        own = sum(file.stat().st_size for file in self.trainings.folder.glob(f"*/{CURVE}"))
        count = len(self.sheets(run))
        shown |= {
            self.run: gr.Dropdown(choices=self.pictured()),
            self.moment: gr.Slider(maximum=max(2, count), visible=count > 1),
            self.seen: (size, own),
        }
        if own == seen[1]:
            del shown[self.live]
        del shown[self.kept]  # somebody may be using the dropdown
        if size == seen[0]:
            return shown
        fresh = terms(runs)
        term = term if term in fresh else next(iter(fresh), None)
        return shown | {self.term: gr.Dropdown(choices=fresh, value=term)} | self.draw(names, term, over)
