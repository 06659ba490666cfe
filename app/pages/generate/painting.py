"""What the Generate page does when pictures are requested."""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import gradio as gr
from PIL import Image

from app.engine.events import Flag
from app.engine.services import NO_MODELS, fresh_seed
from app.engine.wording import Wording, wording
from app.errors import ForgedError
from app.look.enlarge import SIDES, enlarged, transparent
from app.look.files import file_name, png, write, write_zip
from app.look.handlers import MISTAKES, Updates, warn
from app.look.links import link
from app.look.tables import Cell, Row, Table, cache_picture, cached, page_tables
from app.pages.generate.layout import Layout
from app.pages.generate.progress import Progress, alike, notes
from app.pages.generate.reading import describe_reading, other_names
from e2ed2.data.emoji import split_style
from e2ed2.inference.request import Request

Made = list[tuple[Request, Image.Image]]


class Painting(Layout):
    def generate(
        self,
        prompt: object,
        model: object,
        steps: object,
        seed: object,
        randomise: object,
        count: object,
        inside: object,
        style: object,
        exactly: object,
        read_as: object,
        begun: Flag | None,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """The pictures as they come; the last update is complete, since it is what an API client gets."""
        flag = begun or Flag()
        try:
            with self.services.stoppable(request.session_hash, flag) as stop:
                if not isinstance(randomise, bool):
                    raise ForgedError("randomise must be true or false.")
                wanted = wording(style, exactly, read_as)
                requests = self.services.plan(prompt, model, steps, fresh_seed() if randomise else seed, count, wanted)
                yield from self.follow(requests, wanted, bool(inside), stop, request)
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}
        finally:
            flag.over = True

    def follow(
        self, requests: list[Request], wanted: Wording, inside: bool, stop: Flag, visitor: gr.Request
    ) -> Iterator[Updates]:
        """The pictures while they are being made and, when they are finished, all that goes with them."""
        first = requests[0]
        reading = self.services.read(first.prompt, first.model, wanted)
        fields: Updates = {
            self.seed: first.seed,
            self.address: self.link(requests, wanted, visitor),
            self.reading: describe_reading(requests, reading),
            self.names: other_names(requests, reading),
        }
        with tempfile.TemporaryDirectory() as folder:
            progress = Progress(requests, Path(folder), inside)
            for event in self.services.generate(requests, stop):
                if self.services.running(visitor.session_hash) is not stop:
                    yield {self.status: gr.skip()}  # if nothing is yielded, Gradio empties the outputs
                    return  # the visitor has made another request
                progress.add(event)
                yield fields | self.seen(progress)
            if progress.made:
                whole = fields | {
                    self.pictures: self.files_of(progress),
                    self.status: progress.status,
                    self.address: self.link(requests[: len(progress.made)], wanted, visitor),
                    self.download: progress.download(),
                    self.made: progress.made,
                }
                yield whole
                closing = alike(progress.made) + notes(self.services, first, reading is not None)
                yield whole | {self.status: progress.status + closing}

    def link(self, requests: list[Request], wanted: Wording, visitor: gr.Request) -> str:
        """The address of these pictures; for a single one, it includes what its prompt was read as."""
        first = requests[0]
        name, style = (wanted.read_as, wanted.style) if len(requests) > 1 else split_style(first.caption)
        words = {"exactly": 1} if not first.caption else {"style": style, "read_as": name}
        settings = asdict(first) | {"count": len(requests)} | words
        return link(visitor, "", **{one: value for one, value in settings.items() if value != "" and one != "caption"})

    def seen(self, progress: Progress) -> Updates:
        """Everything that is finished so far."""
        return {
            self.pictures: self.files_of(progress),
            self.status: progress.status,
            self.kept: list(progress.made),
            self.trail: progress.trail,
            self.underway: object(),
            self.download: gr.update(interactive=False),  # a message of the previous run may have arrived late
        }

    def files_of(self, progress: Progress) -> list[tuple[str, str]]:
        cache = self.pictures.GRADIO_CACHE
        return [(one if isinstance(one, str) else cache_picture(one, cache), words) for one, words in progress.pictures]

    def welcome(
        self,
        prompt: object,
        model: object,
        steps: object,
        seed: object,
        count: object,
        inside: object,
        style: object,
        exactly: object,
        read_as: object,
        status: object,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """The pictures that the address asks for, or an initial one, unless the visitor has asked for others."""
        if not self.services.models.names():
            yield {self.status: NO_MODELS}
        elif not status and self.services.running(request.session_hash) is None:
            words = style, exactly, read_as
            for shown in self.generate(prompt, model, steps, seed, False, count, inside, *words, None, request):
                if not request.query_params:  # nobody asked for the initial one: it is none of the visitor's
                    shown.pop(self.kept, None)
                    shown.pop(self.address, None)
                yield shown
        else:  # if nothing is yielded, Gradio empties the outputs
            yield {self.status: gr.skip()}

    def rest(self, made: Made, trail: list[Image.Image], begun: Flag | None, request: gr.Request) -> Updates:
        """Update the buttons once nothing is running any more, and the steps, which come after their picture."""
        strip = self.strip_of(trail)  # takes a moment, in which more may be requested
        waiting = begun is not None and not begun.over
        running = waiting or self.services.running(request.session_hash) is not None
        there = bool(made) and not running
        return {
            self.go: gr.Button(visible=not running),
            self.stop: gr.Button(visible=running),
            self.download: gr.DownloadButton(interactive=there),
            self.more: gr.Button(interactive=there),
            self.strip: gr.skip() if running else strip,
            **self.ways(made[0][0] if made else None, request),
        }

    def strip_of(self, trail: list[Image.Image]) -> gr.HTML:
        if not trail:
            return gr.HTML(visible=False)
        columns = tuple(f"step {number}" for number in range(1, len(trail) + 1))
        table = Table(columns, (Row("The model’s guess", tuple(map(Cell, trail))),))
        return gr.HTML(page_tables([table], cached(self.pictures.GRADIO_CACHE)), visible=True)

    def ways(self, one: Request | None, visitor: gr.Request) -> Updates:
        """Links with a picture's settings to the pages that show more of it."""
        if one is None or one.model not in self.services.models.names():
            return {self.to_compare: gr.Button(visible=False), self.to_steps: gr.Button(visible=False)}
        settings = {"prompt": one.words, "seed": one.seed} | ({} if one.caption else {"exactly": 1})
        steps = link(visitor, "trajectory", **settings, model=one.model, steps=one.steps)
        return {
            self.to_compare: gr.Button(link=link(visitor, "compare", **settings), visible=True),
            self.to_steps: gr.Button(link=steps, visible=self.services.models.ours(one.model)),
        }

    def give_up(self, made: Made, trail: list[Image.Image], begun: Flag | None, request: gr.Request) -> Updates:
        """Mark the request as over, and restore the page."""
        if begun:
            begun.over = True
        return self.rest(made, trail, begun, request)

    def stop_generating(self, begun: Flag | None, request: gr.Request) -> None:
        if begun:
            begun.set()
        self.services.stop(request.session_hash)

    def file_of(self, made: Made, side: object, clear: object, inside: object) -> Iterator[Updates]:
        """The picture's file, or a zip of several, with the options that the visitor chose."""
        if not made or side not in SIDES:
            yield {self.download: gr.skip()}
            return
        with tempfile.TemporaryDirectory() as name:
            folder, files = Path(name), []
            for settings, picture in made:
                large = enlarged(picture, int(str(side)))
                data = png(transparent(large) if clear else large, settings if inside else None)
                files.append(write(folder, data, file_name(settings)))
            several = len(files) > 1
            yield {self.download: write_zip(folder, files, [one for one, _ in made]) if several else files[0]}
