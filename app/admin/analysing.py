"""Below a study: checking its chain, its methods section, how well metrics predict its votes."""

from typing import Any

import gradio as gr

from app.admin.acts import predictions, verified
from app.admin.changing import QUIET, reporting_mistakes
from app.studies.ready import Studies
from study.errors import StudyError

SCORES = (
    "A table with a score for each picture: a column `image` (its hash, or its file in the export), or `arm` with "
    "`file` or `prompt`; every other column is a metric."
)
# In a new tab: when a page navigates away, Gradio believes that the server is gone, and reloads the page.
METHODS = """(name, version, pay, ethics) => {
    if (!name) return;
    window.open(`methods/${name}/${version}?${new URLSearchParams({ pay, ethics })}`);
}"""


def build_analysing(studies: Studies, chosen: gr.Dropdown) -> None:
    with gr.Accordion("Verify the votes", open=False):
        with gr.Row():
            key = gr.Textbox(label="Public key", info="Of the signature, if you have it.", max_lines=1)
            receipt = gr.Textbox(label="A rater's receipt", info="Number and hash.", max_lines=1)
        check = gr.Button("Verify")
        status = gr.Markdown(label="What was found", elem_id="verified")
    check.click(
        reporting_mistakes(lambda *given: verified(studies, *given)),
        [chosen, key, receipt],
        status,
        api_visibility="private",
        show_progress_on=check,
    )
    with gr.Accordion("Methods section for a paper", open=False):
        gr.Markdown("Markdown, LaTeX, BibTeX, and a card for the export as a data set; every number from the votes.")
        with gr.Row():
            pay = gr.Textbox(label="What raters were paid", placeholder="2.50 GBP for about 12 minutes", max_lines=1)
            ethics = gr.Textbox(label="Who approved the study", max_lines=1)
        name, version = gr.Textbox(visible="hidden", label="Name"), gr.Number(visible="hidden", label="Version")
        gr.Button("Download it").click(None, [name, version, pay, ethics], None, js=METHODS, **QUIET)
    with gr.Accordion("How well do metrics predict these votes?", open=False):
        gr.Markdown(SCORES)
        scores = gr.File(label="Scores", file_types=[".csv"], type="filepath", height=120)
        lower = gr.Textbox(label="Less is better for", info="Metrics such as distances, by name.", max_lines=1)
        compare = gr.Button("Compare")
        table = gr.Dataframe(
            headers=["Metric", "Question", "Accuracy, ties left out", "p of chance", "Arms, best score first"],
            interactive=False,
            wrap=True,
            visible=False,
            label="Beside what another person reaches",
            elem_id="metrics",
        )

    def named(value: str | None) -> tuple[str, int]:
        study = studies.named(value) if value else None
        return (study.name, study.version) if study else ("", 0)

    chosen.change(named, chosen, [name, version], **QUIET)

    def predict(name: str | None, scores: str | None, lower: str) -> tuple[Any, Any]:
        try:
            return gr.Dataframe(value=predictions(studies, name, scores, lower), visible=True), None
        except StudyError as error:
            gr.Warning(str(error))
            return gr.skip(), None

    compare.click(predict, [chosen, scores, lower], [table, scores], api_visibility="private", show_progress_on=compare)
