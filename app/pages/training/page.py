"""The Training page: how the models learned, and a short training of one's own."""

import json
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlencode

import gradio as gr
from gradio.data_classes import ListFiles

from app.engine.catalogue import OWN
from app.engine.runs import Run, find_runs, sharing_pair
from app.engine.services import Services, whole
from app.engine.trainings import FEWEST, LOSSES, MOST, Order, Trainings, sentence
from app.engine.uploads import FEWEST as FEWEST_PICTURES
from app.engine.uploads import MOST as MOST_PICTURES
from app.errors import ForgedError
from app.look.handlers import MISTAKES, QUIET, SAYING, UNCHECKED, Updates, at_once, busy, warn
from app.look.tables import cached_file
from app.look.words import list_of
from app.pages.training.curves import curves, terms
from e2ed2.errors import UserError
from e2ed2.training.metrics import CURVE

SHARING = "Shared against independent networks"
START, STOP, GO_ON = "Start training", "Stop and save", "Go on"
OVER = [("updates", "update"), ("time", "seconds")]
EVERY = 2  # s, between two looks at a training that goes on
UPLOAD = (
    f"{FEWEST_PICTURES} to {MOST_PICTURES} pictures; their file names are the captions (`red-apple-1.png`), unless "
    "there is a `metadata.csv` with the columns file_name and text."
)
UNWEIGHTED = (
    "Faint: the value at each update; bold: a running mean. The parts of a loss are drawn without their weights, so "
    "that `l2` is the same measure in every end-to-end training, whatever else its loss asks for. In single-step "
    "training it is about one step from a picture with noise on it, which is easier. "
    "`held_out` is the loss on pictures that are not trained on, dotted beside `loss`."
)
LONE = "There is no bundled model with a network of its own for each step yet."


class Uploads(ListFiles):
    """Files of a hand-made request are checked before any handler: what is wrong is a sentence there too."""

    @classmethod
    def model_validate(cls, *values: Any, **options: Any) -> Self:
        try:
            return super().model_validate(*values, **options)
        except ValueError:
            said = "files must be a list of uploaded files (gradio_client.handle_file), or null for the drawings."
            raise gr.Error(said, print_exception=False) from None


class TrainingPage:
    def __init__(self, services: Services, demo: gr.Blocks):
        self.services, self.trainings = services, Trainings(services.models)
        gr.Markdown(
            "# How the models learn\nThe loss of every bundled model while it learned, and a short training "
            "of your own, further down."
        )
        self.lay_out_curves()
        self.lay_out_sheets()
        self.lay_out_own()
        self.timer = gr.Timer(EVERY, active=False)
        self.seen = gr.State(0)  # size of the curves on the page: unchanged, they are not drawn again
        self.wire(demo)

    def lay_out_curves(self) -> None:
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

    def lay_out_sheets(self) -> None:
        gr.Markdown("## Samples along the way\nDrawings above, the model's pictures of the same captions below.")
        with gr.Row():
            self.run = gr.Dropdown([], label="Training", scale=1, min_width=200)
            self.moment = gr.Slider(1, 2, 1, step=1, label="Moment", buttons=[], scale=2, min_width=200)
        self.sheet = gr.HTML(label="Pictures", elem_id="sheet", elem_classes="sheet")
        self.when = gr.Markdown(label="Moment")

    def lay_out_own(self) -> None:
        gr.Markdown(
            "## Train one yourself\nA few minutes of learning on top of a finished model. Afterwards it is "
            "on the Generate page. Anyone using this app can see your training and "
            "stop it."
        )
        with gr.Row():
            self.base = gr.Dropdown(
                self.services.models.choices(),
                value=self.services.models.favourite(),
                label="Start from",
                min_width=220,
            )
            self.loss = gr.Dropdown(
                [(f"{name}: {loss}", name) for name, loss in LOSSES.items()],
                value="l2-lpips",
                label="Loss",
                min_width=220,
            )
            self.updates = gr.Slider(
                FEWEST, MOST, 50, step=10, label="Updates, of 16 pictures each", buttons=[], min_width=200
            )
        with gr.Accordion("Use pictures of your own instead of the bundled drawings", open=False):
            gr.Markdown(UPLOAD, elem_classes="hint")
            self.files = gr.File(file_count="multiple", file_types=["image", ".csv"], label="Your pictures", height=160)
            self.files.data_model = Uploads
        with gr.Row():
            self.start = gr.Button(START, variant="primary")
            self.stop = gr.Button(STOP, variant="stop", visible=False)
            self.go_on = gr.Button(GO_ON, visible=False)
            self.use = gr.Button("Generate with it", visible=False)
        self.status = gr.Markdown(label="Status", elem_id="training-status")
        self.latest = gr.HTML(label="Latest samples", elem_id="latest", elem_classes="sheet")

    def wire(self, demo: gr.Blocks) -> None:
        picked = [self.chosen, self.term, self.over]
        drawn = [self.plot, self.lacking]
        progress = [self.status, self.latest, self.start, self.stop, self.go_on, self.use, self.timer]
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
        begun = self.start.click(outputs=self.start, **at_once(busy("Starting …"))).then(
            self.begin,
            [self.base, self.loss, self.updates, self.files],
            [*progress, self.chosen],
            api_name="train",
            preprocess=False,
            concurrency_limit=1,
            show_progress="hidden",
            api_description="Start a short training. Returns a line about it.",
        )
        halted = self.stop.click(outputs=self.stop, **at_once(busy("Stopping …"))).then(
            self.halt,
            None,
            progress,
            api_name="stop_training",
            queue=False,
            show_progress="hidden",
            api_description="Stop the training after the update that is being made. Returns a line.",
        )
        resumed = self.go_on.click(outputs=self.go_on, **at_once(busy("Starting …"))).then(
            self.resume, None, progress, **SAYING
        )
        for done in (begun, halted, resumed):
            done.failure(self.progress, None, progress, **QUIET)
        watched = [*progress, self.term, *drawn, self.run, self.moment, self.seen]
        self.timer.tick(
            self.look,
            [*picked, self.run, self.seen],
            watched,
            preprocess=False,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=8,
        )

    def runs(self, names: list[str] | None) -> list[Run]:
        """Of these names, those that there are; the training that goes on may have no curve yet."""
        known = find_runs(self.services.models)
        return [known[name] for name in names or [] if name in known]

    def open_page(self) -> Updates:
        runs = find_runs(self.services.models)
        going = self.trainings.going()
        shown = [f"runs/own/{going}"] if going else self.alike(runs)
        offered = terms(self.runs(shown))
        pictured = self.pictured()
        return {
            self.chosen: gr.Dropdown(choices=sorted({*runs, *shown}), value=shown, multiselect=True),
            self.term: gr.Dropdown(choices=offered, value=next(iter(offered), None)),
            self.run: gr.Dropdown(
                choices=pictured, value=next((name for name in [*shown, *pictured] if name in pictured), None)
            ),
            self.base: gr.Dropdown(choices=self.services.models.choices()),
            **self.draw(shown, next(iter(offered), None), "update"),
            **self.progress(),
        }

    def alike(self, runs: dict[str, Run]) -> list[str]:
        """The bundled end-to-end trainings that have a value in common: that which most of them have."""
        names = self.services.models.names()
        whole_chains = [run for name, run in runs.items() if name in names and not run.single_step()]
        value = next(iter(terms(whole_chains)), "")
        return [run.name for run in whole_chains if value in terms([run])]

    def pictured(self) -> list[str]:
        return [name for name, run in find_runs(self.services.models).items() if run.sheets()]

    def progress(self) -> Updates:
        """The line, the last pictures, the four buttons, and whether to look again."""
        names = self.trainings.names()
        last = self.trainings.going() or max(names, key=self.age, default=None)
        if last is None:
            return self.buttons(START) | {
                self.status: "",
                self.latest: "",
                self.use: gr.Button(visible=False),
                self.timer: gr.Timer(active=False),
            }
        state = self.trainings.state(last)
        offered = (START,) if state.finished else (START, GO_ON)
        if state.going:
            offered = () if state.stopping or state.done >= state.updates else (STOP,)
        address = f"./?{urlencode({'model': f'{OWN}/{state.name}'})}"
        return self.buttons(*offered) | {
            self.status: sentence(state),
            self.latest: self.picture(state.sheet),
            self.use: gr.Button(visible=state.finished, link=address),
            self.timer: gr.Timer(active=state.going),
        }

    def buttons(self, *offered: str) -> Updates:
        """Start, stop and go on, none of them pressed; those that are offered can be seen."""
        labels = {self.start: START, self.stop: STOP, self.go_on: GO_ON}
        return {one: gr.Button(label, visible=label in offered, interactive=True) for one, label in labels.items()}

    def picture(self, sheet: Path | None) -> str:
        alt = "Drawings above, the model's pictures of the same captions below"
        return f'<img src="{cached_file(sheet, self.sheet.GRADIO_CACHE)}" alt="{alt}">' if sheet else ""

    def age(self, name: str) -> float:
        return (self.trainings.folder / name / "log.txt").stat().st_mtime

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
        """A plotly figure, as JSON, of one value that these trainings logged, over updates or seconds."""
        known = find_runs(self.services.models)
        if not isinstance(names, list) or not names or not all(name in known for name in names):
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

    def begin(
        self, base: object, loss: object, updates: object, files: list[dict[str, Any]] | None, request: gr.Request
    ) -> Updates:
        try:
            name = f"runs/own/{self.trainings.start(self.order(base, loss, updates, files))}"
        except MISTAKES as mistake:
            return self.progress() | {self.status: warn(mistake, request)}
        choices = sorted({*find_runs(self.services.models), name})
        return self.progress() | {self.chosen: gr.Dropdown(choices=choices, value=[name], multiselect=True)}

    def order(self, base: object, loss: object, updates: object, files: list[dict[str, Any]] | None) -> Order:
        """Raises UserError or ForgedError: see `Services.known`; another value is not possible."""
        if loss not in list(LOSSES):
            raise ForgedError(f"loss must be one of {', '.join(LOSSES)}.")
        if not whole(updates, FEWEST, MOST):
            raise ForgedError(f"updates must be a whole number from {FEWEST} to {MOST}.")
        return Order(self.services.known(base), str(loss), int(updates), tuple(file["path"] for file in files or ()))

    def halt(self) -> Updates:
        self.trainings.stop()
        return self.progress() | {self.status: "Stopping after this update; progress will be saved."}

    def resume(self, request: gr.Request) -> Updates:
        try:
            names = self.trainings.names()
            if not names:
                raise UserError("There is no training to go on with.")
            self.trainings.go_on(max(names, key=self.age))
        except MISTAKES as mistake:
            return self.progress() | {self.status: warn(mistake, request)}
        return self.progress()

    def look(self, names: list[str], term: str | None, over: str, run: str | None, seen: int) -> Updates:
        """At the training that goes on; what has not changed stays as it is."""
        runs = self.runs(names)
        size = sum((one.folder / CURVE).stat().st_size for one in runs)
        count = len(self.sheets(run))
        shown = self.progress() | {
            self.run: gr.Dropdown(choices=self.pictured()),
            self.moment: gr.Slider(maximum=max(2, count), visible=count > 1),
            self.seen: size,
        }
        if size == seen:
            return shown
        fresh = terms(runs)
        term = term if term in fresh else next(iter(fresh), None)
        return shown | {self.term: gr.Dropdown(choices=fresh, value=term)} | self.draw(names, term, over)
