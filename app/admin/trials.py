"""Below a study: rehearse it with simulated raters, and have it attacked, before anybody is invited."""

from typing import Any

import gradio as gr

from app.admin.acts import study_of
from app.admin.changing import QUIET
from app.admin.trying import CERTIFY, REHEARSE, Trial, Trials
from app.studies.ready import Studies
from study.errors import StudyError

EVERY = 2  # s
HINT = (
    "**Rehearse**: simulated raters go through the real pages of a copy: minutes, pay, whom the rules catch, what the "
    "study will find. **Certify**: an attacker looks at everything but the pixels, and must not tell the arms; the "
    "report shows it. Both take minutes, and the study is as it was."
)


def build_trying(studies: Studies, chosen: gr.Dropdown, page: gr.Blocks) -> None:
    trials = Trials(studies.store.key.file.parent)
    with gr.Accordion("Rehearse and certify", open=False):
        gr.Markdown(HINT)
        with gr.Row():
            rehearse = gr.Button("Rehearse it")
            certify = gr.Button("Certify it")
            stop = gr.Button("Stop", variant="stop", visible=False)
        status = gr.Markdown(label="How far it is", elem_id="trial")
        output = gr.Code(label="What was found", language=None, interactive=False, visible=False, elem_id="trial-said")
    timer = gr.Timer(EVERY, active=False)
    outputs = [rehearse, certify, stop, status, output, timer]

    def look() -> list[Any]:
        last = trials.last()
        going = last is not None and last.going
        return [
            gr.Button(interactive=not going),
            gr.Button(interactive=not going),
            gr.Button(visible=going),
            in_words(last) if last else "",
            gr.Code(last.output if last else "", visible=bool(last and last.output)),
            gr.Timer(active=going),
        ]

    def begin(name: str | None, command: str) -> list[Any]:
        try:
            trials.start(study_of(studies, name), command)
        except StudyError as error:
            gr.Warning(str(error))
        return look()

    def stopped() -> list[Any]:
        trials.stop()
        return look()

    page.load(look, None, outputs, **QUIET)
    timer.tick(look, None, outputs, **QUIET)
    begun = (
        rehearse.click(lambda name: begin(name, REHEARSE), chosen, outputs, **QUIET),
        certify.click(lambda name: begin(name, CERTIFY), chosen, outputs, **QUIET),
        stop.click(stopped, None, outputs, **QUIET),
    )
    for event in begun:
        event.failure(look, None, outputs, **QUIET)


def in_words(last: Trial) -> str:
    what = {REHEARSE: "the rehearsal", CERTIFY: "the certification"}[last.command]
    if not last.going:
        return f"{what.capitalize()} of {last.study} has ended."
    if last.percent is None:
        return f"{what.capitalize()} of {last.study} begins …"
    if last.percent < 100:
        return f"{what.capitalize()} of {last.study}: {last.percent}%."
    return f"{what.capitalize()} of {last.study}: everybody has come; the figures are being worked out."
