"""This browser's pictures: settings with a thumbnail, the newest first. Kept by the browser, not by the server."""

from dataclasses import asdict
from typing import Any

from PIL import Image

from app.look.files import data_url, from_data_url
from e2ed2.inference.request import Request

LENGTH = 24
THUMBNAIL = 64  # px


def remember(history: list[dict[str, Any]], settings: Request, picture: Image.Image) -> list[dict[str, Any]]:
    """The same settings are kept once."""
    entry = asdict(settings)
    older = [one for one in history if {name: one.get(name) for name in entry} != entry]
    return [entry | {"thumbnail": data_url(picture, THUMBNAIL)}, *older][:LENGTH]


def shown(history: list[dict[str, Any]]) -> list[tuple[Image.Image, str]]:
    """For a gallery."""
    return [(from_data_url(one["thumbnail"]), f"{one['prompt']} · {one['model']} · {one['steps']}") for one in history]
