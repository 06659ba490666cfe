"""The page that watches a study: links, progress, report, export, closing."""

from typing import Any
from urllib.parse import urljoin

import gradio as gr

from app.admin.templates import TEMPLATES
from app.look.handlers import afterwards
from app.studies.ready import Studies
from study.errors import StudyError
from study.store.raters import invite
from study.store.studies import StudyInfo, close_study, progress

EVERY = 5  # s
EMPTY = "There is no study yet: make one under New study."


def build_watch(studies: Studies, page: gr.Blocks) -> gr.Dropdown:
    chosen = gr.Dropdown(studies.names(), label="Study", value=None, interactive=True)
    shown = gr.HTML(EMPTY, elem_id="study", label="Progress")
    with gr.Accordion("Personal invitations", open=False):
        labels = gr.Textbox(
            label="People",
            lines=3,
            info="One a line, for example e-mail addresses. Each gets a link of their own; "
            "the names are kept apart from the answers and never exported.",
        )
        make = gr.Button("Make links")
        links = gr.Textbox(label="Links", lines=3, interactive=False, buttons=["copy"], visible=False, elem_id="links")
    with gr.Row():
        close = gr.Button("Close this study …", size="sm")
        really = gr.Button("Yes, take nobody new", variant="stop", size="sm", visible=False)
        keep = gr.Button("Keep it open", size="sm", visible=False)

    def watch(name: str | None, request: gr.Request) -> str:
        study = studies.named(name) if name else None
        return _card(studies, study, _site(request)) if study else EMPTY

    def renew(name: str | None, before: list[tuple[str, str]]) -> tuple[Any, Any]:
        """List studies again if there are new ones; the choice is kept, or is the newest if there was none."""
        names = studies.names()
        if names == before:
            return gr.skip(), gr.skip()
        values = [value for _, value in names]
        if name in values:  # leave the choice alone: it may have changed meanwhile to a study just made
            return gr.update(choices=names), names
        return gr.update(choices=names, value=next(iter(values), None)), names

    def invited(name: str | None, people: str, request: gr.Request) -> Any:
        study, wanted = studies.named(name) if name else None, [p.strip() for p in people.splitlines() if p.strip()]
        if not study or not wanted:
            gr.Warning("Choose a study, and write at least one name.")
            return gr.skip()
        invitations = [f"{who} {_site(request)}study/invite/{study.token}/{invite(study, who)}" for who in wanted]
        return gr.Textbox("\n".join(invitations), visible=True)

    def closed(name: str | None) -> None:
        try:
            if study := studies.named(name) if name else None:
                close_study(studies.store, study.name)
        except StudyError as error:
            gr.Warning(str(error))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    listed = gr.State([])
    look = ([chosen, listed], [chosen, listed])
    page.load(renew, *look, **quiet).success(watch, chosen, shown, **quiet)
    chosen.change(watch, chosen, shown, **quiet)
    gr.Timer(EVERY).tick(renew, *look, **quiet).success(watch, chosen, shown, **quiet)
    make.click(invited, [chosen, labels], links, **quiet)
    buttons = [close, really, keep]
    close.click(lambda: _asking(True), outputs=buttons, **quiet)
    keep.click(lambda: _asking(False), outputs=buttons, **quiet)
    done = really.click(closed, chosen, **quiet)
    afterwards(done, lambda: _asking(False), outputs=buttons, **quiet)
    afterwards(done, watch, chosen, shown, **quiet)
    return chosen


def _asking(asked: bool) -> tuple[Any, Any, Any]:
    return gr.Button(visible=not asked), gr.Button(visible=asked), gr.Button(visible=asked)


def _site(request: gr.Request) -> str:
    """The site's root as the organiser's browser knows it, behind any proxy."""
    return urljoin(request.headers.get("referer", ""), "../") if "referer" in request.headers else "/"


def _card(studies: Studies, study: StudyInfo, site: str) -> str:
    counts = progress(studies.store.database, study)
    return TEMPLATES.env.get_template("card.html").render(
        study=study, found=counts, join=f"{site}study/join/{study.token}"
    )
