"""Starts the pages: `python app.py`, also as a Hugging Face Space."""

import sys

from app.settings import own_cache, quickly, settings_or_exit

settings = settings_or_exit(sys.argv[1:] if __name__ == "__main__" else ())
own_cache()
with quickly():  # all before gradio is imported
    from app.server import assemble, serve

    demo, services, studies = assemble(settings, warm_up=True)
if __name__ == "__main__":
    serve(demo, services, studies, settings)
