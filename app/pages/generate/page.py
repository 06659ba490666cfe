"""The Generate page: type a prompt, watch the pictures appear. This module wires its fields."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.events import Dependency

from app.engine.events import Flag
from app.engine.services import Services
from app.look.handlers import FAILED, GENERATING, QUIET, SAYING, UNCHECKED, at_once
from app.pages.generate.again import Again
from app.pages.generate.reading import offered
from e2ed2.data.emoji import split_style

# Reload and Back show the same pictures again.
IN_THE_BAR = "(address) => { if (address) history.replaceState(history.state, '', address); }"
COPY = """async (address) => {
    address ||= location.href;
    try { await navigator.clipboard.writeText(address); return "Link copied"; }
    catch { prompt("The link to these pictures:", address); return "Copy link"; }
}"""
KEEP = "(made) => { document.dispatchEvent(new CustomEvent('e2ed2-made', { detail: JSON.parse(made) })); }"
SAVE = """(file) => {
    if (file) Object.assign(document.createElement("a"), { href: file.url, download: file.orig_name }).click();
}"""
# Ctrl+Enter works anywhere on the page; while pictures are being made, as soon as there is the button again.
KEYS = """() => document.addEventListener("keydown", (event) => {
    const press = () => { const go = document.querySelector("#go"); go ? go.click() : setTimeout(press, 100); };
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press();
})"""
# Scroll to where the pictures appear: on a phone, a list is started further down.
TO_TOP = """() => document.querySelector("#generate").scrollIntoView({
    behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth",
})"""
# Changes a hidden field, which triggers a request for pictures.
NOW: dict[str, Any] = QUIET | {"fn": None, "js": "() => Date.now()"}
STOPPABLE = gr.update(visible=False), gr.update(visible=True)  # the buttons Generate and Stop during a run
PRIVATE: dict[str, Any] = {"api_visibility": "private", "preprocess": False, **GENERATING}


class GeneratePage(Again):
    def __init__(self, services: Services, demo: gr.Blocks):
        super().__init__(services)
        self.fields = [self.prompt, self.model, self.steps, self.seed, self.randomise, self.count]
        self.words = [self.style, self.exactly, self.read_as]
        self.run = [self.made, self.trail, self.begun]
        self.at_rest = [self.go, self.stop, self.download, self.more, self.to_compare, self.to_steps, self.strip]
        self.results = [
            *(self.pictures, self.status, self.seed, self.address, self.download, self.made),
            *(self.reading, self.names, self.kept, self.trail, self.underway),
        ]
        self.wire_opening(demo)
        self.wire_generating()
        self.wire_again()
        self.wire_list(demo)
        self.wire_rest(demo)

    def wire_opening(self, demo: gr.Blocks) -> None:
        welcome = demo.load(self.open_page, None, [*self.fields, *self.words], **SAYING).success(
            self.welcome,
            [self.prompt, self.model, self.steps, self.seed, self.count, self.inside, *self.words, self.status],
            self.results,
            **PRIVATE,
        )
        self.come_to_rest(welcome)

    def wire_generating(self) -> None:
        named = [
            self.examples.click(lambda sample: sample[0], self.examples, self.prompt, **QUIET),
            self.palette.select(self.choose, None, self.prompt, **QUIET),
        ]
        gr.on([self.prompt.input, self.examples.click, self.palette.select], outputs=self.read_as, **at_once(""))
        pressed = gr.on([self.go.click, self.prompt.submit], trigger_mode="multiple", **self.starting())
        self.generated(
            pressed,
            self.randomise,
            api_name="generate",
            api_description="Generate pictures of a prompt. Returns the pictures, one line about them, the first seed, "
            "a link that generates them again, the picture's file, or a zip of several, and what it was read as.",
        )
        for one in named:
            one.success(outputs=self.anew, **NOW)
        self.generated(self.anew.change(**self.starting()), self.randomise, **PRIVATE)

    def wire_again(self) -> None:
        """Show at once what is chosen, from the same noise."""
        self.names.change(self.offer, self.names, self.others, **QUIET)
        suited = [self.steps, self.examples, self.known, self.style, self.exactly]
        self.model.change(self.suit_model, [self.model, self.steps], suited, **UNCHECKED)
        self.exactly.change(lambda exactly: gr.Radio(interactive=not exactly), self.exactly, self.style, **QUIET)
        restored = [*self.fields, *self.words, self.status]
        others = self.others.select(self.choose, None, self.read_as, **QUIET)
        chosen = [
            others,
            self.model.input(self.suit_model, [self.model, self.steps], suited, **UNCHECKED),
            self.past.select(self.use_again, None, restored, **SAYING),
        ]
        others.failure(outputs=self.status, **at_once(FAILED))
        for one in chosen:
            one.success(outputs=self.same, **NOW)
        # A style named in the prompt would override the one that was pressed.
        obeyed = self.style.input(lambda prompt: split_style(prompt)[0], self.prompt, self.prompt, **QUIET)
        obeyed.success(outputs=self.same, **NOW)
        changed = [self.exactly.input, self.steps.release, self.same.change]
        self.generated(gr.on(changed, trigger_mode="multiple", **self.starting()), self.off, **PRIVATE)
        like = self.more.click(self.like_this, [self.made, self.count], restored, **QUIET)
        like.success(outputs=self.anew, **NOW)
        two = self.past.submit(self.between_two, None, [self.pictures, self.status, self.trail, self.strip], **PRIVATE)
        two.failure(outputs=self.status, **at_once(FAILED))

    def wire_list(self, demo: gr.Blocks) -> None:
        self.go_list.click(outputs=self.listed, **at_once(gr.update(open=False)))
        self.go_list.click(None, js=TO_TOP, **QUIET)
        begun = self.go_list.click(**self.starting()).then(Flag, None, self.begun, **QUIET)
        listed = begun.success(
            self.make_list,
            [self.lines, *self.fields[1:5], self.inside, self.style, self.exactly, self.begun],
            [*self.results, self.left],
            **PRIVATE,
        )
        begun.failure(self.give_up, self.run, self.at_rest, **QUIET)
        self.come_to_rest(listed)
        outputs = [self.listed, self.lines, self.go_list]
        listed.success(self.what_is_left, self.left, outputs, **QUIET)
        demo.load(self.what_is_left, self.left, outputs, **QUIET)
        self.file.upload(self.lines_of, self.file, self.lines, **SAYING)
        self.past.input(self.dropped_list, None, [self.lines, self.listed], **SAYING)

    def wire_rest(self, demo: gr.Blocks) -> None:
        demo.load(None, js=KEYS)
        self.known.expand(self.show_known, None, self.palette, **QUIET)
        # A message of the previous run may arrive after this one was requested.
        self.underway.change(outputs=[self.go, self.stop], **at_once(*STOPPABLE))
        self.stop.click(outputs=self.status, **at_once("Stopping …"))
        self.stop.click(self.stop_generating, self.begun, **QUIET)
        self.seed.input(outputs=self.randomise, **at_once(False))
        self.address.change(None, self.address, js=IN_THE_BAR, **QUIET)
        self.share.click(None, self.address, self.share, js=COPY, **QUIET)
        self.address.change(outputs=self.share, **at_once("Copy link"))
        taken = self.kept.change(self.to_browser, [self.kept, self.sent], [self.fresh, self.sent], **QUIET)
        taken.success(None, self.fresh, js=KEEP, **QUIET)
        wanted = [self.made, self.side, self.clear, self.inside]
        changed = [self.side.input, self.clear.input, self.inside.input]
        gr.on(changed, self.file_of, wanted, self.download, **UNCHECKED)
        zipped = self.past.upload(self.archive_of, None, self.archive, **SAYING)
        zipped.success(None, self.archive, js=SAVE, **QUIET)
        self.past.clear(self.not_ours, None, None, **SAYING)

    def starting(self) -> dict[str, Any]:
        """Options for an event that shows at once that pictures were requested."""
        shown = *STOPPABLE, "Starting …", gr.update(interactive=False)
        return {"outputs": [self.go, self.stop, self.status, self.download], **at_once(*shown)}

    def generated(self, started: Dependency, randomise: gr.Checkbox | gr.State, **options: Any) -> None:
        """Generate pictures after `started`; a new request ends the one before."""
        begun = started.then(Flag, None, self.begun, trigger_mode="multiple", **QUIET)
        inputs: Sequence[Any] = [
            *(self.prompt, self.model, self.steps, self.seed, randomise, self.count, self.inside),
            *(*self.words, self.begun),
        ]
        options = {"preprocess": False, **GENERATING, **options}
        done = begun.success(self.generate, inputs, self.results, trigger_mode="multiple", **options)
        begun.failure(self.give_up, self.run, self.at_rest, **QUIET)
        begun.failure(outputs=self.status, **at_once(FAILED))
        self.come_to_rest(done)

    def come_to_rest(self, done: Dependency) -> None:
        """Update the file, the buttons and the steps."""
        wanted = [self.made, self.side, self.clear, self.inside]
        done.success(self.file_of, wanted, self.download, **UNCHECKED).success(
            self.rest, self.run, self.at_rest, **QUIET
        )
        done.failure(self.give_up, self.run, self.at_rest, **QUIET)
        done.failure(outputs=self.status, **at_once(FAILED))

    def offer(self, names: list[str]) -> Any:
        if not names:
            return gr.HTML(visible=False)
        return gr.HTML(offered(names, self.pictures.GRADIO_CACHE), visible=True)
