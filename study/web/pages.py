"""Templates, and what every page needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi.templating import Jinja2Templates
from markdown_it import MarkdownIt

from study.web.language import RIGHT_TO_LEFT, translator

TEMPLATES = Jinja2Templates(directory=Path(__file__).parent / "templates")
TEMPLATES.env.trim_blocks = TEMPLATES.env.lstrip_blocks = True
TEMPLATES.env.auto_reload = False  # else each page looks whether its files have changed
MARKDOWN = MarkdownIt("commonmark", {"html": False})  # what an organiser wrote as HTML is shown as it was typed
TEMPLATES.env.filters["markdown"] = MARKDOWN.render


@dataclass(frozen=True)
class Offer:
    """What the bare address leads to, where the pages are part of a site: a study, or a sentence why there is none."""

    token: str = ""  # of the study
    sentence: str = ""
    waiting: bool = False  # the study is being made: look again in a moment
    home: str = ""  # the site's start page, relative to these pages' root; linked from the last page


def offer_of(request: Request) -> Offer | None:
    make = request.app.state.offer
    return make() if make else None


def route(request: Request) -> str:
    """The path within this application."""
    return request.scope["path"].removeprefix(request.scope.get("root_path", ""))


def root(request: Request) -> str:
    """The way from this page to the application's root: links hold under any mount and behind any proxy."""
    return "../" * (route(request).count("/") - 1) or "./"


def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """In the language of the study that the page is of; in English where it is of none."""
    language = getattr(request.state, "language", "en")
    direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    known = {"root": root(request), "language": language, "direction": direction, "_": translator(language)}
    return TEMPLATES.TemplateResponse(request, template, known | values, status_code=status)


def go(request: Request, path: str) -> Response:
    """See another page; the browser's reload then sends no form again."""
    return RedirectResponse(root(request) + path, status_code=303)
