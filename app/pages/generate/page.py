"""The Generate page: type a prompt, watch the pictures appear."""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from app.engine.events import Flag
from app.engine.services import NO_MODELS, Services, fresh_seed
from app.engine.wording import Wording, wording
from app.errors import ForgedError
from app.look.handlers import (
    FAILED,
    GENERATING,
    MISTAKES,
    QUIET,
    SAYING,
    UNCHECKED,
    Updates,
    at_once,
    warn,
)
from app.look.links import asked, link, nearest
from app.look.tables import kept
from app.pages.generate.history import remember, shown
from app.pages.generate.layout import EXAMPLES, STEPS_INFO, Layout
from app.pages.generate.progress import Progress, notes
from app.pages.generate.reading import other_names, said_of
from e2ed2.data.emoji import split_style
from e2ed2.inference.request import MAX_COUNT, STEPS, Request
from e2ed2.reading.captions import BEST, STYLES

# Reload and Back show the same pictures again.
IN_THE_BAR = "(address) => { if (address) history.replaceState(history.state, '', address); }"


class GeneratePage(Layout):
    """What the fields do, and how they hang together."""

    def __init__(self, services: Services, demo: gr.Blocks):
        super().__init__(services)
        self.wire(demo)

    def wire(self, demo: gr.Blocks) -> None:
        results = [
            *(self.pictures, self.status, self.seed, self.address, self.download, self.made),
            *(self.reading, self.names),
        ]
        fields = [self.prompt, self.model, self.steps, self.seed, self.randomise, self.count]
        words = [self.style, self.exactly, self.read_as]
        welcome = demo.load(self.open_page, None, [*fields, *words], **SAYING).success(
            self.welcome,
            [self.prompt, self.model, self.steps, self.seed, self.count, self.inside, *words, self.status],
            results,
            api_visibility="private",
            preprocess=False,
            **GENERATING,
        )
        started = gr.on(
            [self.go.click, self.prompt.submit],
            outputs=[self.go, self.stop, self.status, self.download],
            trigger_mode="multiple",  # the next request ends the one before
            **at_once(gr.update(visible=False), gr.update(visible=True), "Starting …", gr.update(interactive=False)),
        )
        begun = started.then(Flag, None, self.begun, trigger_mode="multiple", **QUIET)
        generated = begun.success(
            self.generate,
            [*fields, self.inside, *words, self.begun],
            results,
            trigger_mode="multiple",
            api_name="generate",
            preprocess=False,
            **GENERATING,
            api_description="Generate pictures of a prompt. Returns the pictures, one line about them, the first seed, "
            "a link that generates them again, the picture's file, or a zip of several, and what it was read as.",
        )
        self.names.change(self.offer, self.names, self.others, **QUIET)
        chosen = self.others.click(lambda sample: sample[0], self.others, self.read_as, **QUIET)
        chosen.failure(outputs=self.status, **at_once(FAILED))
        begun_again = chosen.success(Flag, None, self.begun, **QUIET)
        again = begun_again.success(
            self.generate,  # from the same noise; the reading stays until the prompt changes
            [
                *(self.prompt, self.model, self.steps, self.seed, self.off, self.count, self.inside),
                *(self.style, self.off, self.read_as, self.begun),
            ],
            results,
            trigger_mode="multiple",
            api_visibility="private",
            preprocess=False,
            **GENERATING,
        )
        buttons = [self.go, self.stop, self.download]
        for done in (welcome, generated, again):
            done.success(self.buttons, [self.made, self.begun], buttons, **QUIET)
            done.success(self.keep, [self.history, self.made], self.history, **QUIET)
        for event in (begun, begun_again, welcome, generated, again):
            event.failure(self.give_up, [self.made, self.begun], buttons, **QUIET)
            event.failure(outputs=self.status, **at_once(FAILED))
        generated.success(None, self.address, js=IN_THE_BAR, **QUIET)
        self.stop.click(outputs=self.status, **at_once("Stopping …"))
        self.stop.click(self.stop_generating, self.begun, **QUIET)
        self.examples.click(lambda sample: sample[0], self.examples, self.prompt, **QUIET)
        gr.on([self.prompt.input, self.examples.click], outputs=self.read_as, **at_once(""))
        self.exactly.change(lambda exactly: gr.Radio(interactive=not exactly), self.exactly, self.style, **QUIET)
        self.seed.input(outputs=self.randomise, **at_once(False))
        self.model.change(
            self.suit_model,
            [self.model, self.steps],
            [self.steps, self.examples, self.style, self.exactly],
            **UNCHECKED,
        )
        gr.on([demo.load, self.history.change], self.show_past, self.history, self.past, **QUIET)
        self.past.select(self.use_again, self.history, [*fields[:-1], *words], **QUIET)
        self.forget.click(outputs=[self.history, self.past], **at_once([], []))

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
        """The last one is whole: it is what a client of the API gets."""
        flag = begun or Flag()
        try:
            if not isinstance(randomise, bool):
                raise ForgedError("randomise must be true or false.")
            wanted = wording(style, exactly, read_as)
            requests = self.services.plan(prompt, model, steps, fresh_seed() if randomise else seed, count, wanted)
            yield from self.follow(requests, wanted, bool(inside), flag, request)
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}
        finally:
            flag.over = True

    def follow(
        self, requests: list[Request], wanted: Wording, inside: bool, stop: Flag, visitor: gr.Request
    ) -> Iterator[Updates]:
        """The pictures while they come into being, and when they are there all that goes with them."""
        first = requests[0]
        reading = self.services.read(first.prompt, first.model, wanted)
        fields: Updates = {
            self.seed: first.seed,
            self.address: self.link(requests, wanted, visitor),
            self.reading: said_of(requests, reading),
            self.names: other_names(requests, reading),
        }
        session = visitor.session_hash
        with self.services.stoppable(session, stop), tempfile.TemporaryDirectory() as folder:
            progress = Progress(requests, Path(folder), inside)
            for event in self.services.generate(requests, stop):
                if self.services.running(session) is not stop:
                    return  # the visitor has asked for something else
                progress.add(event)
                yield fields | {self.pictures: self.files_of(progress), self.status: progress.status}
            if progress.made:
                whole = fields | {
                    self.pictures: self.files_of(progress),
                    self.status: progress.status,
                    self.address: self.link(requests[: len(progress.made)], wanted, visitor),
                    self.download: progress.download(),
                    self.made: progress.made,
                }
                yield whole
                yield whole | {self.status: progress.status + notes(self.services, first, reading is not None)}

    def offer(self, names: list[str]) -> Any:
        return gr.Dataset(samples=[[name] for name in names], visible=bool(names))

    def link(self, requests: list[Request], wanted: Wording, visitor: gr.Request) -> str:
        """The address of these pictures; of one alone it says what its prompt was read as."""
        first = requests[0]
        name, style = (wanted.read_as, wanted.style) if len(requests) > 1 else split_style(first.caption)
        words = {"exactly": 1} if not first.caption else {"style": style, "read_as": name}
        settings = asdict(first) | {"count": len(requests)} | words
        return link(visitor, "", **{one: value for one, value in settings.items() if value != "" and one != "caption"})

    def files_of(self, progress: Progress) -> list[tuple[str, str]]:
        cache = self.pictures.GRADIO_CACHE
        return [(one if isinstance(one, str) else kept(one, cache), words) for one, words in progress.pictures]

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
        """The pictures that the address asks for, or one to begin with, unless the visitor was quicker."""
        if not self.services.models.names():
            yield {self.status: NO_MODELS}
        elif not status and self.services.running(request.session_hash) is None:
            words = style, exactly, read_as
            yield from self.generate(prompt, model, steps, seed, False, count, inside, *words, None, request)
        else:  # Gradio empties what a function that yields nothing was to fill
            yield {self.status: gr.skip()}

    def open_page(self, request: gr.Request) -> Updates:
        """What no link asks for stays as it is: the visitor may be typing already."""
        models, wanted = self.services.models, asked(request.query_params)
        model, known = wanted.pop("model", None), models.names()
        if model and model not in known:
            gr.Warning("The link asks for a model that is not here, so another one is chosen.")
        possible = models.steps(str(model)) if model in known else STEPS
        for name, offered in (("steps", possible), ("count", range(1, MAX_COUNT + 1))):
            if name in wanted and wanted[name] not in offered:
                wanted[name] = nearest(wanted[name], offered)
                gr.Warning(f"The link asks for {name} that are not possible here: {wanted[name]} is used.")
        if len(possible) == 1:
            wanted["steps"] = possible[0]
        radio: dict[str, Any] = {"value": model} if model in known else {}
        shown: Updates = {self.model: gr.Radio(choices=models.choices(), **radio)}
        if wanted.get("style", BEST) not in STYLES or wanted.get("read_as", "") not in (
            "",
            *self.services.reader.names,
        ):
            gr.Warning("The link asks for a style or a reading that is not known here, so the usual ones are used.")
            wanted = {name: value for name, value in wanted.items() if name not in ("style", "read_as")}
        fields = {
            **{"prompt": self.prompt, "steps": self.steps, "seed": self.seed, "count": self.count},
            **{"style": self.style, "exactly": self.exactly, "read_as": self.read_as},
        }
        shown |= {fields[name]: value for name, value in wanted.items()}
        return shown | ({self.randomise: False} if "seed" in wanted else {})

    def suit_model(self, model: str | None, steps: int) -> Updates:
        """Only the steps that the model was made for, and examples of what it learned from."""
        if model not in self.services.models.names():
            return {self.steps: gr.skip()}
        readable = self.services.readable(model)
        possible = self.services.models.steps(model)
        captions = self.services.models.captions(model)
        step = steps if steps in possible else possible[-1]
        samples = EXAMPLES if captions is None else captions[: len(EXAMPLES)]
        only = self.services.models.only(model)
        return {
            self.steps: gr.Slider(value=step, interactive=not only, info=only or STEPS_INFO),
            self.examples: gr.Dataset(samples=[[text] for text in samples]),
            self.style: gr.Radio(visible=readable),
            self.exactly: gr.Checkbox(visible=readable),
        }

    def buttons(self, made: list, begun: Flag | None, request: gr.Request) -> Updates:
        waiting = begun is not None and not begun.over
        running = waiting or self.services.running(request.session_hash) is not None
        return {
            self.go: gr.Button(visible=not running),
            self.stop: gr.Button(visible=running),
            self.download: gr.DownloadButton(interactive=bool(made) and not running),
        }

    def give_up(self, made: list, begun: Flag | None, request: gr.Request) -> Updates:
        """Nothing comes of what was asked for."""
        if begun:
            begun.over = True
        return self.buttons(made, begun, request)

    def stop_generating(self, begun: Flag | None, request: gr.Request) -> None:
        if begun:
            begun.set()
        self.services.stop(request.session_hash)

    def keep(self, history: list, made: list) -> list:
        for settings, picture in reversed(made):
            history = remember(history, settings, picture)
        return history

    def show_past(self, history: list) -> list[tuple[str, str]]:
        return [(kept(picture, self.past.GRADIO_CACHE), words) for picture, words in shown(history)]

    def use_again(self, history: list, event: gr.SelectData) -> Updates:
        one = history[event.index]
        fields = {"prompt": self.prompt, "model": self.model, "steps": self.steps, "seed": self.seed}
        name, style = split_style(one.get("caption", ""))
        words = {self.exactly: not name, self.read_as: name, self.style: style or BEST}
        return {field: one[setting] for setting, field in fields.items()} | words | {self.randomise: False}
