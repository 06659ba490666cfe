"""Pictures made from pictures: earlier ones again, more of the same, those between two; and a list of prompts."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from app.engine.events import Flag
from app.engine.services import fresh_seed
from app.engine.wording import wording
from app.errors import ForgedError
from app.look.handlers import MISTAKES, Updates, warn
from app.look.tables import cache_picture
from app.look.words import counted, plain
from app.pages.generate.history import NOT_OURS, archive, entries, restored
from app.pages.generate.opening import Opening
from app.pages.generate.painting import Made
from app.pages.generate.palette import palette
from app.pages.generate.progress import Progress
from app.pages.generate.reading import describe_reading
from e2ed2.data.emoji import split_style
from e2ed2.data.styles import MIXED
from e2ed2.errors import UserError
from e2ed2.inference.request import MAX_PROMPT, Request

MORE = 4  # pictures at least, when more like one are requested
LONGEST = 200  # prompts in a list
LONGEST_TEXT = LONGEST * (MAX_PROMPT + 1)  # characters
STAGES = 7  # pictures from one to another, both included
GO_LIST = "Generate the list"


class Again(Opening):
    def use_again(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Put a picture's settings back into the fields."""
        try:
            one = restored(event.settings)
        except UserError as mistake:
            return {self.status: warn(mistake, request)}
        model = one.model if one.model in self.services.models.names() else self.services.models.favourite()
        if model != one.model:
            gr.Warning(plain(f"{one.model} is not here: {model} makes the picture instead."))
        return {
            **{self.prompt: one.prompt, self.model: model, self.steps: one.steps, self.seed: one.seed, self.count: 1},
            **self.words_of(one),
            self.randomise: False,
        }

    def like_this(self, made: Made, count: int) -> Updates:
        """Set the fields for more pictures of the same name with other seeds, in the styles that are set."""
        if not made:
            return {self.count: max(count, MORE)}
        one = made[0][0]
        words = self.words_of(one) | {self.style: gr.skip()}
        return {self.prompt: one.prompt, **words, self.randomise: True, self.count: max(count, MORE)}

    def words_of(self, one: Request) -> Updates:
        """Set the fields so that the prompt is read as it was for this picture."""
        name, style = split_style(one.caption)
        return {self.exactly: not name, self.read_as: name, self.style: style or MIXED}

    def choose(self, event: gr.EventData) -> str:
        """The name of the thing that was pressed."""
        return str(event.name)[:MAX_PROMPT]

    def not_ours(self) -> None:
        gr.Warning(NOT_OURS)

    def to_browser(self, made: Made, sent: Made) -> tuple[str, Made]:
        """Pictures made since the last call: several, if they come faster than the browser takes them."""
        known = set(map(id, sent))
        return entries([one for one in made if id(one) not in known]), made

    def show_known(self) -> str:
        return palette(self.pictures.GRADIO_CACHE)

    def archive_of(self, event: gr.EventData) -> Iterator[Updates]:
        """The browser's pictures as a zip file."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield {self.archive: archive(event.pictures, Path(folder))}
            except MISTAKES as mistake:
                gr.Warning(plain(str(mistake)))
                yield {self.archive: None}

    def between_two(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Show the way from one picture to another, through captions and noise between theirs."""
        try:
            first, last = map(self.known_request, event.two)
            if (first.model, first.steps) != (last.model, last.steps):
                raise UserError("Between two pictures of different models or steps there is no way: choose two alike.")
            pictures = []
            for stage in range(STAGES):
                share = stage / (STAGES - 1)
                words = {0: first.words, 1: last.words}.get(share, f"{share:.0%} of the way")
                picture = self.services.midway(first, last, share)
                pictures.append((cache_picture(picture, self.pictures.GRADIO_CACHE), words))
                yield {
                    self.pictures: pictures,
                    self.status: plain(f"From “{first.words}” to “{last.words}”."),
                    **{self.trail: [], self.strip: self.strip_of([])},
                }
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}

    def known_request(self, given: object) -> Request:
        one = restored(given)
        self.services.known(one.model)
        return one

    def make_list(
        self,
        text: object,
        model: object,
        steps: object,
        seed: object,
        randomise: object,
        inside: object,
        style: object,
        exactly: object,
        begun: Flag | None,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """One picture of each prompt. The browser always holds the prompts that are left, so that it can resume."""
        flag = begun or Flag()
        try:
            with self.services.stoppable(request.session_hash, flag) as stop:
                wanted = wording(style, exactly, "")
                requests = [
                    self.services.plan(prompt, model, steps, fresh_seed() if randomise else seed, 1, wanted)[0]
                    for prompt in prompts_of(text)
                ]
                yield from self.follow_list(requests, bool(inside), stop, request)
        except MISTAKES as mistake:
            yield {self.status: warn(mistake, request)}
        finally:
            flag.over = True

    def follow_list(self, requests: list[Request], inside: bool, stop: Flag, visitor: gr.Request) -> Iterator[Updates]:
        prompts = [one.prompt for one in requests]
        with tempfile.TemporaryDirectory() as folder:
            progress = Progress(requests, Path(folder), inside)
            for event in self.services.generate(requests, stop):
                if self.services.running(visitor.session_hash) is not stop:
                    yield {self.status: gr.skip()}  # if nothing is yielded, Gradio empties the outputs
                    return  # the visitor has made another request
                progress.add(event)
                done = len(progress.made)
                yield self.seen(progress) | {
                    self.left: prompts[done:],
                    self.reading: describe_reading([requests[min(done, len(requests) - 1)]]),
                    self.names: [],
                }
            if progress.made:
                yield {self.made: progress.made, self.download: progress.download()}

    def what_is_left(self, left: object) -> Updates:
        """Offer to resume a list that a reload or a stop interrupted."""
        if not isinstance(left, list) or not left:
            return {self.go_list: GO_LIST}
        return {
            self.listed: gr.Accordion(open=True),
            self.lines: "\n".join(map(str, left)),
            self.go_list: f"Go on: {counted(len(left), 'prompt')} left",
        }

    def dropped_list(self, event: gr.EventData) -> Updates:
        """Fill the list from a file of prompts that was dropped anywhere on the page."""
        return {self.lines: str(event.text)[:LONGEST_TEXT], self.listed: gr.Accordion(open=True)}

    def lines_of(self, file: str | None) -> str:
        """The text in a file of prompts; only a hand-made request sends no file."""
        if file is None:
            return ""
        try:
            return Path(file).read_text(encoding="utf-8-sig")[:LONGEST_TEXT]
        except UnicodeDecodeError:
            gr.Warning("This file is no text in UTF-8: save it so, one prompt a line.")
            return ""


def prompts_of(text: object) -> list[str]:
    """The prompts in a text. Raises UserError: none, too many, or one too long; ForgedError: not text."""
    if not isinstance(text, str):
        raise ForgedError("prompts must be text.")
    prompts = [line.strip() for line in text.splitlines() if line.strip()]
    if not prompts:
        raise UserError("The list is empty: write one prompt a line.")
    if len(prompts) > LONGEST:
        raise UserError(f"The list has {len(prompts)} prompts: at most {LONGEST} are possible.")
    if long := next((n for n, prompt in enumerate(prompts, 1) if len(prompt) > MAX_PROMPT), None):
        raise UserError(f"Prompt {long} of the list is too long: use at most {MAX_PROMPT} characters.")
    return prompts
