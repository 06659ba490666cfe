"""Turns settings into a page's address, and back."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

import gradio as gr

TEXTS = ("prompt", "model", "style", "read_as", "models", "rows", "row_values", "columns", "column_values", "second")
NUMBERS = ("steps", "seed", "count")
SWITCHES = ("exactly",)


def link(request: gr.Request, page: str = "", **values: object) -> str:
    """The address of one of this site's pages with these settings, as seen from the visitor's browser."""
    address = urlsplit(request.headers.get("referer") or str(request.url))
    folder = address.path.rpartition("/")[0] if "gradio_api" not in address.path else ""
    return urlunsplit((address.scheme, address.netloc, f"{folder}/{page}", urlencode(values, errors="replace"), ""))


def settings_of(query: Mapping[str, str]) -> dict[str, str | int | None]:
    """The settings in an address; one that should be a number but is not becomes None, which no plan accepts."""
    reads = dict.fromkeys(TEXTS, str) | dict.fromkeys(NUMBERS, _number) | dict.fromkeys(SWITCHES, _on)
    return {name: read(value) for name, read in reads.items() if (value := query.get(name))}


def _on(text: str) -> bool:
    return text == "1"


def nearest(value: str | int | None, offered: Sequence[int]) -> int:
    """The offered number nearest to what a link asks for; the last one if it asks for no number."""
    return min(offered, key=lambda one: abs(one - value)) if isinstance(value, int) else offered[-1]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
