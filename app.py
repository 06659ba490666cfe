"""Starts the pages: `python app.py`, also as a Hugging Face Space."""

from app.settings import settings_or_exit

settings = settings_or_exit()  # before gradio is imported

from app.server import serve  # noqa: E402
from app.services import Services  # noqa: E402
from app.studies import studies_or_exit  # noqa: E402
from app.ui import build_ui  # noqa: E402

demo, studies = build_ui(Services(settings.checkpoints)), studies_or_exit(settings.checkpoints)
if __name__ == "__main__":
    serve(demo, studies, settings)
