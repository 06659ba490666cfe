"""How every page answers a visitor: event options, and what a handler returns when something is wrong."""

import json
from typing import Any

import gradio as gr
from gradio.blocks import Block

from app.errors import ForgedError
from app.look.words import plain
from e2ed2.errors import UserError
from study.errors import StudyError

# What a handler returns: components and their new values; other outputs keep theirs. Never empty.
Updates = dict[Block, Any]

# For events that only rearrange the page.
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# The same, for fields whose choices changed after the page was built: after a restart, the server knows only the
# original choices, and would refuse a page that is still open.
UNCHECKED: dict[str, Any] = QUIET | {"preprocess": False}
# For events that may show a warning: Gradio shows warnings of queued events only.
SAYING: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
# For events that generate: visitors take turns picture by picture, so that nobody waits for all of another's.
# Used with `preprocess=False`: the services check every value, even those of a hand-made request.
GENERATING: dict[str, Any] = {"concurrency_limit": 16, "show_progress": "hidden"}

FAILED = "That did not work. What you typed is still here: please try again."
# Mistakes that a person can put right: each carries a sentence that says how.
MISTAKES = (ForgedError, UserError, StudyError)


def warn(mistake: Exception, request: gr.Request | None) -> str:
    """Show a mistake as a warning on a page and return its sentence; for a client of the API, raise it as an error.

    A page gets no gr.Error, which would leave its outputs unclickable.
    """
    if not from_page(request):
        raise gr.Error(str(mistake), print_exception=False) from mistake
    message = plain(str(mistake))
    gr.Warning(message)
    return message


def from_page(request: gr.Request | None) -> bool:
    """Whether a request comes from one of our pages, not from an API client: Gradio's browser code sends a header."""
    return request is not None and request.headers.get("x-gradio-user") == "app"


def afterwards(event: Any, fn: Any = None, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
    """Run `fn` once `event` has succeeded or failed: after an error, Gradio's browser code skips every `.then`."""
    event.success(fn, inputs, outputs, **options)
    event.failure(fn, inputs, outputs, **options)


def at_once(*answers: Any) -> dict[str, Any]:
    """Options for an event whose outputs get these values or updates in the browser, however busy the server is."""
    shown = json.dumps(answers[0] if len(answers) == 1 else answers)
    return QUIET | {"fn": None, "js": f"() => ({shown})"}


def busy(label: str) -> dict[str, Any]:
    """The look of a button that has been pressed."""
    return gr.update(value=label, interactive=False)
