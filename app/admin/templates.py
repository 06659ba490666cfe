"""The admin pages' templates, and those of the rater's pages that they extend."""

from pathlib import Path
from typing import Any

from fastapi.templating import Jinja2Templates

from study import web
from study.web.language import translator

TEMPLATES = Jinja2Templates(directory=[Path(__file__).parent / "templates", Path(web.__file__).parent / "templates"])
READS: dict[str, Any] = {
    "_": translator("en"),
    "language": "en",
    "direction": "ltr",
}  # for the rater's templates
TEMPLATES.env.globals.update(READS)
