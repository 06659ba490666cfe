"""Visitors' own trainings on the Training page: starting, watching and keeping them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from app.engine.catalogue import OWN
from app.engine.estimate import estimate
from app.engine.orders import FEWEST, LOSSES, MOST, Order
from app.engine.runs import Run
from app.engine.services import Services, is_whole
from app.engine.standing import sentence
from app.engine.trainings import Trainings
from app.errors import ForgedError
from app.look.handlers import MISTAKES, Updates, warn
from app.look.tables import cached_file, scrolling
from app.look.words import plain
from app.pages.training.curves import curves
from app.pages.training.pictures import OwnPictures, captions_in, paths_of
from app.pages.training.votes import Organiser
from e2ed2.errors import UserError

START, STOP, GO_ON, MEASURE = "Start training", "Stop and save", "Go on", "How long will it take?"
EVERY = 2  # s, between updates while a training runs
LONGEST_NOTE = 500  # characters


class OwnTrainings:
    def __init__(self, services: Services, organiser: Organiser | None):
        """`organiser`: whether a request comes from one, who may train on votes; None if nobody can sign in."""
        self.services, self.trainings = services, Trainings(services.models)
        self.organiser = organiser or (lambda request: False)
        self.timer = gr.Timer(EVERY, active=False)

    def lay_out_own(self) -> None:
        gr.Markdown(
            "## Train one yourself\nA few minutes of learning on top of a finished model. Afterwards it is on the "
            "Generate page. Anyone using this app can see your training, stop it and delete it."
        )
        with gr.Row():
            self.base = gr.Dropdown(
                self.services.models.our_choices(),
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
        self.pleasing = gr.Dropdown(
            [("nobody in particular", "")],
            value="",
            label="Please whom",
            info="A preference that was learned from votes; it is held to the model that it starts from.",
            visible=False,
            elem_id="pleasing",
        )
        with gr.Row():
            self.name = gr.Textbox("", label="Name", placeholder="One is made up", max_lines=1, min_width=200)
            self.note = gr.Textbox("", label="Note to yourself", max_lines=1, scale=2, min_width=240)
        with gr.Accordion("Use pictures of your own instead of the bundled drawings", open=False):
            self.own = OwnPictures()
        with gr.Row():
            self.start = gr.Button(START, variant="primary", min_width=160)
            self.measure = gr.Button(MEASURE, min_width=160)
            self.stop = gr.Button(STOP, variant="stop", visible=False, min_width=160)
            self.go_on = gr.Button(GO_ON, visible=False, min_width=160)
            self.use = gr.Button("Generate with it", visible=False, min_width=160)
            self.beside = gr.Button("Compare it with its start", visible=False, min_width=160)
        self.status = gr.Markdown(label="Status", elem_id="training-status")
        self.live = gr.Plot(label="The loss so far", show_label=False, elem_id="live", visible=False)
        self.latest = gr.HTML(label="Latest samples", elem_id="latest", elem_classes="sheet")
        with gr.Accordion("Trainings that are kept", open=False):
            self.kept = gr.Dropdown([], label="Training", min_width=220)
            self.kept_note = gr.Markdown(label="Its note")
            with gr.Row():
                self.pack = gr.Button("Download its model", size="md", min_width=160)
                self.delete = gr.Button("Delete it", variant="stop", size="md", min_width=160)
            self.package = gr.DownloadButton(visible=False)

    def progressing(self) -> list[Any]:
        """The components that `progress` updates."""
        return [
            *(self.status, self.latest, self.live, self.start, self.stop, self.go_on, self.measure, self.use),
            *(self.beside, self.kept, self.timer),
        ]

    def progress(self) -> Updates:
        """Update the line, the last pictures, the curve, the buttons, the kept trainings, and the timer."""
        names = self.trainings.names()
        last = self.trainings.going() or max(names, key=self.age, default=None)
        trainings = {self.kept: gr.Dropdown(choices=names, value=last if last in names else None)}
        if last is None:
            nothing = {one: gr.Button(visible=False) for one in (self.use, self.beside)}
            return (
                self.buttons(START, MEASURE)
                | nothing
                | trainings
                | {
                    self.status: "",
                    self.latest: "",
                    self.live: gr.Plot(visible=False),
                    self.timer: gr.Timer(active=False),
                }
            )
        state = self.trainings.state(last)
        offered = (START, MEASURE) if state.finished else (START, GO_ON, MEASURE)
        if state.going:
            offered = () if state.stopping or state.done >= state.updates else (STOP,)
        model, usable = f"{OWN}/{state.name}", state.finished and not state.learning
        start = self.trainings.start_of(state.name)
        both = urlencode({"prompt": "cat", "models": f"{start},{model}"})
        return (
            self.buttons(*offered)
            | trainings
            | {
                self.status: plain(sentence(state)),
                self.latest: self.picture(state.sheet),
                self.live: self.curve(state.name),
                self.use: gr.Button(visible=usable, link=f"./?{urlencode({'model': model})}"),
                self.beside: gr.Button(visible=usable, link=f"compare?{both}"),
                self.timer: gr.Timer(active=state.going),
            }
        )

    def curve(self, name: str) -> Any:
        run = Run(name, self.trainings.folder / name)
        if len(run.lines()) < 2 or self.trainings.is_preference(name):
            return gr.Plot(visible=False)
        return gr.Plot(curves([run], "loss", "update"), visible=True)

    def buttons(self, *offered: str) -> Updates:
        """Show only the offered buttons, none of them pressed."""
        labels = {self.start: START, self.stop: STOP, self.go_on: GO_ON, self.measure: MEASURE}
        return {one: gr.Button(label, visible=label in offered, interactive=True) for one, label in labels.items()}

    def picture(self, sheet: Path | None) -> str:
        """HTML that scrolls sideways where the sheet is wider than the screen; empty without a sheet."""
        if not sheet:
            return ""
        alt = "Drawings above, the model's pictures of the same captions below"
        picture = f'<img src="{cached_file(sheet, self.latest.GRADIO_CACHE)}" alt="{alt}">'
        return scrolling(picture, "Samples")

    def age(self, name: str) -> float:
        log = self.trainings.folder / name / "log.txt"
        return log.stat().st_mtime if log.is_file() else 0.0

    def begin(
        self,
        base: object,
        loss: object,
        updates: object,
        files: list[dict[str, Any]] | None,
        name: object = "",
        note: object = "",
        captions: object = None,
        pleasing: object = "",
        request: gr.Request | None = None,
    ) -> Updates:
        try:
            self.trainings.start(
                self.order(base, loss, updates, files, name, note, captions, self.pleased(pleasing, request))
            )
        except MISTAKES as mistake:
            return self.progress() | {self.status: warn(mistake, request)}
        return self.progress()

    def order(
        self,
        base: object,
        loss: object,
        updates: object,
        files: list[dict[str, Any]] | None = None,
        name: object = "",
        note: object = "",
        captions: object = None,
        pleasing: str = "",
    ) -> Order:
        """The order for a training. Raises UserError or ForgedError: a value is invalid; see `Services.known` too."""
        if loss not in list(LOSSES):
            raise ForgedError(f"loss must be one of {', '.join(LOSSES)}.")
        if not is_whole(updates, FEWEST, MOST):
            raise ForgedError(f"updates must be a whole number from {FEWEST} to {MOST}.")
        if not isinstance(name, str) or not isinstance(note, str) or len(note) > LONGEST_NOTE:
            raise ForgedError(f"name and note must be text, the note of at most {LONGEST_NOTE} characters.")
        settings = self.services.known(base), str(loss), int(updates)
        return Order(*settings, paths_of(files), captions_in(captions), name.strip(), note.strip(), pleasing)

    def pleased(self, preference: object, request: gr.Request | None) -> str:
        """The preference that a training is to please, or "". Raises ForgedError: only organisers may use one."""
        if preference and not self.organiser(request):
            raise ForgedError("Only an organiser who is signed in may train on the votes of a study.")
        return str(preference or "")

    def measure_time(
        self, base: object, loss: object, updates: object, pleasing: object, request: gr.Request
    ) -> Updates:
        try:
            order = self.order(base, loss, updates, pleasing=self.pleased(pleasing, request))
            message = estimate(self.trainings, order)
        except MISTAKES as mistake:
            message = warn(mistake, request)
        return self.progress() | {self.status: message}

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

    def note_of(self, name: str | None) -> str:
        return plain(self.trainings.note(name)) if name in self.trainings.names() else ""

    def remove(self, name: object, request: gr.Request) -> Updates:
        """Delete a training; the name is empty if the visitor cancelled."""
        message = ""
        try:
            if name:
                self.trainings.delete(self.trainings.known(name))
                message = f"{name} is deleted."
        except MISTAKES as mistake:
            message = warn(mistake, request)
        return self.progress() | ({self.status: message} if message else {})

    def packed(self, name: object, request: gr.Request) -> Iterator[Updates]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield {self.package: self.trainings.package(self.trainings.known(name), Path(folder))}
            except MISTAKES as mistake:
                yield {self.package: None, self.status: warn(mistake, request)}
