"""The Generate page's fields and their layout."""

import gradio as gr

from app.engine.services import Services
from app.look.enlarge import SIDES
from app.pages.generate import drawings, history, palette
from e2ed2.data.styles import MIXED, STYLES
from e2ed2.inference.request import MAX_COUNT, STEPS

EXAMPLES = [
    "red apple",
    "cat face",
    "sunflower",
    "rocket",
    "🐙",
    "pizza",
]  # the style has its own field
WELCOME_SEED = 7
STEPS_INFO = "How often the model goes over a picture; fewer is faster."
TITLE = "# Type a few words, and watch them become a picture"
KEPT = """<div class="bar"><h2>Your pictures</h2>
<span class="some" hidden><label><input type="checkbox" class="stars"> Favourites only</label>
<button type="button" class="between" disabled title="Choose two with ⇄ first">Between these two</button>
<button type="button" class="all">Download all</button>
<button type="button" class="forget">Forget them</button></span>
<label class="file">Open a picture’s settings<input type="file" class="open" accept="image/png"></label></div>
<p class="hint none">What you make is kept here, in this browser only.</p>
<div class="some" hidden><p class="hint">Kept in this browser only. Press one to make it again with its settings.</p>
<div class="tiles" tabindex="0" role="region" aria-label="Your pictures"></div></div>"""


class Layout:
    def __init__(self, services: Services):
        self.services = services
        with gr.Column(elem_id="generate"):
            gr.Markdown(TITLE, elem_id="title")
            self.lay_out_question()
            with gr.Row(elem_id="work"):
                with gr.Column(scale=3, min_width=320):
                    self.lay_out_pictures()
                    self.lay_out_reading()
                    self.lay_out_file()
                with gr.Column(scale=2, min_width=300, elem_id="settings"):
                    self.lay_out_settings()
            self.past = gr.HTML(html_template=KEPT, js_on_load=history.SCRIPT, elem_id="past", label="Your pictures")
        self.anew = gr.Number(visible="hidden", label="Asks for pictures from other noise")
        self.same = gr.Number(visible="hidden", label="Asks for pictures from the same noise")
        self.fresh = gr.Textbox(visible=False)  # pictures on their way into the browser's storage, as JSON
        self.kept = gr.State([])  # all pictures of the request so far, on the server
        self.sent = gr.State([])  # those of them that have been sent to the browser
        self.archive = gr.DownloadButton(visible=False)

    def lay_out_question(self) -> None:
        with gr.Row(elem_classes="ask", elem_id="ask"):
            self.prompt = gr.Textbox(
                EXAMPLES[0],
                label="Prompt",
                placeholder="What would you like to see? For example: a smiling sun, or 🍎",
                max_lines=1,
                scale=5,
                min_width=200,
            )
            self.go = gr.Button("Generate", variant="primary", scale=1, min_width=110, elem_id="go")
            self.stop = gr.Button("Stop", variant="stop", scale=1, min_width=110, visible=False, elem_id="stop")
        self.examples = gr.Dataset(
            components=[self.prompt],
            samples=[[text] for text in EXAMPLES],
            label="Or take one of these",
            elem_id="examples",
        )
        with gr.Column(elem_id="ideas"):
            with gr.Accordion("Choose from everything that the models know", open=False, elem_id="known") as self.known:
                self.palette = gr.HTML(
                    "<p>One moment …</p>",
                    html_template=palette.FRAME,
                    js_on_load=palette.SCRIPT,
                    elem_id="palette",
                    label="What the models know",
                )
            self.lay_out_list()

    def lay_out_pictures(self) -> None:
        self.pictures = gr.Gallery(
            label="Pictures",
            show_label=False,
            format="png",
            columns=2,
            height="auto",
            object_fit="contain",
            interactive=False,
            buttons=["download", "fullscreen"],
            elem_id="pictures",
            elem_classes="pictures",
        )
        self.strip = gr.HTML(visible=False, elem_id="strip", label="Step by step")
        self.trail = gr.State([])  # the pictures of the steps
        self.underway = gr.State(None)  # changes with every event of a run
        self.status = gr.Markdown(label="Status", elem_id="status")
        self.made = gr.State([])
        self.begun = gr.State(None)  # the flag that stops the last request, even before its turn

    def lay_out_reading(self) -> None:
        self.reading = gr.Markdown(label="Read as", elem_id="reading")
        self.names = gr.State([])  # other names that the prompt may mean
        self.others = gr.HTML(
            js_on_load=drawings.SCRIPT, visible=False, elem_id="others", label="Or is it one of these?"
        )
        self.read_as = gr.Textbox("", visible=False, label="Read as this name")
        self.off = gr.State(False)  # in place of “randomise”, for events that keep the seed

    def lay_out_file(self) -> None:
        with gr.Row(elem_id="acts"):
            self.more = gr.Button("More like this", size="md", min_width=120)
            self.share = gr.Button("Copy link", size="md", min_width=120)
            self.download = gr.DownloadButton("Download", size="md", min_width=120, interactive=False)
        with gr.Row(elem_id="ways"):
            self.to_compare = gr.Button("Compare the models", size="md", min_width=120, visible=False)
            self.to_steps = gr.Button("See its steps", size="md", min_width=120, visible=False)
        with gr.Row(elem_id="file"):
            self.side = gr.Radio(
                [(str(side), side) for side in SIDES], value=SIDES[0], label="Size to download, px", min_width=240
            )
            with gr.Column(min_width=200):
                self.clear = gr.Checkbox(False, label="Transparent background")
                self.inside = gr.Checkbox(True, label="Write the settings into the file")
        self.address = gr.Textbox(label="Link to these pictures", visible="hidden", elem_id="address")

    def lay_out_settings(self) -> None:
        models = self.services.models
        self.style = gr.Radio(
            (MIXED, *STYLES),
            value=MIXED,
            label="Style",
            info="Whose drawings it is to look like. Mixed: flat first, then the other artists, one a picture.",
            elem_id="style",
        )
        self.model = gr.Radio(models.plain_choices(), value=models.favourite(), label="Model", elem_id="model")
        self.all_models = gr.Checkbox(False, label="More models", elem_id="all-models")
        self.count = gr.Slider(1, MAX_COUNT, value=1, step=1, label="Number of pictures", buttons=[])
        self.steps = gr.Slider(STEPS[0], STEPS[-1], value=STEPS[-1], step=1, label="Steps", buttons=[], info=STEPS_INFO)
        with gr.Group():
            self.seed = gr.Number(
                WELCOME_SEED, label="Seed", precision=0, info="The same seed gives the same pictures."
            )
            self.randomise = gr.Checkbox(True, label="New random seed each time")
        self.exactly = gr.Checkbox(
            False, label="Exactly my words", info="Give the model your words as they are: it may not know them."
        )

    def lay_out_list(self) -> None:
        with gr.Accordion("A list of prompts", open=False) as self.listed:
            gr.Markdown(
                "One prompt a line, each made once with the settings above. What is left survives a reload; "
                "the pictures are among yours.",
                elem_classes="hint",
            )
            self.lines = gr.Textbox(label="Prompts, one a line", lines=5, max_lines=12)
            with gr.Row():
                self.file = gr.UploadButton("Take them from a file", file_types=[".txt", ".csv"], min_width=160)
                self.go_list = gr.Button("Generate the list", variant="primary", min_width=160)
        self.left = gr.BrowserState([], storage_key="e2ed2-list", secret="e2ed2-list")
