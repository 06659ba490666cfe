"""Starts the pages where the project is installed: `e2ed2-studio`, or `python -m app`."""

import sys

from app.settings import own_cache, settings_or_exit


def main() -> None:
    settings = settings_or_exit(sys.argv[1:])
    own_cache()  # all before gradio is imported

    from app.server import assemble, serve

    serve(*assemble(settings, warm_up=True), settings)


if __name__ == "__main__":
    main()
