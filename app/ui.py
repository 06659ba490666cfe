"""All pages in one Blocks."""

import gradio as gr

from app.generate_tab import build_generate_tab
from app.services import Services

INTRO = """# E2ED²
Type a few words and get small pictures, each painted out of noise in one to four steps.
The method is [end-to-end diffusion](https://arxiv.org/abs/2412.21044): training runs the very steps that painting runs.
"""
CREDITS = (
    "The models learned from the drawings of Noto Emoji (Apache 2.0), Twemoji (CC BY 4.0), Fluent Emoji (MIT), "
    "OpenMoji (CC BY-SA 4.0) and EmojiOne (CC BY 4.0)."
)
KEPT = 24 * 3600  # s; a visitor's pictures are deleted from the disk after a day


def build_ui(services: Services) -> gr.Blocks:
    with gr.Blocks(title="E2ED²: pictures in one to four steps", analytics_enabled=False,
                   delete_cache=(3600, KEPT)) as demo:  # fmt: skip
        gr.Markdown(INTRO)
        build_generate_tab(services)
        gr.Markdown(CREDITS, elem_id="credits")
    return demo.queue(max_size=64)
