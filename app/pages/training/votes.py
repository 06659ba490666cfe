"""From a study's votes to a model: for organisers only, since votes are personal data."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from app.engine.catalogue import OWN
from app.engine.standing import sentence
from app.engine.trainings import Trainings
from app.errors import ForgedError
from app.look.handlers import MISTAKES, QUIET, SAYING, UNCHECKED, Updates, at_once, busy, warn
from app.pages.training.liked import accuracy_html, examples_html
from app.studies.ready import Studies
from app.studies.votes import Teacher, export, teachers
from e2ed2.errors import UserError
from e2ed2.preference.files import EXAMPLES, sure

Organiser = Callable[[gr.Request | None], bool]
LEARN, GO_ON = "Learn what they prefer", "Go on learning"
INTRODUCTION = (
    "## From the votes of a study\nWhat people chose teaches a small model of what they prefer, and that finishes "
    "one of the models. Only who is signed in as an organiser sees this part: votes and pictures of a study stay in "
    "it. A model that is finished so is on the Generate page for everybody; do it only if the consent text says so."
)
SIGN_IN = "Organisers of studies can train on people's votes here: [sign in](admin/)."
NO_STUDY = "There are no votes yet from which a preference could be learned."


class FromVotes:
    def __init__(self, trainings: Trainings, studies: Studies, organiser: Organiser | None):
        """`organiser`: whether a request comes from an organiser; None if nobody can sign in."""
        self.trainings, self.studies, self.organiser = trainings, studies, organiser
        self.invitation = gr.Markdown(SIGN_IN, visible=False, elem_classes="hint")
        with gr.Column(visible=False, elem_id="from-votes") as self.part:
            gr.Markdown(INTRODUCTION)
            self.lacking = gr.Markdown(label="What other studies lack", elem_classes="hint")
            with gr.Row(elem_classes="ask") as self.asking:
                self.study = gr.Dropdown([], label="Study", min_width=220, scale=2)
                self.learn = gr.Button(LEARN, variant="primary", min_width=160)
            self.status = gr.Markdown(label="Status", elem_id="votes-status")
            self.resume = gr.Button(GO_ON, visible=False)
            with gr.Column(visible=False) as self.learned:
                self.preference = gr.Dropdown([], label="What was learned", min_width=220)
                self.shown = gr.HTML(label="How well, and what it likes", elem_id="liked")
                with gr.Row():
                    self.finish = gr.Button("Finish a model with it", variant="primary", min_width=160)
                    self.delete = gr.Button("Delete it", variant="stop", min_width=160)

    def allows(self, request: gr.Request | None) -> bool:
        return self.organiser is not None and self.organiser(request)

    def check(self, request: gr.Request | None) -> None:
        """Raises ForgedError: the request is not an organiser's."""
        if not self.allows(request):
            raise ForgedError("Only an organiser who is signed in may use the votes of a study.")

    def shown_parts(self) -> list[Any]:
        """The components that `show` updates."""
        return [
            *(self.invitation, self.part, self.lacking, self.asking, self.study, self.learn, self.status, self.resume),
            *(self.learned, self.preference, self.shown, self.finish),
        ]

    def wire(self, form: gr.Dropdown, progress: Callable[[], Updates], progressing: Sequence[Any]) -> None:
        """`form`: the training field that chooses the preference to please; `progress` updates the rest of the page."""
        outputs = [*self.shown_parts(), form, *progressing]

        def answering(act: Callable[..., str]) -> Callable[..., Updates]:
            def answer(given: object, request: gr.Request) -> Updates:
                try:
                    self.check(request)
                    message = act(given)
                except MISTAKES as mistake:
                    message = warn(mistake, request)
                updates = self.show(request) | self.form(request, form) | progress()
                return updates | ({self.status: message} if message else {})

            return answer

        def again(event: Any) -> None:
            event.failure(self.show, None, self.shown_parts(), **QUIET)

        begun = self.learn.click(outputs=self.learn, **at_once(busy("Starting …")))
        again(begun.then(answering(self.begin), self.study, outputs, preprocess=False, **SAYING))
        resumed = self.resume.click(outputs=self.resume, **at_once(busy("Starting …")))
        again(resumed.then(answering(self.go_on), self.preference, outputs, preprocess=False, **SAYING))
        confirmed = 'name => confirm(`Delete ${name}? Models that were finished with it stay.`) ? name : ""'
        self.delete.click(answering(self.remove), self.preference, outputs, js=confirmed, preprocess=False, **SAYING)
        self.preference.input(self.of_chosen, self.preference, [self.shown, self.finish], **UNCHECKED)
        chosen = """(name) => {
            document.getElementById("pleasing").scrollIntoView({ behavior: "smooth", block: "center" });
            return name;
        }"""
        self.finish.click(None, self.preference, form, js=chosen, **QUIET)

    def begin(self, name: object) -> str:
        study = self.studies.named(str(name)) if name else None
        if study is None:
            raise UserError("Choose a study first.")
        lacks = next(one.lacks for one in teachers(self.studies) if one.value == name)
        if lacks:
            raise UserError(f"{study.name} has too few votes to learn a preference from: it needs {lacks}.")
        self.trainings.learn(str(name), lambda folder: export(self.studies, study, folder))
        return ""

    def go_on(self, _: object) -> str:
        stopped = self.stopped()
        if stopped is None:
            raise UserError("There is no learning to go on with.")
        self.trainings.go_on(stopped)
        return ""

    def remove(self, name: object) -> str:
        """Delete a preference; the name is empty if the organiser cancelled."""
        if not name:
            return ""
        if name not in self.trainings.preferences():
            raise UserError("There is no such preference any more: choose another one.")
        self.trainings.delete(str(name))
        return f"{name} is deleted."

    def stopped(self) -> str | None:
        """The name of a preference whose learning was stopped, if any."""
        states = [self.trainings.state(name) for name in self.trainings.preferences()]
        return next((state.name for state in reversed(states) if not (state.going or state.finished)), None)

    def finished(self) -> list[str]:
        return [name for name in self.trainings.preferences() if self.trainings.state(name).finished]

    def form(self, request: gr.Request | None, form: gr.Dropdown) -> Updates:
        """Update the field that chooses which preference a training is to please."""
        names = self.finished() if self.allows(request) else []
        useful = [name for name in names if sure(self.trainings.learned(name)["accuracy"])]
        return {form: gr.Dropdown(choices=[("nobody in particular", ""), *useful], visible=bool(useful))}

    def show(self, request: gr.Request) -> Updates:
        """Show the current state of everything; strangers are only shown where to sign in."""
        if not self.allows(request):
            return {self.part: gr.Column(visible=False), self.invitation: gr.Markdown(visible=bool(self.organiser))}
        known, names, going = teachers(self.studies), self.trainings.preferences(), self.trainings.going()
        able = [(one.label, one.value) for one in known if not one.lacks]
        finished, stopped = self.finished(), self.stopped()
        telling = going if going in names else stopped
        chosen = max(finished, key=self.age, default=None)
        return {
            self.part: gr.Column(visible=True),
            self.invitation: gr.Markdown(visible=False),
            self.lacking: lacking(known),
            self.asking: gr.Row(visible=bool(able) and going is None),
            self.study: gr.Dropdown(choices=able, value=able[0][1] if able else None),
            self.learn: gr.Button(LEARN, interactive=True),
            self.status: sentence(self.trainings.state(telling)) if telling else "",
            self.resume: gr.Button(GO_ON, visible=bool(stopped) and going is None, interactive=True),
            self.learned: gr.Column(visible=bool(finished)),
            self.preference: gr.Dropdown(choices=finished, value=chosen),
            **self.details(chosen),
        }

    def age(self, name: str) -> float:
        return (self.trainings.folder / name / "order.json").stat().st_mtime

    def of_chosen(self, name: object, request: gr.Request) -> Updates:
        return self.details(str(name)) if self.allows(request) and name in self.finished() else {self.shown: ""}

    def details(self, name: str | None) -> Updates:
        if name is None:
            return {self.shown: "", self.finish: gr.Button(visible=False)}
        learned = self.trainings.learned(name)
        accuracy = learned["accuracy"]
        source = f"<p>From the votes of {escape(learned['study'])}.</p>"
        pictures = examples_html(self.trainings.folder / name / "model" / EXAMPLES)
        shown = source + accuracy_html(accuracy) + pictures + self.models_of(name)
        return {self.shown: shown, self.finish: gr.Button(visible=sure(accuracy))}

    def models_of(self, preference: str) -> str:
        """The models that were fine-tuned with it, with links to what to do next."""
        rows = []
        for name in self.trainings.names():
            liked = self.trainings.record(name).get("preference", {}).get("name")
            if liked != preference or not self.trainings.state(name).finished:
                continue
            model, start = f"{OWN}/{name}", self.trainings.start_of(name)
            ways = {
                f"./?{urlencode({'model': model})}": "Generate with it",
                f"compare?{urlencode({'prompt': 'cat', 'models': f'{start},{model}'})}": "Compare with its start",
                f"admin/?{urlencode({'before': start, 'after': model})}": "Ask people: before against after",
            }
            links = "".join(f'<a href="{escape(way)}">{label}</a>' for way, label in ways.items())
            rows.append(
                f"<li><div><strong>{escape(model)}</strong>, from {escape(start)}</div><span>{links}</span></li>"
            )
        return f"<h3>Finished with it</h3><ul class='finished'>{''.join(rows)}</ul>" if rows else ""


def lacking(known: Sequence[Teacher]) -> str:
    """What the studies without enough votes still need."""
    if not known:
        return NO_STUDY
    return "\n".join(f"- {one.label} needs {one.lacks}." for one in known if one.lacks)
