"""All pages in one Blocks, each at its own address."""

from collections.abc import Callable

import gradio as gr

from app.pages.compare import ComparePage
from app.pages.generate import GeneratePage
from app.pages.trajectory import TrajectoryPage
from app.services import Services

TITLE = "E2ED²: pictures in one to four steps"
PAGES = (("Compare", "compare", ComparePage), ("Trajectory", "trajectory", TrajectoryPage))
KEPT = 24 * 3600  # s; a visitor's pictures are deleted from the disk after a day


def build_ui(services: Services) -> gr.Blocks:
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, KEPT)) as demo:
        _page(GeneratePage, services, demo)
    for name, path, page in PAGES:
        with demo.route(name, path):
            _page(page, services, demo)
    return demo.queue(max_size=64)


def _page(build: Callable[[Services, gr.Blocks], object], services: Services, demo: gr.Blocks) -> None:
    gr.Navbar(main_page_name="Generate")
    build(services, demo)
