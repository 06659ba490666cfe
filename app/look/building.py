"""How the pages are built."""

from collections.abc import Generator
from contextlib import contextmanager

from gradio.routes import App


@contextmanager
def without_servers() -> Generator[None]:
    """Meanwhile, Gradio makes no server of its own whenever a page ends: each takes a third of a second, and the
    pages are served by the one that is made when they are mounted or launched."""
    create = App.create_app
    App.create_app = staticmethod(lambda *_, **__: None)  # ty: ignore[invalid-assignment]
    try:
        yield
    finally:
        App.create_app = create  # ty: ignore[invalid-assignment]
