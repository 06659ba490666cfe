"""Shortcuts while the pages are built."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from gradio.blocks import Blocks
from gradio.routes import App


@contextmanager
def without_servers() -> Generator[None]:
    """Keep Gradio from making a server and a list of all components at the end of each page.

    Each takes a third of a second, and both are made again when the pages are mounted or launched.
    """
    create, listed = App.create_app, Blocks.get_config_file
    App.create_app = staticmethod(lambda *_, **__: None)  # ty: ignore[invalid-assignment]
    Blocks.get_config_file = _nothing  # ty: ignore[invalid-assignment]
    try:
        yield
    finally:
        App.create_app = create  # ty: ignore[invalid-assignment]
        Blocks.get_config_file = listed


def _nothing(_: Blocks) -> Any:
    return {}
