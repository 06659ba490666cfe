"""How every page answers a visitor: options of its events, and what a handler gives when something is wrong."""

import json
from typing import Any

import gradio as gr
from gradio.blocks import Block

from app.errors import ForgedError
from app.look.words import plain
from e2ed2.errors import UserError
from study.errors import StudyError

# What a handler gives: components and their new values; the other outputs stay as they are. Never empty.
Updates = dict[Block, Any]

# For what only moves things about on the page.
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# The same, for choices that a page has been given since it was built: after a restart, the server knows only those it
# was built with, and would refuse a page that is still open.
UNCHECKED: dict[str, Any] = QUIET | {"preprocess": False}
# For what may have something to say: Gradio shows warnings of queued events only.
SAYING: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
# For what generates: visitors take turns picture by picture, so that nobody waits for all of another's.
# `preprocess=False` goes with it: the services check every value, also those of a hand-made request.
GENERATING: dict[str, Any] = {"concurrency_limit": 16, "show_progress": "hidden"}

FAILED = "That did not work. What you typed is still here: please try again."
# What a person can put right: each carries a sentence that says how.
MISTAKES = (ForgedError, UserError, StudyError)


def warn(mistake: Exception, request: gr.Request | None) -> str:
    """On a page, a mistake is a warning, and this is the sentence to show; for a client of the API it is an error.

    Not gr.Error on a page, which would leave the outputs unclickable.
    """
    if not from_page(request):
        raise gr.Error(str(mistake), print_exception=False) from mistake
    said = plain(str(mistake))
    gr.Warning(said)
    return said


def from_page(request: gr.Request | None) -> bool:
    """Whether one of our pages asks, not a client of the API: Gradio's browser code says so in a header."""
    return request is not None and request.headers.get("x-gradio-user") == "app"


def afterwards(event: Any, fn: Any = None, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
    """Do this when `event` has ended, well or not: after an error, Gradio's browser code skips every `.then`."""
    event.success(fn, inputs, outputs, **options)
    event.failure(fn, inputs, outputs, **options)


def at_once(*answers: Any) -> dict[str, Any]:
    """Of an event: the browser itself gives its outputs these values or updates, however busy the server is."""
    shown = json.dumps(answers[0] if len(answers) == 1 else answers)
    return QUIET | {"fn": None, "js": f"() => ({shown})"}


def busy(label: str) -> dict[str, Any]:
    """A button that has been pressed."""
    return gr.update(value=label, interactive=False)
