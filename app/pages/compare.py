"""The Compare page: one prompt, one noise, every model at every number of steps."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app.cells import SLIDE, cached, file_page, page_tables, sheet, slider
from app.comparing import Key, compare, drawings_of, table_of
from app.links import asked
from app.pages.wiring import PAINTING, QUIET, busy, told
from app.pngs import png, write
from app.services import NO_MODELS, ForgedError, Services, Timed, fresh_seed
from app.words import counted
from e2ed2.generate import MAX_PROMPT

PROMPT, SEED = "red apple, noto style", 7
EMPTY = "<p class='hint'>The pictures come here: a row for each model, a column for each number of steps.</p>"


class ComparePage:
    def __init__(self, services: Services, demo: gr.Blocks):
        self.services = services
        gr.Markdown("# The same noise, every model\nWhat do the models make of one prompt, and what do more steps add?")
        self.lay_out_question()
        self.grid = gr.HTML(EMPTY, elem_id="grid", label="Pictures")
        self.status = gr.Markdown(label="Status", elem_id="status")
        with gr.Row():
            self.png = gr.DownloadButton("Download as PNG", interactive=False, min_width=160)
            self.page = gr.DownloadButton("Download as a web page", interactive=False, min_width=160)
        self.lay_out_pair()
        self.cells = gr.State({})
        self.wire(demo)

    def lay_out_question(self) -> None:
        with gr.Row(elem_classes="ask"):
            self.prompt = gr.Textbox(PROMPT, label="Prompt", max_lines=1, scale=4, min_width=280, max_length=MAX_PROMPT)
            self.seed = gr.Number(SEED, label="Seed", precision=0, scale=1, min_width=110)
            self.other = gr.Button("Other noise", scale=1, min_width=110)
            self.go = gr.Button("Compare", variant="primary", scale=1, min_width=110)
        names = self.services.models.names()
        self.models = gr.CheckboxGroup(names, value=names, label="Models")

    def lay_out_pair(self) -> None:
        with gr.Column(visible=False) as self.pair:
            gr.Markdown("## Two of them, closely\nDrag across the picture, or use the arrow keys.")
            with gr.Row():
                with gr.Column(min_width=240, scale=1):
                    self.left = gr.Dropdown([], label="Left")
                    self.right = gr.Dropdown([], label="Right")
                    self.vote = gr.Button("Vote on pairs like this", link="take-part")
                with gr.Column(min_width=300, scale=2):
                    self.slider = gr.HTML(elem_id="slider", label="Left and right", js_on_load=SLIDE)

    def wire(self, demo: gr.Blocks) -> None:
        results = [self.grid, self.status, self.png, self.page, self.left, self.right, self.pair, self.cells]
        demo.load(self.open_page, None, [self.prompt, self.seed, self.models, self.status], **QUIET)
        self.other.click(fresh_seed, None, self.seed, **QUIET)
        started = gr.on(
            [self.go.click, self.prompt.submit], lambda: (busy("Painting …"), "Getting the models ready …"),
            outputs=[self.go, self.status], **QUIET,
        )  # fmt: skip
        started.then(
            self.compare, [self.prompt, self.models, self.seed], results, api_name="compare",
            preprocess=False, **PAINTING,
            api_description="Paint a prompt with several models at every number of steps, all from the noise of one "
            "seed. Returns the table, one line about it, and the table as a PNG file and as a web page.",
        ).then(self.enable, self.cells, [self.go, self.png, self.page], **QUIET)  # fmt: skip
        gr.on(
            [self.left.change, self.right.change, self.cells.change], self.side_by_side,
            [self.left, self.right, self.cells], self.slider, **QUIET,
        )  # fmt: skip

    def open_page(self, request: gr.Request) -> tuple[Any, ...]:
        wanted, names = asked(request.query_params), self.services.models.names()
        models = gr.CheckboxGroup(choices=names, value=names)
        return wanted.get("prompt", PROMPT), wanted.get("seed", SEED), models, "" if names else NO_MODELS

    def compare(self, prompt, models, seed) -> Iterator[tuple[Any, ...]]:
        """Row by row; the files and the pair at the end."""
        kept = [gr.skip()] * 6
        with told() as sentences, tempfile.TemporaryDirectory() as folder:
            names = self.check(prompt, models, seed)
            drawn, source = drawings_of(self.services, prompt), cached(self.grid.GRADIO_CACHE)
            cells: dict[Key, Timed] = {}
            for number, cells in enumerate(compare(self.services, prompt, names, int(seed)), 1):
                tables = [*drawn, table_of(names, cells)]
                said = f"{counted(number, 'model')} of {len(names)} …"
                yield page_tables(tables, source), said, *kept
            note = f"Seed {int(seed)}; the time is of one picture on this machine."
            files = (
                write(Path(folder), png(sheet(prompt, note, tables)), "comparison.png"),
                write(Path(folder), file_page(prompt, note, tables).encode(), "comparison.html"),
            )
            yield gr.skip(), note, *files, *pair(cells), gr.Group(visible=True), cells
        if sentences:
            yield gr.skip(), sentences[0], *kept

    def check(self, prompt: object, models: object, seed: object) -> list[str]:
        """The models' names. Raises UserError or ForgedError: see `Services.plan`."""
        if not isinstance(models, list):
            raise ForgedError("models must be a list of names.")
        names = [
            self.services.known(model) for model in dict.fromkeys(map(str, models or self.services.models.names()))
        ]
        for name in names or [""]:
            self.services.plan(prompt, name, self.services.models.steps(name)[0] if name else 1, seed)
        return names

    def enable(self, cells: dict[Key, Timed]) -> tuple[Any, ...]:
        files = (gr.DownloadButton(interactive=bool(cells)) for _ in (self.png, self.page))
        return gr.Button("Compare", interactive=True), *files

    def side_by_side(self, left: str | None, right: str | None, cells: dict[Key, Timed]) -> Any:
        named = {cell_name(key): painted.picture for key, painted in cells.items()}
        if left not in named or right not in named:
            return gr.skip()
        return slider((left, named[left]), (right, named[right]), cached(self.slider.GRADIO_CACHE))


def pair(cells: dict[Key, Timed]) -> tuple[Any, Any]:
    """The first model's quickest picture beside the last model's most thorough one."""
    names = [cell_name(key) for key in cells]
    return gr.Dropdown(choices=names, value=names[0]), gr.Dropdown(choices=names, value=names[-1])


def cell_name(key: Key) -> str:
    return f"{key[0]}, {counted(key[1], 'step')}"
