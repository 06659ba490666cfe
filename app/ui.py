"""All pages in one Blocks, each at its own address."""

from collections.abc import Callable
from functools import partial

import gradio as gr

from app.engine.services import Services
from app.engine.trainings import Trainings
from app.look.building import without_servers
from app.look.mounting import Pages
from app.pages.about.page import AboutPage
from app.pages.compare.page import ComparePage
from app.pages.generate.page import GeneratePage
from app.pages.results.page import ResultsPage
from app.pages.results.people import preferences
from app.pages.study.page import StudyPage
from app.pages.training.page import TrainingPage
from app.pages.training.votes import Organiser
from app.pages.trajectory.page import TrajectoryPage
from app.studies.ready import Studies
from app.studies.votes import rounds

NAME = "E2ED² Studio"
TITLE = f"{NAME}: pictures in one to four steps"  # for link previews; each page also has its own
KEPT = 24 * 3600  # s; a visitor's pictures are deleted from disk after a day


@without_servers()
def build_ui(services: Services, studies: Studies, organiser: Organiser | None = None) -> gr.Blocks:
    """`organiser`: whether a request comes from a study's organiser; None if nobody can sign in."""
    trainings = Trainings(services.models)
    results = partial(
        ResultsPage,
        people=partial(preferences, studies),
        chosen=studies.chosen,
        rounds=lambda: rounds(trainings, studies),
    )
    pages: dict[str, tuple[str, Callable[[Services, gr.Blocks], object]]] = {
        "compare": ("Compare", partial(ComparePage, pair_link=studies.pair_link)),
        "trajectory": ("Trajectory", TrajectoryPage),
        "training": ("Training", partial(TrainingPage, studies=studies, organiser=organiser)),
        "results": ("Results", results),
        "take-part": ("Study", StudyPage),
        "about": ("About", AboutPage),
    }
    with Pages(title=TITLE, analytics_enabled=False, delete_cache=(3600, KEPT)) as demo:
        _page("Generate", GeneratePage, services, demo)
    for path, (name, page) in pages.items():
        with demo.route(name, path):
            _page(name, page, services, demo)
    return demo.queue(max_size=64)


def _page(name: str, build: Callable[[Services, gr.Blocks], object], services: Services, demo: gr.Blocks) -> None:
    gr.Navbar(main_page_name="Generate")
    build(services, demo)
    demo.load(None, js=f"() => {{ document.title = '{name} · {NAME}'; }}")
