"""How the pages are built."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from gradio.blocks import Blocks
from gradio.routes import App


@contextmanager
def without_servers() -> Generator[None]:
    """Meanwhile, Gradio makes no server of its own whenever a page ends, and no list of all that is on the pages: each
    takes a third of a second, and both are made when the pages are mounted or launched."""
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
