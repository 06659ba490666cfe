"""Everything that the bundled models know, to look through and to search: each thing with a drawing of it."""

from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from gradio.processing_utils import save_file_to_cache
from PIL import Image

from e2ed2.assets import EMOJI
from e2ed2.data.styles import BEST

SCRIPT = Path(__file__).with_name("palette.js").read_text()
SIDE = 48  # px of a drawing
COLUMNS = 32
FRAME = """<input type="search" placeholder="Search: fruit, happy, vehicle …" aria-label="Search what the models know">
<p class="none" role="status" hidden>Nothing of that name. Try it as your prompt: it may be read as something alike.</p>
<div class="things">${value}</div>"""


@cache
def things() -> list[dict[str, Any]]:
    """Name, group, search words and a drawing (PNG or WebP bytes) of each, by groups."""
    columns = ["caption", "group", "keywords", "style", "image"]
    rows = pq.read_table(EMOJI, columns=columns, filters=[("split", "=", "train")]).to_pylist()
    best: dict[str, Any] = {}
    for row in rows:
        if row["caption"] not in best or row["style"] == BEST:
            best[row["caption"]] = row
    return sorted(best.values(), key=lambda row: (row["group"], row["caption"]))


@cache
def drawings() -> bytes:
    """All drawings in one WebP file, row by row."""
    all_of_them = things()
    sheet = Image.new("RGB", (COLUMNS * SIDE, -(-len(all_of_them) // COLUMNS) * SIDE), "white")
    for number, row in enumerate(all_of_them):
        drawing = Image.open(BytesIO(row["image"]["bytes"])).convert("RGB")
        place = (number % COLUMNS * SIDE, number // COLUMNS * SIDE)
        sheet.paste(drawing.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2), place)
    file = BytesIO()
    sheet.save(file, "WEBP", quality=85)
    return file.getvalue()


def palette(cache_folder: str, folder: Path) -> str:
    """HTML: a button for each thing, under the name of its group. `folder` is for a file on its way to the cache."""
    file = folder / "things.webp"
    file.write_bytes(drawings())
    url = f"gradio_api/file={save_file_to_cache(file, cache_folder)}"
    groups: dict[str, list[str]] = {}
    for number, row in enumerate(things()):
        groups.setdefault(row["group"], []).append(_button(row, number))
    sections = "".join(
        f"<section><h3>{escape(_title(group))}</h3><div>{''.join(one)}</div></section>" for group, one in groups.items()
    )
    rows = -(-len(things()) // COLUMNS)
    return f'<div style="--drawings: url({escape(url)}); --columns: {COLUMNS}; --rows: {rows}">{sections}</div>'


def _button(row: dict[str, Any], number: int) -> str:
    name, words = escape(row["caption"]), escape(" ".join([row["caption"], *row["keywords"]]).lower())
    place = f"--x: {number % COLUMNS}; --y: {number // COLUMNS}"
    return f'<button value="{name}" title="{name}" aria-label="{name}" data-words="{words}" style="{place}"></button>'


def _title(group: str) -> str:
    return group.replace("-", " & ", 1).replace("-", " ").capitalize()
