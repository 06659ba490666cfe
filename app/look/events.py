"""How every page answers a visitor."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from app.errors import ForgedError
from e2ed2.errors import UserError
from study.errors import StudyError

# For what only moves things about on the page.
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# For what may have something to say: Gradio shows warnings of queued events only.
SAYING: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
# For what paints: visitors take turns picture by picture, so that nobody waits for all of another's. `preprocess=False`
# goes with it: the services check every value, also those of a hand-made request.
PAINTING: dict[str, Any] = {"concurrency_limit": 16, "show_progress": "hidden"}


@contextmanager
def show_errors() -> Generator[list[str]]:
    """A visitor's mistake is a warning and, in the list, a sentence for the page, which keeps all input.

    Not gr.Error for these, which would leave the outputs unclickable.
    """
    sentences: list[str] = []
    try:
        yield sentences
    except ForgedError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except (UserError, StudyError) as error:
        gr.Warning(str(error))
        sentences.append(str(error))


def at_once(*answers: Any) -> dict[str, Any]:
    """Of an event: the browser itself gives its outputs these values or updates, however busy the server is."""
    shown = json.dumps(answers[0] if len(answers) == 1 else answers)
    return QUIET | {"fn": None, "js": f"() => ({shown})"}


def busy(label: str) -> dict[str, Any]:
    """A button that has been pressed."""
    return gr.update(value=label, interactive=False)
