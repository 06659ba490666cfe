"""Everything that the bundled models know, to browse and search."""

from html import escape
from pathlib import Path
from typing import Any

from app.pages.generate import drawings
from app.pages.generate.drawings import on_the_sheet, places, things

SCRIPT = drawings.SCRIPT + Path(__file__).with_name("palette.js").read_text()
FRAME = """<input type="search" placeholder="Search: fruit, happy, vehicle …" aria-label="Search what the models know">
<p class="none" role="status" hidden>Nothing of that name. Try it as your prompt: it may be read as something alike.</p>
<div class="things">${value}</div>"""


def palette(cache_folder: str) -> str:
    """HTML: a button for each thing, under the name of its group."""
    groups: dict[str, list[str]] = {}
    for row in things():
        groups.setdefault(row["group"], []).append(_button(row))
    sections = "".join(
        f"<section><h3>{escape(_title(group))}</h3><div>{''.join(one)}</div></section>" for group, one in groups.items()
    )
    return on_the_sheet(sections, cache_folder)


def _button(row: dict[str, Any]) -> str:
    name, words = escape(row["caption"]), escape(" ".join([row["caption"], *row["keywords"]]).lower())
    named = f'value="{name}" title="{name}" aria-label="{name}" data-words="{words}"'
    return f'<button class="drawing" {named} style="{places()[row["caption"]]}"></button>'


def _title(group: str) -> str:
    return group.replace("-", " & ", 1).replace("-", " ").capitalize()
