"""Starts the pages of an installed project: `e2ed2-studio`, or `python -m app`."""

import sys

from app.settings import own_cache, quickly, settings_or_exit


def main() -> None:
    settings = settings_or_exit(sys.argv[1:])
    own_cache()
    with quickly():  # all before gradio is imported
        from app.server import assemble, serve

        parts = assemble(settings, warm_up=True)
    serve(*parts, settings)


if __name__ == "__main__":
    main()
