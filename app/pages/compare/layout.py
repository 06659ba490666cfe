"""The Compare page's fields and their layout."""

import gradio as gr

from app.engine.services import Services
from app.look import closely
from app.look.names import NAMES
from app.look.tables import CHOOSE
from app.pages.compare.axes import KINDS, example
from e2ed2.data.styles import BEST, STYLES
from e2ed2.inference.request import STEPS

PROMPT, SEED = "butterfly", 4  # names no style, so that the models differ and yet every picture is recognisable
VOTE = (
    "Three questions, without the names; after you vote, we show which model made which picture. By voting you "
    "agree that your answers are kept under a random number, with the size of your window and the time that you took, "
    "and perhaps published so. One cookie remembers that you voted."
)
VOTE_ON, BLIND = "Vote on this pair", "Vote blind"
EMPTY = "<p class='hint'>The pictures come here: a row for each model, a column for each number of steps.</p>"
BLIND_INFO = (
    "Two of the models above, drawn by lot; you learn which after your vote. It is counted as any visitor's vote."
)


class Layout:
    def __init__(self, services: Services):
        self.services = services
        gr.Markdown("# The same noise, every model\nWhat do the models make of one prompt, and what do more steps add?")
        self.lay_out_question()
        with gr.Tabs() as self.kinds:
            with gr.Tab("Models and steps", id="models"):
                self.lay_out_models()
            with gr.Tab("Any two things", id="any"):
                self.lay_out_axes()
        self.status = gr.Markdown(label="Status", elem_id="status")
        self.grid = gr.HTML(EMPTY, elem_id="grid", label="Pictures", js_on_load=CHOOSE)
        with gr.Row():
            self.png = gr.DownloadButton("Download as PNG", size="md", interactive=False, min_width=140)
            self.page = gr.DownloadButton("As a web page", size="md", interactive=False, min_width=140)
            self.manifest = gr.DownloadButton("As a manifest", size="md", interactive=False, min_width=140)
            self.share = gr.Button("Copy link", size="md", min_width=140)
        self.lay_out_pair()
        self.compared = gr.State(None)  # the `Compared` that the grid shows
        self.address = gr.Textbox(visible="hidden", label="Link to this comparison", elem_id="address")
        self.ballot = gr.Textbox(visible=False)  # the address of the pair to vote on

    def lay_out_question(self) -> None:
        with gr.Row(elem_classes="ask"):
            self.prompt = gr.Textbox(PROMPT, label="Prompt", max_lines=1, scale=4, min_width=280)
            self.seed = gr.Number(SEED, label="Seed", precision=0, scale=1, min_width=110)
            self.other = gr.Button("Other noise", scale=1, min_width=110)
        self.exactly = gr.Checkbox(  # on, for the initial prompt
            True, label="Exactly my words", info="Give the models your words as they are: they may not know them."
        )

    def lay_out_models(self) -> None:
        names = self.services.models.names()
        self.models = gr.CheckboxGroup(names, value=names, label="Models", info=NAMES)
        with gr.Row(elem_classes="ask"):
            self.go = gr.Button("Compare", variant="primary", scale=2, min_width=160)
            self.blind = gr.Button(BLIND, scale=1, min_width=160)
        gr.Markdown(BLIND_INFO, elem_classes="hint")

    def lay_out_axes(self) -> None:
        models = self.services.models
        with gr.Row():
            self.rows, self.row_values = self.lay_out_axis("Rows", "prompts")
            self.columns, self.column_values = self.lay_out_axis("Columns", "models")
        with gr.Row():
            self.model = gr.Dropdown(models.choices(), value=models.favourite(), label="Model", min_width=220)
            self.steps = gr.Slider(STEPS[0], STEPS[-1], STEPS[-1], step=1, label="Steps", buttons=[], min_width=160)
            self.style = gr.Dropdown(list(STYLES), value=BEST, label="Style", min_width=160)
        self.go_any = gr.Button("Compare these", variant="primary")

    def lay_out_axis(self, label: str, kind: str) -> tuple[gr.Dropdown, gr.Textbox]:
        with gr.Column(min_width=280):
            what = gr.Dropdown(list(KINDS), value=kind, label=label)
            values = gr.Textbox(
                example(kind, self.services),
                label=f"Of the {label.lower()}",
                lines=2,
                info="With commas between; prompts one a line.",
            )
        return what, values

    def lay_out_pair(self) -> None:
        with gr.Column(visible=False) as self.pair:
            gr.Markdown("## Two of them, closely\nPress pictures above to choose them.")
            with gr.Row():
                with gr.Column(min_width=240, scale=1):
                    self.left = gr.Dropdown([], label="Left")
                    self.right = gr.Dropdown([], label="Right")
                    self.vote = gr.Button(VOTE_ON)
                    gr.Markdown(VOTE, elem_classes="hint")
                with gr.Column(min_width=300, scale=2):
                    self.slider = gr.HTML(elem_id="slider", label="Left and right", js_on_load=closely.SCRIPT)
