"""This browser's pictures: the browser stores them, `history.js` shows them; here is what is sent and what returns."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

from PIL import Image

from app.errors import ForgedError
from app.look.files import file_name, from_data_url, png, write, write_zip
from e2ed2.errors import UserError
from e2ed2.inference.request import Request

SCRIPT = Path(__file__).with_name("history.js").read_text()
MOST = 500  # pictures in one download
NOT_OURS = "This picture does not say how it was made: take one from here that has its settings written into it."


def entries(made: Sequence[tuple[Request, Image.Image]]) -> str:
    """JSON for the browser: settings and the full picture, small enough to store a hundred."""
    return json.dumps([asdict(settings) | {"picture": _lossless(picture)} for settings, picture in made])


def restored(given: object) -> Request:
    """The request that a browser stored, or read from a picture's file. Raises UserError: it is not valid."""
    try:
        entry: Mapping = given  # ty: ignore[invalid-assignment]
        prompt, model, caption = (str(entry[name]) for name in ("prompt", "model", "caption"))
        return Request(prompt, model, int(entry["steps"]), int(entry["seed"]), caption)
    except (TypeError, KeyError, ValueError, OverflowError):  # the last for an infinite number
        raise UserError(NOT_OURS) from None


def archive(kept: object, folder: Path) -> str:
    """A zip of the pictures that a browser stored, as PNG files with their settings, and a manifest.

    Raises UserError or ForgedError: no pictures, too many, or some that are not ours.
    """
    if not isinstance(kept, list) or len(kept) > MOST:
        raise ForgedError(f"pictures must be a list of at most {MOST}.")
    if not kept:
        raise UserError("There is no picture to download yet.")
    settings = [restored(one) for one in kept]
    files = [
        write(folder, png(_picture(one), request), f"{number:03}_{file_name(request)}")
        for number, (one, request) in enumerate(zip(kept, settings, strict=True), 1)
    ]
    return write_zip(folder, files, settings)


def _picture(kept: Mapping) -> Image.Image:
    try:
        return from_data_url(kept["picture"]).convert("RGB")
    except (KeyError, AttributeError, ValueError, OSError):
        raise ForgedError("picture must be a data URL of an image.") from None


def _lossless(picture: Image.Image) -> str:
    file = BytesIO()
    picture.save(file, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
