"""Pages become part of a site."""

from typing import Any

import gradio as gr
from fastapi import FastAPI


def mount(site: FastAPI, demo: gr.Blocks, **options: Any) -> FastAPI:
    """As Gradio does, and safely: of pages that were never `launch`ed it does not ask where a file comes from.

    A hand-made request could then name any file of this machine as one that was uploaded, and get it back.
    """
    demo.has_launched = True
    return gr.mount_gradio_app(site, demo, **options)
