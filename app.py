"""Starts the pages: `python app.py`, also as a Hugging Face Space."""

from app.settings import settings_or_exit

settings = settings_or_exit()  # before gradio is imported

from app.engine.painter import Services  # noqa: E402
from app.server import serve  # noqa: E402
from app.studies.ready import studies_or_exit  # noqa: E402
from app.ui import build_ui  # noqa: E402

services, studies = Services(settings.checkpoints, settings.runs), studies_or_exit(settings)
demo = build_ui(services, studies)
if __name__ == "__main__":
    serve(demo, services, studies, settings)
