"""Below a study: its people, what can be changed while it runs, its next version."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.admin.acts import adjusted, amended, as_text, dropped, questions_of, released, study_of
from app.admin.request import whole_number
from app.look.handlers import afterwards
from app.studies.ready import Studies
from study.errors import StudyError
from study.protocol.spec import StudySpec
from study.store.raters import people

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# The reason is null if the organiser cancels.
SURE = """(name, who, reason, erase) =>
    confirm("Withdraw these answers? They stay in the chain, and count no more.")
        ? [name, who, reason, erase] : [name, who, null, false]"""
MODES = [
    ("All questions on one screen", "joint"),
    ("One pass over the pairs for each question", "separate"),
    ("Drawn for each rater", "randomised"),
]


def reporting_mistakes(act: Callable[..., str]) -> Callable[..., str]:
    """`act`, except that a mistake is shown as a warning and returned in place of the answer."""

    def answer(*given: Any) -> str:
        try:
            return act(*given)
        except StudyError as error:
            gr.Warning(str(error).splitlines()[0])
            return "\n".join(f"- {line}" for line in str(error).splitlines())

    return answer


def build_people(studies: Studies, chosen: gr.Dropdown) -> None:
    with gr.Accordion("People: who took part, release, withdraw", open=False):
        show = gr.Button("Show them")
        table = gr.Dataframe(
            headers=["Who", "Status", "Completion code", "Parameters"],
            interactive=False,
            wrap=True,
            visible=False,
            column_widths=["7rem", "7rem", "10rem", "12rem"],
            label="For paying them; no export holds any of it",
            elem_id="people",
        )
        who = gr.Textbox(label="One of them", info="As the table names them, or by completion code.", max_lines=1)
        with gr.Row():
            reason = gr.Textbox(
                label="Why the answers are withdrawn",
                info="The report prints it. No names.",
                max_lines=1,
                scale=2,
                min_width=240,
            )
            erase = gr.Checkbox(False, label="Remove what identifies the person, too", scale=1, min_width=240)
        with gr.Row():
            free = gr.Button("Give the open pairs to others")
            withdraw = gr.Button("Withdraw the answers", variant="stop")
        status = gr.Markdown(label="What was done")

    def list_people(name: str | None) -> Any:
        study = studies.named(name) if name else None
        rows = [list(row) for row in people(studies.store.database, study)] if study else []
        return gr.Dataframe(value=rows, visible=True)

    def withdrawn(name: str | None, who: str, reason: str | None, erase: bool) -> str:
        return "" if reason is None else dropped(studies, name, who, reason, erase)

    acts = (
        free.click(reporting_mistakes(lambda *given: released(studies, *given)), [chosen, who], status, **QUIET),
        withdraw.click(
            reporting_mistakes(withdrawn),
            [chosen, who, reason, erase],
            status,
            js=SURE,
            **QUIET,
        ),
    )
    show.click(list_people, chosen, table, **QUIET)
    for act in acts:
        act.success(list_people, chosen, table, **QUIET)
    chosen.change(lambda: (gr.Dataframe(value=[], visible=False), "", ""), None, [table, who, status], **QUIET)


def build_adjusting(studies: Studies, chosen: gr.Dropdown) -> None:
    with gr.Accordion("Change contact, addresses, room while it runs", open=False) as part:
        with gr.Row():
            contact = gr.Textbox(label="Contact", max_lines=1)
            completion = gr.Textbox(label="Completion address", max_lines=1)
            full = gr.Textbox(label="Address for those without a place", max_lines=1)
        with gr.Row():
            cap = gr.Number(0, label="Raters through the open link", info="0: as many as it needs.", precision=0)
            minutes = gr.Number(0, label="A rater is gone after (minutes)", info="The pairs go to others.", precision=0)
        button = gr.Button("Change")
        status = gr.Markdown(label="What was done")
    fields = [contact, completion, full, cap, minutes]

    def values(spec: StudySpec) -> list[Any]:
        return [spec.contact, spec.completion_url, spec.full_url, spec.open_cap or 0, spec.abandoned_after_minutes]

    def adjust(name: str | None, contact: str, completion: str, full: str, cap: Any, minutes: Any) -> str:
        wanted = {
            "contact": contact.strip(),
            "completion_url": completion.strip(),
            "full_url": full.strip(),
            "open_cap": whole_number(cap or 0, "Raters through the open link") or None,
            "abandoned_after_minutes": whole_number(minutes, "The minutes"),
        }
        return adjusted(studies, name, wanted)

    _filled(studies, chosen, part, fields, values)
    button.click(reporting_mistakes(adjust), [chosen, *fields], status, **QUIET)


def build_amending(studies: Studies, chosen: gr.Dropdown) -> gr.State:
    """The state that holds the name of the latest version made here."""
    latest = gr.State("")
    with gr.Accordion("Amend: a new version of it", open=False) as part:
        gr.Markdown("The old version takes nobody new; whoever has begun may finish. The reason is recorded.")
        reason = gr.Textbox(label="Reason", max_lines=1)
        title = gr.Textbox(label="Title", max_lines=1)
        with gr.Row():
            raters = gr.Number(1, label="Raters for each pair", precision=0)
            pairs = gr.Number(1, label="Pairs for each rater", precision=0)
        mode = gr.Radio(MODES, label="How the questions are asked", value="joint")
        questions = gr.Textbox(label="Questions", lines=3)
        button = gr.Button("Make the new version")
        status = gr.Markdown(label="What was done")
    fields = [title, raters, pairs, mode, questions]

    def values(spec: StudySpec) -> list[Any]:
        return [spec.title, spec.raters_per_pair, spec.pairs_per_rater, spec.mode, as_text(spec.questions)]

    def amend(
        name: str | None, reason: str, title: str, raters: Any, pairs: Any, mode: str, questions: str
    ) -> tuple[Any, str]:
        try:
            wanted = {
                "title": title.strip(),
                "raters_per_pair": whole_number(raters, "Raters for each pair"),
                "pairs_per_rater": whole_number(pairs, "Pairs for each rater"),
                "mode": mode,
                "questions": questions_of(questions),
            }
            new = amended(studies, name, reason, wanted)
        except StudyError as error:
            gr.Warning(str(error).splitlines()[0])
            return gr.skip(), str(error)
        return f"{new.name} {new.version}", f"Version {new.version} of {new.name} takes raters now, at a new address."

    _filled(studies, chosen, part, fields, values)
    done = button.click(amend, [chosen, reason, *fields], [latest, status], **QUIET)
    afterwards(done, lambda: "", outputs=reason, **QUIET)
    return latest


def _filled(
    studies: Studies,
    chosen: gr.Dropdown,
    part: gr.Accordion,
    fields: list[Any],
    values: Callable[[StudySpec], list[Any]],
) -> None:
    """Fill the fields with the study's values when they are opened and when another study is chosen."""

    def fill(name: str | None) -> list[Any]:
        try:
            return values(study_of(studies, name).spec)
        except StudyError:
            return [gr.skip()] * len(fields)

    gr.on([part.expand, chosen.change], fill, chosen, fields, **QUIET)
