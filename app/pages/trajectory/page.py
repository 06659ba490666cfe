"""The Trajectory page: how a picture emerges from noise, and what noise and caption each decide."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import gradio as gr
from PIL import Image

from app.engine.events import Flag
from app.engine.services import NO_MODELS, Services
from app.engine.wording import wording
from app.look.handlers import MISTAKES, Updates, warn
from app.look.links import link, nearest, settings_of
from app.look.tables import cache_picture, cached, page_tables
from app.pages.generate.reading import describe_reading
from app.pages.trajectory.tables import SEEDS, blend_cells, seed_cells, steps_table
from app.pages.trajectory.wiring import wire
from e2ed2.data.styles import BEST
from e2ed2.inference.request import STEPS

PROMPT, OTHER, SEED = "cat face", "sunflower, noto style", 4
NOISE = """## What the noise decides
The same words, other noise. Tick “Exactly my words” and leave the style out of the prompt, and there is something to
decide; where all pictures still look alike, the model ignores the noise."""


class TrajectoryPage:
    def __init__(self, services: Services, demo: gr.Blocks):
        self.services = services
        self.opening = lru_cache(2)(partial(steps_table, services))
        gr.Markdown(
            "# From noise to picture\nA model starts from pure noise and the words. At each step it guesses the "
            "finished picture, and goes on from a mix of its guess and the noise."
        )
        self.lay_out_settings()
        self.lay_out_steps()
        self.lay_out_noise()
        self.lay_out_caption()
        wire(self, demo)

    def lay_out_settings(self) -> None:
        models = self.services.models
        first, second = self.usual()
        with gr.Row(elem_classes="ask"):
            self.prompt = gr.Textbox(PROMPT, label="Prompt", max_lines=1, scale=3, min_width=280)
            self.steps = gr.Slider(STEPS[0], STEPS[-1], STEPS[-1], step=1, label="Steps", buttons=[], min_width=160)
            self.seed = gr.Number(SEED, label="Seed", precision=0, scale=1, min_width=110)
        with gr.Row():
            self.model = gr.Dropdown(models.our_choices(), value=first, label="Model", min_width=240)
            self.second = gr.Dropdown(
                models.our_choices(), value=second, label="Second model, to compare", min_width=240
            )
        self.exactly = gr.Checkbox(
            False, label="Exactly my words", info="Give the models your words as they are: they may not know them."
        )
        self.status = gr.Markdown("" if first else NO_MODELS, label="Status", elem_id="status")
        self.address = gr.Textbox(visible="hidden", label="Link to these steps")

    def lay_out_steps(self) -> None:
        gr.Markdown("## Step by step\nThe upper row is what the model is shown, the lower row its guess.")
        self.watch = gr.Button("Watch", variant="primary")
        self.table = gr.HTML(elem_id="trajectory", label="Steps")

    def lay_out_noise(self) -> None:
        gr.Markdown(NOISE)
        self.try_seeds = gr.Button(f"Try {SEEDS} seeds")
        self.seeds = _row_of_pictures("Other noise")

    def lay_out_caption(self) -> None:
        gr.Markdown("## What the words decide\nThe same noise, and captions between two prompts.")
        with gr.Row(elem_classes="ask"):
            self.other = gr.Textbox(OTHER, label="The other prompt", max_lines=1, scale=3, min_width=280)
            self.blend = gr.Button("Go from one to the other", scale=1, min_width=200)
        self.between = _row_of_pictures("Between two prompts")

    def open_page(self, request: gr.Request) -> Updates:
        """Set the fields that the address names; others stay as they are, since a visitor may be typing already."""
        models, wanted = self.services.models, settings_of(request.query_params)
        offered = [name for _, name in models.our_choices()]
        shown: Updates = {}
        for name, field in (("model", self.model), ("second", self.second)):
            chosen: dict[str, Any] = {"value": wanted[name]} if wanted.get(name) in offered else {}
            shown[field] = gr.Dropdown(choices=models.our_choices(), **chosen)
        if "prompt" in wanted:
            shown |= {self.prompt: wanted["prompt"], self.exactly: "exactly" in wanted}
        if isinstance(steps := wanted.get("steps"), int):
            shown[self.steps] = nearest(steps, STEPS)
        return shown | ({self.seed: wanted["seed"]} if wanted.get("seed") is not None else {})

    def usual(self) -> tuple[str | None, str | None]:
        """The two models that the page opens with; both are the same if there is only one."""
        first = self.services.models.favourite()
        return first, next((name for _, name in reversed(self.services.models.our_choices()) if name != first), first)

    def welcome(
        self,
        prompt: object,
        model: object,
        second: object,
        steps: object,
        seed: object,
        exactly: object,
        status: object,
        request: gr.Request,
    ) -> Updates:
        """The steps that the address asks for, or an initial example, unless the visitor has asked for others."""
        names = dict.fromkeys(filter(None, self.usual()))
        if status or not names:
            return {self.status: gr.skip()}
        flag = Flag()
        with self.services.stoppable(request.session_hash, flag):
            try:
                if "prompt" in request.query_params:
                    *_, shown = self.steps_of(prompt, model, second, steps, seed, exactly)
                else:
                    shown = self.first_seen(names)
            except MISTAKES as mistake:
                shown = {self.status: warn(mistake, request)}
        return {self.status: gr.skip()} if flag.is_set() else shown

    def first_seen(self, names: Iterable[str]) -> Updates:
        """The initial example. Raises UserError: a model's files are damaged."""
        wanted = [self.services.plan(PROMPT, name, self.services.models.steps(name)[-1], SEED)[0] for name in names]
        tables = [self.opening(one) for one in wanted]
        return {
            self.table: page_tables(tables, cached(self.table.GRADIO_CACHE)),
            self.status: describe_reading(wanted[:1]),
        }

    def suit_models(self, model: str | None, second: str | None, steps: int) -> Any:
        """Offer only the steps that both models were made for."""
        models = self.services.models
        chosen = [name for name in (model, second) if name in models.names()]
        possible = [step for step in STEPS if all(step in models.steps(name) for name in chosen)] or STEPS
        only = next(filter(None, map(models.only, chosen)), None)
        return gr.Slider(value=steps if steps in possible else possible[-1], interactive=not only, info=only)

    def show_steps(
        self,
        prompt: object,
        model: object,
        second: object,
        steps: object,
        seed: object,
        exactly: object,
        request: gr.Request,
    ) -> Iterator[Updates]:
        self.services.stop(request.session_hash)
        try:
            yield from self.steps_of(prompt, model, second, steps, seed, exactly)
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}

    def steps_of(
        self, prompt: object, model: object, second: object, steps: object, seed: object, exactly: object
    ) -> Iterator[Updates]:
        """The steps of both models' pictures, as tables. Raises UserError or ForgedError."""
        tables, wanted = [], wording(BEST, exactly, "")
        for name in dict.fromkeys((self.services.known(model), self.services.known(second))):
            (one,) = self.services.plan(prompt, name, steps, seed, wording=wanted)
            tables.append(steps_table(self.services, one))
            yield {
                self.table: page_tables(tables, cached(self.table.GRADIO_CACHE)),
                self.status: describe_reading([one]),
            }

    def address_of(
        self,
        prompt: object,
        model: object,
        second: object,
        steps: object,
        seed: object,
        exactly: object,
        request: gr.Request,
    ) -> str:
        """The address that Reload and Back open again."""
        words = {"prompt": prompt, "model": model, "second": second, "steps": steps, "seed": seed}
        return link(request, "trajectory", **words | ({"exactly": 1} if exactly else {}))

    def show_seeds(
        self, prompt: object, model: object, steps: object, seed: object, exactly: object, request: gr.Request
    ) -> Iterator[Updates]:
        """Pictures of a single reading, so that only the noise differs."""
        self.services.stop(request.session_hash)
        try:
            wanted = self.services.plan(prompt, model, steps, seed, SEEDS, wording(BEST, exactly, ""))
            same = [replace(one, caption=wanted[0].caption) for one in wanted]
            yield from self.one_by_one(self.seeds, seed_cells(self.services, same), describe_reading(same))
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}

    def show_between(
        self,
        prompt: object,
        model: object,
        steps: object,
        seed: object,
        other: object,
        exactly: object,
        request: gr.Request,
    ) -> Iterator[Updates]:
        self.services.stop(request.session_hash)
        try:
            wanted = wording(BEST, exactly, "")
            (first,) = self.services.plan(prompt, model, steps, seed, wording=wanted)
            (last,) = self.services.plan(other, model, steps, seed, wording=wanted)
            yield from self.one_by_one(
                self.between, blend_cells(self.services, first, last), describe_reading([first, last])
            )
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}

    def one_by_one(
        self, gallery: gr.Gallery, cells: Iterator[tuple[Image.Image, str]], message: str
    ) -> Iterator[Updates]:
        pictures = []
        for picture, words in cells:
            pictures.append((cache_picture(picture, gallery.GRADIO_CACHE), words))
            yield {gallery: pictures, self.status: message}


def _row_of_pictures(label: str) -> gr.Gallery:
    return gr.Gallery(
        label=label,
        show_label=False,
        format="png",
        columns=4,
        height="auto",
        object_fit="contain",
        interactive=False,
        buttons=["fullscreen"],
        elem_classes="pictures",
        visible=False,
    )
