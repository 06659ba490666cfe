"""The Generate page: type a prompt, watch the pictures appear."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app.engine.painter import NO_MODELS, Services, fresh_seed
from app.errors import ForgedError
from app.look.events import FAILED, PAINTING, QUIET, SAYING, UNCHECKED, afterwards, at_once, show_errors
from app.look.links import asked, link, nearest
from app.look.tables import kept
from app.pages.generate.history import remember, shown
from app.pages.generate.painting import Progress, download, far_note, paint_all
from e2ed2.inference.request import MAX_COUNT, MAX_PROMPT, STEPS

EXAMPLES = [
    "red apple, noto style",
    "cat face, fluent style",
    "sunflower",
    "rocket",
    "a castle on a hill",
    "pizza, openmoji style",
]
WELCOME_SEED = 7
HINT = (
    "The models know about 1,000 things that have an emoji, in six drawing styles: noto, twemoji, flat, fluent, "
    "openmoji and emojione. Name a style for a clear picture."
)
STEPS_INFO = "How often the model goes over a picture; fewer is faster."


class GeneratePage:
    """The fields, what they do, and how they hang together."""

    def __init__(self, services: Services, demo: gr.Blocks):
        self.services = services
        gr.Markdown("# Pictures out of noise\nType a few words; watch them become pictures in one to four steps.")
        self.lay_out_question()
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self.lay_out_pictures()
            with gr.Column(scale=2, min_width=300):
                self.lay_out_settings()
        self.lay_out_history()
        self.wire(demo)

    def lay_out_question(self) -> None:
        with gr.Row(elem_classes="ask"):
            self.prompt = gr.Textbox(
                EXAMPLES[0],
                label="Prompt",
                placeholder="For example: red apple, noto style",
                max_lines=1,
                scale=5,
                min_width=280,
                info=f"What would you like to see? A few words, at most {MAX_PROMPT} characters.",
            )
            self.paint = gr.Button("Paint", variant="primary", scale=1, min_width=110)
            self.stop = gr.Button("Stop", variant="stop", scale=1, min_width=110, visible=False)
        self.examples = gr.Dataset(
            components=[self.prompt], samples=[[text] for text in EXAMPLES], label="Or take one of these"
        )

    def lay_out_pictures(self) -> None:
        self.status = gr.Markdown(label="Status", elem_id="status")
        self.pictures = gr.Gallery(
            label="Pictures",
            show_label=False,
            format="png",
            columns=2,
            height="auto",
            object_fit="contain",
            interactive=False,
            buttons=["download", "fullscreen"],
            elem_id="pictures",
            elem_classes="pictures",
        )
        with gr.Row(elem_classes="ask"):
            self.address = gr.Textbox(
                label="Link that paints these again",
                buttons=["copy"],
                interactive=False,
                max_lines=1,
                scale=3,
                min_width=220,
                elem_id="address",
            )
            self.download = gr.DownloadButton("Download", scale=1, min_width=130, interactive=False)
        self.made = gr.State([])

    def lay_out_settings(self) -> None:
        self.model = gr.Radio(
            self.services.models.choices(),
            value=self.services.models.favourite(),
            label="Model",
            info="They differ in what they were taught to get right.",
            elem_id="model",
        )
        self.steps = gr.Slider(
            STEPS[0],
            STEPS[-1],
            value=STEPS[-1],
            step=1,
            label="Steps",
            buttons=[],
            info=STEPS_INFO,
        )
        self.count = gr.Slider(1, MAX_COUNT, value=1, step=1, label="Number of pictures", buttons=[])
        with gr.Group():
            self.seed = gr.Number(
                WELCOME_SEED, label="Seed", precision=0, info="The same seed gives the same pictures."
            )
            self.randomise = gr.Checkbox(True, label="New random seed each time")
        self.inside = gr.Checkbox(True, label="Write the settings into the picture file")
        gr.Markdown(HINT, elem_classes="hint")

    def lay_out_history(self) -> None:
        with gr.Accordion("Your pictures so far", open=False):
            gr.Markdown("Kept in this browser only. Choose one to use its settings again.", elem_classes="hint")
            self.past = gr.Gallery(
                show_label=False,
                label="Your pictures so far",
                format="png",
                columns=6,
                height="auto",
                interactive=False,
                allow_preview=False,
                buttons=[],
                elem_id="past",
            )
            self.forget = gr.Button("Forget them", size="sm")
        self.history = gr.BrowserState([], storage_key="e2ed2-history", secret="e2ed2-history")

    def wire(self, demo: gr.Blocks) -> None:
        results = [self.pictures, self.status, self.seed, self.address, self.download, self.made]
        fields = [self.prompt, self.model, self.steps, self.seed, self.randomise, self.count]
        welcome = demo.load(self.open_page, None, fields, **SAYING).success(
            self.welcome,
            [self.prompt, self.model, self.steps, self.seed, self.count, self.inside, self.status],
            results,
            api_visibility="private",
            preprocess=False,
            **PAINTING,
        )
        started = gr.on(
            [self.paint.click, self.prompt.submit],
            outputs=[self.paint, self.stop, self.status],
            **at_once(gr.update(visible=False), gr.update(visible=True), "Starting …"),
        )
        painted = started.then(
            self.generate,
            [*fields, self.inside],
            results,
            api_name="generate",
            preprocess=False,
            **PAINTING,
            api_description="Paint pictures of a prompt. Returns the pictures, one line about them, the first seed, a "
            "link that paints them again, and the picture's file, or a zip of several.",
        )
        for done in (welcome, painted):
            afterwards(done, self.buttons, None, [self.paint, self.stop], **QUIET)
            done.success(self.keep, [self.history, self.made], [self.history, self.download], **QUIET)
            done.failure(outputs=self.status, **at_once(FAILED))
        self.stop.click(outputs=self.status, **at_once("Stopping …"))
        self.stop.click(self.stop_painting, **QUIET)
        self.examples.click(lambda sample: sample[0], self.examples, self.prompt, **QUIET)
        self.model.change(self.suit_model, [self.model, self.steps], [self.steps, self.examples], **UNCHECKED)
        gr.on([demo.load, self.history.change], self.show_past, self.history, self.past, **QUIET)
        self.past.select(self.use_again, self.history, fields[:-1], **QUIET)
        self.forget.click(outputs=[self.history, self.past], **at_once([], []))

    def generate(
        self, prompt, model, steps, seed, randomise, count, inside, request: gr.Request
    ) -> Iterator[dict[Any, Any] | tuple[Any, ...]]:
        """The last tuple is whole: it is what a client of the API gets."""
        with show_errors(request) as sentences:
            if not isinstance(randomise, bool):
                raise ForgedError("randomise must be true or false.")
            jobs = self.services.plan(prompt, model, steps, fresh_seed() if randomise else seed, count)
            first = jobs[0]
            address = link(
                request, prompt=first.prompt, model=first.model, steps=first.steps, seed=first.seed, count=len(jobs)
            )
            with self.services.stoppable(request.session_hash) as stopped, tempfile.TemporaryDirectory() as folder:
                for now in paint_all(self.services, jobs, bool(inside), stopped, Path(folder)):
                    if self.services.painting(request.session_hash) is not stopped:
                        return  # the visitor has asked for something else
                    fields = {self.seed: first.seed, self.address: address}
                    yield {self.pictures: self.files_of(now), self.status: now.status} | fields
                if not now.files:
                    return
                pictures, file = self.files_of(now), download(Path(folder), now.files)
                yield pictures, now.status, first.seed, address, file, now.made
                if note := far_note(self.services, first):
                    yield pictures, now.status + note, first.seed, address, file, now.made
        if sentences:
            yield {self.status: sentences[0]}

    def files_of(self, now: Progress) -> list[tuple[str, str]]:
        cache = self.pictures.GRADIO_CACHE
        return [(one if isinstance(one, str) else kept(one, cache), words) for one, words in now.pictures]

    def welcome(
        self, prompt, model, steps, seed, count, inside, status, request: gr.Request
    ) -> Iterator[dict[Any, Any] | tuple[Any, ...]]:
        """The pictures that the address asks for, or one to begin with, unless the visitor was quicker."""
        if not self.services.models.names():
            yield {self.status: NO_MODELS}
        elif not status and self.services.painting(request.session_hash) is None:
            yield from self.generate(prompt, model, steps, seed, False, count, inside, request)

    def open_page(self, request: gr.Request) -> tuple[Any, ...]:
        models, wanted = self.services.models, asked(request.query_params)
        model, known = wanted.get("model"), models.names()
        if model and model not in known:
            gr.Warning("The link asks for a model that is not here, so another one is chosen.")
        possible = models.steps(model) if model in known else STEPS
        for name, offered in (("steps", possible), ("count", range(1, MAX_COUNT + 1))):
            if name in wanted and wanted[name] not in offered:
                wanted[name] = nearest(wanted[name], offered)
                gr.Warning(f"The link asks for {name} that are not possible here: {wanted[name]} is used.")
        radio: dict[str, Any] = {"value": model} if model in known else {}
        return (  # what no link asks for stays as it is: the visitor may be typing already
            wanted.get("prompt", gr.skip()),
            gr.Radio(choices=models.choices(), **radio),
            wanted.get("steps", gr.skip() if len(possible) > 1 else possible[0]),
            wanted.get("seed", gr.skip()),
            False if "seed" in wanted else gr.skip(),
            wanted.get("count", gr.skip()),
        )

    def suit_model(self, model: str | None, steps: int) -> tuple[Any, Any]:
        """Only the steps that the model was made for, and examples of what it learned from."""
        if model not in self.services.models.names():
            return gr.skip(), gr.skip()
        possible = self.services.models.steps(model)
        captions = self.services.models.captions(model)
        step = steps if steps in possible else possible[-1]
        samples = EXAMPLES if captions is None else captions[: len(EXAMPLES)]
        only = self.services.models.only(model)
        slider = gr.Slider(value=step, interactive=not only, info=only or STEPS_INFO)
        return slider, gr.Dataset(samples=[[text] for text in samples])

    def buttons(self, request: gr.Request) -> tuple[Any, Any]:
        busy = self.services.painting(request.session_hash) is not None
        return gr.Button(visible=not busy), gr.Button(visible=busy)

    def stop_painting(self, request: gr.Request) -> None:
        self.services.stop(request.session_hash)

    def keep(self, history: list, made: list) -> tuple[list, Any]:
        for settings, picture in reversed(made):
            history = remember(history, settings, picture)
        return history, gr.DownloadButton(interactive=bool(made))

    def show_past(self, history: list) -> list[tuple[str, str]]:
        return [(kept(picture, self.past.GRADIO_CACHE), words) for picture, words in shown(history)]

    def use_again(self, history: list, event: gr.SelectData) -> tuple[Any, ...]:
        one = history[event.index]
        return one["prompt"], one["model"], one["steps"], one["seed"], False
