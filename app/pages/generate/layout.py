"""The Generate page's fields, and where they stand."""

import gradio as gr

from app.engine.services import Services
from e2ed2.inference.request import MAX_COUNT, MAX_PROMPT, STEPS
from e2ed2.reading.captions import BEST, STYLES

EXAMPLES = [
    "red apple, noto style",
    "cat face, fluent style",
    "sunflower",
    "rocket",
    "a castle on a hill",
    "pizza, openmoji style",
]
WELCOME_SEED = 7
HINT = (
    "The models know about 1,000 things that have an emoji, in six drawing styles. Your words are read as one of these "
    "things. “a cat, noto style” names a style, too."
)
STEPS_INFO = "How often the model goes over a picture; fewer is faster."


class Layout:
    def __init__(self, services: Services):
        self.services = services
        gr.Markdown("# Pictures out of noise\nType a few words; watch them become pictures in one to four steps.")
        self.lay_out_question()
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self.lay_out_pictures()
                self.lay_out_reading()
                self.lay_out_link()
            with gr.Column(scale=2, min_width=300):
                self.lay_out_settings()
        self.lay_out_history()

    def lay_out_question(self) -> None:
        with gr.Row(elem_classes="ask"):
            self.prompt = gr.Textbox(
                EXAMPLES[0],
                label="Prompt",
                placeholder="For example: red apple, noto style",
                max_lines=1,
                scale=5,
                min_width=280,
                info=f"What would you like to see? A few words, at most {MAX_PROMPT} characters.",
            )
            self.go = gr.Button("Generate", variant="primary", scale=1, min_width=110)
            self.stop = gr.Button("Stop", variant="stop", scale=1, min_width=110, visible=False)
        self.examples = gr.Dataset(
            components=[self.prompt], samples=[[text] for text in EXAMPLES], label="Or take one of these"
        )

    def lay_out_pictures(self) -> None:
        self.status = gr.Markdown(label="Status", elem_id="status")
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
        self.made = gr.State([])
        self.begun = gr.State(None)  # the flag that stops what was asked for last, also before its turn has come

    def lay_out_reading(self) -> None:
        self.reading = gr.Markdown(label="Read as", elem_id="reading")
        self.names = gr.State([])  # other names that the prompt may mean
        self.others = gr.Dataset(
            components=["textbox"], samples=[[""]], label="Or is it one of these?", visible=False, elem_id="others"
        )
        self.read_as = gr.Textbox("", visible=False, label="Read as this name")
        self.off = gr.State(False)  # for a switch that another reading does not ask

    def lay_out_link(self) -> None:
        with gr.Row(elem_classes="ask"):
            self.address = gr.Textbox(
                label="Link to these pictures",
                buttons=["copy"],
                interactive=False,
                max_lines=1,
                scale=3,
                min_width=220,
                elem_id="address",
            )
            self.download = gr.DownloadButton("Download", scale=1, min_width=130, interactive=False)

    def lay_out_settings(self) -> None:
        self.style = gr.Radio(
            STYLES, value=BEST, label="Style", info="Whose drawings it is to look like.", elem_id="style"
        )
        self.exactly = gr.Checkbox(
            False, label="Exactly my words", info="Give the model your words as they are: it may not know them."
        )
        self.model = gr.Radio(
            self.services.models.choices(),
            value=self.services.models.favourite(),
            label="Model",
            info="They differ in what they were taught to get right.",
            elem_id="model",
        )
        self.steps = gr.Slider(
            STEPS[0],
            STEPS[-1],
            value=STEPS[-1],
            step=1,
            label="Steps",
            buttons=[],
            info=STEPS_INFO,
        )
        self.count = gr.Slider(1, MAX_COUNT, value=1, step=1, label="Number of pictures", buttons=[])
        with gr.Group():
            self.seed = gr.Number(
                WELCOME_SEED, label="Seed", precision=0, info="The same seed gives the same pictures."
            )
            self.randomise = gr.Checkbox(True, label="New random seed each time")
        self.inside = gr.Checkbox(True, label="Write the settings into the picture file")
        gr.Markdown(HINT, elem_classes="hint")

    def lay_out_history(self) -> None:
        with gr.Accordion("Your pictures so far", open=False):
            gr.Markdown("Kept in this browser only. Choose one to use its settings again.", elem_classes="hint")
            self.past = gr.Gallery(
                show_label=False,
                label="Your pictures so far",
                format="png",
                columns=6,
                height="auto",
                interactive=False,
                allow_preview=False,
                buttons=[],
                elem_id="past",
            )
            self.forget = gr.Button("Forget them", size="sm")
        self.history = gr.BrowserState([], storage_key="e2ed2-history", secret="e2ed2-history")
