"""Starts the pages: `python app.py`, also as a Hugging Face Space."""

from app.settings import settings_or_exit

settings = settings_or_exit()  # before gradio is imported

from app.server import assemble, serve  # noqa: E402

demo, services, studies = assemble(settings)
if __name__ == "__main__":
    serve(demo, services, studies, settings)
