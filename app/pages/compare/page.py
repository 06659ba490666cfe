"""The Compare page: one prompt, one noise, every model at every number of steps."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
from PIL import Image

from app.engine.services import FRESH_SEEDS, NO_MODELS, Services, Timed
from app.engine.wording import Wording, wording
from app.errors import ForgedError
from app.look.files import png, write
from app.look.handlers import (
    FAILED,
    GENERATING,
    MISTAKES,
    QUIET,
    SAYING,
    UNCHECKED,
    Updates,
    afterwards,
    at_once,
    busy,
    warn,
)
from app.look.links import asked
from app.look.names import NAMES
from app.look.tables import CHOOSE, MARK, SLIDE, Table, cached, file_page, page_tables, sheet, slider
from app.look.words import counted
from app.pages.compare.grid import Compared, Key, cell_name, compare, drawings_of, table_of
from app.pages.generate.progress import IN_TURN
from app.pages.generate.reading import said_of
from e2ed2.data.styles import BEST
from e2ed2.errors import UserError
from e2ed2.inference.request import Request

PROMPT, SEED = "cat face", 4
VOTE = (
    "Three questions, without the names; after you vote, we show which model made which picture. By voting you "
    "agree that your answers are kept under a random number, with the size of your window and the time that you took, "
    "and perhaps published so. One cookie remembers that you voted."
)
VOTE_ON = "Vote on this pair"
OTHER_SEED = f"() => Math.floor({FRESH_SEEDS} * Math.random())"
# The address is empty where the pair cannot be voted on.
TO_BALLOT = """(address) => {
    if (!address) return;
    const form = Object.assign(document.createElement("form"), { method: "post", action: address });
    document.body.append(form);
    form.submit();
}"""
PairLink = Callable[[str, Mapping[str, Image.Image], str], str]  # prompt, pictures by name, the way back
EMPTY = "<p class='hint'>The pictures come here: a row for each model, a column for each number of steps.</p>"


class ComparePage:
    def __init__(self, services: Services, demo: gr.Blocks, pair_link: PairLink):
        self.services, self.pair_link = services, pair_link
        gr.Markdown("# The same noise, every model\nWhat do the models make of one prompt, and what do more steps add?")
        self.lay_out_question()
        self.status = gr.Markdown(label="Status", elem_id="status")
        self.grid = gr.HTML(EMPTY, elem_id="grid", label="Pictures", js_on_load=CHOOSE)
        with gr.Row():
            self.png = gr.DownloadButton("Download as PNG", interactive=False, min_width=160)
            self.page = gr.DownloadButton("Download as a web page", interactive=False, min_width=160)
        self.lay_out_pair()
        self.compared = gr.State(None)  # what the grid shows
        self.ballot = gr.Textbox(visible=False)  # the address of the pair to vote on
        self.wire(demo)

    def lay_out_question(self) -> None:
        with gr.Row(elem_classes="ask"):
            self.prompt = gr.Textbox(PROMPT, label="Prompt", max_lines=1, scale=4, min_width=280)
            self.seed = gr.Number(SEED, label="Seed", precision=0, scale=1, min_width=110)
            self.other = gr.Button("Other noise", scale=1, min_width=110)
            self.go = gr.Button("Compare", variant="primary", scale=1, min_width=110)
        self.exactly = gr.Checkbox(
            False, label="Exactly my words", info="Give the models your words as they are: they may not know them."
        )
        names = self.services.models.names()
        self.models = gr.CheckboxGroup(names, value=names, label="Models", info=NAMES)

    def lay_out_pair(self) -> None:
        with gr.Column(visible=False) as self.pair:
            gr.Markdown(
                "## Two of them, closely\nPress pictures above to choose them. Drag across the picture here, "
                "or use the arrow keys."
            )
            with gr.Row():
                with gr.Column(min_width=240, scale=1):
                    self.left = gr.Dropdown([], label="Left")
                    self.right = gr.Dropdown([], label="Right")
                    self.vote = gr.Button(VOTE_ON)
                    gr.Markdown(VOTE, elem_classes="hint")
                with gr.Column(min_width=300, scale=2):
                    self.slider = gr.HTML(elem_id="slider", label="Left and right", js_on_load=SLIDE)

    def wire(self, demo: gr.Blocks) -> None:
        results = [self.grid, self.status, self.png, self.page, self.left, self.right, self.pair, self.compared]
        asked_for = [self.prompt, self.models, self.seed, self.exactly]
        shown = [self.prompt, self.seed, self.models, self.exactly, self.status]
        welcome = demo.load(self.open_page, None, shown, **QUIET).success(
            self.welcome, asked_for, results, api_visibility="private", preprocess=False, **GENERATING
        )
        self.other.click(None, None, self.seed, js=OTHER_SEED, **QUIET)
        started = gr.on(
            [self.go.click, self.prompt.submit],
            outputs=[self.go, self.status],
            **at_once(busy("Generating …"), "Getting the models ready …"),
        )
        generated = started.then(
            self.compare,
            asked_for,
            results,
            api_name="compare",
            preprocess=False,
            **GENERATING,
            api_description="Generate a prompt with several models at every number of steps, all from the noise of one "
            "seed. Returns the table, one line about it, and the table as a PNG file and as a web page.",
        )
        for done in (welcome, generated):
            afterwards(done, self.enable, self.compared, [self.go, self.png, self.page], **QUIET)
            done.failure(outputs=self.status, **at_once(FAILED))
        pair = [self.left, self.right, self.compared]
        self.grid.select(self.choose, pair, pair[:2], **UNCHECKED)
        changed = [one.change for one in pair]
        gr.on(changed, self.side_by_side, pair, self.slider, **UNCHECKED)
        gr.on(changed, None, pair[:2], js=MARK, **QUIET)
        chosen = self.vote.click(outputs=self.vote, **at_once(busy("Opening the pair …")))
        opened = chosen.then(self.open_ballot, pair, [self.ballot, self.vote], preprocess=False, **SAYING)
        opened.success(None, self.ballot, js=TO_BALLOT)
        opened.failure(outputs=self.vote, **at_once(gr.update(value=VOTE_ON, interactive=True)))

    def open_page(self, request: gr.Request) -> Updates:
        """What the address asks for; a field that it does not name stays: a visitor may be typing already."""
        wanted, names = asked(request.query_params), self.services.models.names()
        fields = {"prompt": self.prompt, "seed": self.seed, "exactly": self.exactly}
        return {field: wanted[name] for name, field in fields.items() if name in wanted} | {
            self.models: gr.CheckboxGroup(choices=names, value=names),
            self.status: "" if names else NO_MODELS,
        }

    def welcome(
        self, prompt: object, models: object, seed: object, exactly: object, request: gr.Request
    ) -> Iterator[Updates]:
        """The grid that the address asks for."""
        if "prompt" in request.query_params and self.services.models.names():
            yield from self.compare(prompt, models, seed, exactly, request)
        else:  # Gradio empties what a function that yields nothing was to fill
            yield {self.status: gr.skip()}

    def compare(
        self, prompt: object, models: object, seed: object, exactly: object, request: gr.Request
    ) -> Iterator[Updates]:
        """Row by row; the files and the pair at the end, whole, for clients of the API."""
        try:
            yield from self.rows(self.check(prompt, models, seed, wording(BEST, exactly, "")))
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}

    def rows(self, requests: list[Request]) -> Iterator[Updates]:
        first, names = requests[0], [request.model for request in requests]
        drawn, source = drawings_of(self.services, first.words), cached(self.grid.GRADIO_CACHE)
        tables: list[Table] = []
        cells: dict[Key, Timed] = {}
        for number, cells in enumerate(compare(self.services, requests), 1):
            tables = [*drawn, table_of(names, cells)]
            said = f"{counted(number, 'model')} of {len(names)}{IN_TURN if len(self.services.turns) else ''} …"
            yield {self.grid: page_tables(tables, source), self.status: said}
        said = f"{said_of(requests)} Seed {first.seed}; the time is of one picture on this machine.".strip()
        note = said.replace("**", "")
        left, right = pair(list(cells))
        with tempfile.TemporaryDirectory() as folder:
            yield {
                self.grid: page_tables(tables, source),
                self.status: said,
                self.png: write(Path(folder), png(sheet(first.prompt, note, tables)), "comparison.png"),
                self.page: write(Path(folder), file_page(first.prompt, note, tables).encode(), "comparison.html"),
                self.left: left,
                self.right: right,
                self.pair: gr.Column(visible=True),
                self.compared: Compared(
                    first.prompt, first.seed, {cell_name(key): one.picture for key, one in cells.items()}
                ),
            }

    def check(self, prompt: object, models: object, seed: object, wanted: Wording) -> list[Request]:
        """One for each model. Raises UserError or ForgedError: no model, or see `Services.plan`."""
        if not isinstance(models, list):
            raise ForgedError("models must be a list of names.")
        names = [self.services.known(model) for model in dict.fromkeys(map(str, models))]
        if not names:
            raise UserError("Tick at least one model." if self.services.models.names() else NO_MODELS)
        steps = self.services.models.steps
        return [self.services.plan(prompt, name, steps(name)[0], seed, wording=wanted)[0] for name in names]

    def enable(self, compared: Compared | None) -> Updates:
        file = gr.DownloadButton(interactive=compared is not None)
        return {self.go: gr.Button("Compare", interactive=True), self.png: file, self.page: file}

    def choose(self, left: str, right: str, compared: Compared | None, pressed: gr.EventData) -> Updates:
        """The two pictures that were pressed last."""
        name = pressed.name
        known = compared is not None and name in compared.cells
        left, right = (right, name) if known and name not in (left, right) else (left, right)
        return {self.left: left, self.right: right}

    def side_by_side(self, left: str, right: str, compared: Compared | None) -> Any:
        cells = compared.cells if compared else dict[str, Image.Image]()
        if left not in cells or right not in cells:
            return gr.skip()
        return slider((left, cells[left]), (right, cells[right]), cached(self.slider.GRADIO_CACHE))

    def open_ballot(self, left: str, right: str, compared: Compared | None, request: gr.Request) -> Updates:
        """The address where this very pair is voted on; the button as it was."""
        address = ""
        try:
            if compared is None or not {left, right} <= set(compared.cells):
                raise UserError("These pictures are no longer at hand: press Compare once more, then vote.")
            back = f"../compare?{urlencode({'prompt': compared.prompt, 'seed': compared.seed})}"
            pictures = {name: compared.cells[name] for name in (left, right)}
            address = self.pair_link(compared.prompt, pictures, back)
        except MISTAKES as mistake:
            warn(mistake, request)
        return {self.ballot: address, self.vote: gr.Button(VOTE_ON, interactive=True)}


def pair(cells: list[Key]) -> tuple[Any, Any]:
    """The first model beside the last, each at its most steps."""
    names, first = [cell_name(key) for key in cells], max(key for key in cells if key[0] == cells[0][0])
    return gr.Dropdown(choices=names, value=cell_name(first)), gr.Dropdown(choices=names, value=names[-1])
