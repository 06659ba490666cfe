"""The Compare page: models and steps, or any two settings, side by side; and a vote on two of the pictures."""

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from app.engine.events import Flag
from app.engine.services import NO_MODELS, Services
from app.engine.wording import wording
from app.errors import ForgedError
from app.look.closely import closely
from app.look.files import png, write
from app.look.handlers import MISTAKES, Updates, warn
from app.look.links import link, settings_of
from app.look.tables import Table, cached, file_page, page_tables, sheet
from app.look.words import counted
from app.pages.compare.axes import KINDS, Axis, Base, axis, example, requests_of
from app.pages.compare.grid import Compared, Grid, compared, drawings_of, manifest, paint, table_of
from app.pages.compare.layout import BLIND, VOTE_ON, Layout
from app.pages.compare.wiring import wire
from app.pages.generate.progress import IN_TURN
from app.pages.generate.reading import describe_reading
from e2ed2.data.styles import BEST
from e2ed2.errors import UserError
from e2ed2.inference.request import STEPS, Request, slug

PairLink = Callable[[str, Mapping[str, Image.Image], str], str]  # prompt, pictures by name, the address to return to


class Wanted(NamedTuple):
    base: Base
    rows: Axis
    columns: Axis
    address: str


class ComparePage(Layout):
    def __init__(self, services: Services, demo: gr.Blocks, pair_link: PairLink):
        super().__init__(services)
        self.pair_link = pair_link
        wire(self, demo)

    def open_page(self, request: gr.Request) -> Updates:
        """Set the fields that the address names; others stay as they are, since a visitor may be typing already."""
        wanted, names = settings_of(request.query_params), self.services.models.names()
        ticked = [name for name in str(wanted.get("models", "")).split(",") if name in names]
        allowed = {"rows": KINDS, "columns": KINDS, "model": names}
        fields: dict[str, Any] = {
            **{"prompt": self.prompt, "seed": self.seed, "style": self.style, "steps": self.steps, "model": self.model},
            **{"rows": self.rows, "row_values": self.row_values},
            **{"columns": self.columns, "column_values": self.column_values},
        }
        shown = {
            field: wanted[name]
            for name, field in fields.items()
            if name in wanted and wanted[name] in allowed.get(name, [wanted[name]])
        }
        chosen: dict[str, Any] = {"value": shown[self.model]} if self.model in shown else {}
        return shown | {
            self.exactly: "exactly" in wanted if "prompt" in wanted else gr.skip(),
            self.models: gr.CheckboxGroup(choices=names, value=ticked or names),
            self.model: gr.Dropdown(choices=self.services.models.choices(), **chosen),
            self.kinds: gr.Tabs(selected="any") if {"rows", "columns"} <= wanted.keys() else gr.skip(),
            self.status: gr.skip() if names else NO_MODELS,
        }

    def welcome(
        self,
        prompt: object,
        models: object,
        model: object,
        steps: object,
        seed: object,
        style: object,
        exactly: object,
        rows: object,
        row_values: object,
        columns: object,
        column_values: object,
        status: object,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """The grid that the address asks for, or an initial one, unless the visitor has already asked for another."""
        if status or self.services.running(request.session_hash) or not self.services.models.names():
            yield {self.status: gr.skip()}
        elif {"rows", "columns"} <= set(request.query_params):
            axes = rows, row_values, columns, column_values
            yield from self.compare_any(prompt, model, steps, seed, style, exactly, *axes, request)
        else:
            for shown in self.compare(prompt, models, seed, exactly, request):
                if not request.query_params:  # the initial grid has no address of its own
                    shown.pop(self.address, None)
                yield shown

    def compare(
        self, prompt: object, models: object, seed: object, exactly: object, request: gr.Request
    ) -> Iterator[Updates]:
        """Models in rows, numbers of steps in columns."""

        def wanted() -> Wanted:
            if not isinstance(models, list):
                raise ForgedError("models must be a list of names.")
            names = [self.services.known(model) for model in dict.fromkeys(map(str, models))]
            if not names:
                raise UserError("Tick at least one model." if self.services.models.names() else NO_MODELS)
            base = Base(prompt, names[0], STEPS[-1], seed, wording(BEST, exactly, ""))
            words: dict[str, Any] = {"prompt": prompt, "seed": seed, "models": ",".join(names)}
            address = link(request, "compare", **words | ({"exactly": 1} if exactly else {}))
            return Wanted(base, Axis("models", tuple(names)), Axis("steps", STEPS), address)

        yield from self.answer(wanted, request)

    def compare_any(
        self,
        prompt: object,
        model: object,
        steps: object,
        seed: object,
        style: object,
        exactly: object,
        rows: object,
        row_values: object,
        columns: object,
        column_values: object,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Any two settings, in rows and columns."""

        def wanted() -> Wanted:
            base = Base(prompt, model, steps, seed, wording(style, exactly, ""))
            words: dict[str, Any] = {
                **{"prompt": prompt, "model": model, "steps": steps, "seed": seed, "style": style},
                **{"rows": rows, "row_values": row_values, "columns": columns, "column_values": column_values},
            }
            address = link(request, "compare", **words | ({"exactly": 1} if exactly else {}))
            return Wanted(base, axis(rows, row_values), axis(columns, column_values), address)

        yield from self.answer(wanted, request)

    def answer(self, wanted: Callable[[], Wanted], request: gr.Request) -> Iterator[Updates]:
        """The pictures, or what is wrong with the request; either way, the visitor's earlier request ends."""
        flag = Flag()
        try:
            with self.services.stoppable(request.session_hash, flag):
                yield from self.follow(wanted(), flag, request)
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}

    def follow(self, wanted: Wanted, flag: Flag, request: gr.Request) -> Iterator[Updates]:
        """The grid row by row, then the complete update, for clients of the API. The visitor's next request ends it."""
        base, rows, columns, address = wanted
        empty = Grid(rows, columns, requests_of(self.services, base, rows, columns), {})
        first = next((one for row in empty.requests for one in row if isinstance(one, Request)), None)
        if first is None:
            raise UserError("No model here was made for these numbers of steps.")
        one_prompt = "prompts" not in (rows.kind, columns.kind)
        drawn = drawings_of(self.services, first.words) if one_prompt else []
        source = cached(self.grid.GRADIO_CACHE)
        for number, grid in enumerate(paint(self.services, empty), 1):
            if self.services.running(request.session_hash) is not flag:
                yield {self.status: gr.skip()}  # if nothing is yielded, Gradio empties the outputs
                return
            tables = [*drawn, table_of(grid)]
            message = f"{number} of {counted(len(rows.values), 'row')}{IN_TURN if len(self.services.turns) else ''} …"
            yield {self.grid: page_tables(tables, source), self.status: message, self.address: address}
        yield from self.finish(grid, tables, first, one_prompt, address)

    def finish(
        self, grid: Grid, tables: list[Table], first: Request, one_prompt: bool, address: str
    ) -> Iterator[Updates]:
        read = (
            f"{describe_reading([first])} "
            if one_prompt and "styles" not in (grid.rows.kind, grid.columns.kind)
            else ""
        )
        seed = "" if "seeds" in (grid.rows.kind, grid.columns.kind) else f"Seed {first.seed}; "
        message = f"{read}{seed}the time is of one picture on this machine.".strip()
        note, title = message.replace("**", ""), first.prompt if one_prompt else "Several prompts"
        record = compared(grid, address)
        names, (left, right), file = list(record.cells), pair_of(grid), f"{slug(title)}_comparison"
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            yield {
                self.grid: page_tables(tables, cached(self.grid.GRADIO_CACHE)),
                self.status: message,
                self.png: write(folder, png(sheet(title, note, tables)), f"{file}.png"),
                self.page: write(folder, file_page(title, note, tables).encode(), f"{file}.html"),
                self.manifest: write(folder, manifest(grid), f"{file}.json"),
                self.left: gr.Dropdown(choices=names, value=left),
                self.right: gr.Dropdown(choices=names, value=right),
                self.pair: gr.Column(visible=True),
                self.compared: record,
                self.address: address,
            }

    def begin_axis(self, kind: str) -> tuple[str, Any]:
        """Initial values for an axis, and “Exactly my words” off for styles, which have no effect on exact words."""
        if kind not in KINDS:
            raise gr.Error("There is no such axis.", print_exception=False)
        return example(kind, self.services), False if kind == "styles" else gr.skip()

    def enable(self, kept: Compared | None) -> Updates:
        file = gr.DownloadButton(interactive=kept is not None)
        buttons = {
            self.go: gr.Button("Compare", interactive=True),
            self.go_any: gr.Button("Compare these", interactive=True),
        }
        return buttons | {self.png: file, self.page: file, self.manifest: file}

    def choose(self, left: str, right: str, kept: Compared | None, pressed: gr.EventData) -> Updates:
        """Select the two pictures that were pressed last."""
        name = pressed.name
        known = kept is not None and name in kept.cells
        left, right = (right, name) if known and name not in (left, right) else (left, right)
        return {self.left: left, self.right: right}

    def side_by_side(self, left: str, right: str, kept: Compared | None) -> Any:
        cells = kept.cells if kept else {}
        if left not in cells or right not in cells:
            return gr.skip()
        pictures = ((name, cells[name][1]) for name in (left, right))
        return closely(*pictures, cached(self.slider.GRADIO_CACHE))

    def open_ballot(self, left: str, right: str, kept: Compared | None, request: gr.Request) -> Updates:
        """Set the address where this pair is voted on, and restore the button."""
        address = ""
        try:
            if kept is None or not {left, right} <= set(kept.cells):
                raise UserError("These pictures are no longer at hand: press Compare once more, then vote.")
            address = self.ballot_of([kept.cells[name] for name in (left, right)], kept.address)
        except MISTAKES as mistake:
            warn(mistake, request)
        return {self.ballot: address, self.vote: gr.Button(VOTE_ON, interactive=True)}

    def vote_blind(self, prompt: object, models: object, seed: object, exactly: object, request: gr.Request) -> Updates:
        """Open a vote on a pair that nobody has seen: two of the models, drawn at random."""
        address = ""
        try:
            names = [self.services.known(model) for model in models] if isinstance(models, list) else []
            if len(names) < 2:
                raise UserError("Tick at least two models, of which two are drawn by lot.")
            wanted, most = wording(BEST, exactly, ""), self.services.models.steps
            pair = [
                self.services.plan(prompt, name, most(name)[-1], seed, wording=wanted)[0]
                for name in random.sample(names, 2)
            ]
            back: dict[str, Any] = {"prompt": prompt, "seed": seed, "models": ",".join(names)}
            back = back | ({"exactly": 1} if exactly else {})
            address = self.ballot_of(
                [(one, self.services.picture(one)) for one in pair], link(request, "compare", **back)
            )
        except MISTAKES as mistake:
            warn(mistake, request)
        return {self.ballot: address, self.blind: gr.Button(BLIND, interactive=True)}

    def ballot_of(self, pair: list[tuple[Request, Image.Image]], back: str) -> str:
        """The address of a vote on the pair. Raises UserError or StudyError: the two cannot be voted on."""
        arms = {f"{one.model}, {counted(one.steps, 'step')}": picture for one, picture in pair}
        if len({one.words for one, _ in pair}) > 1:
            raise UserError("Choose two pictures of the same words to vote on.")
        if len(arms) < 2:
            raise UserError("Choose two pictures of different models or numbers of steps to vote on.")
        return self.pair_link(pair[0][0].prompt, arms, f"../compare?{back.partition('?')[2]}")


def pair_of(grid: Grid) -> tuple[str, str]:
    """The names of the two pictures selected at first: in the last column, or in the first row if rows are prompts."""
    if grid.rows.kind == "prompts":
        row = [place for place in grid.made if place[0] == 0]
        return grid.name(row[0]), grid.name(row[-1])
    last = {place[0]: place for place in grid.made if grid.columns.kind != "prompts" or place[1] == 0}
    return grid.name(next(iter(last.values()))), grid.name(list(last.values())[-1])
