"""Everything that the bundled models know, each with a drawing."""

import tempfile
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

SCRIPT = Path(__file__).with_name("drawings.js").read_text()  # reports which button with a drawing was pressed
SIDE = 48  # px, a drawing
COLUMNS = 32


@cache
def things() -> list[dict[str, Any]]:
    """Name, group, search words and a drawing (PNG or WebP bytes) of each thing, ordered by group."""
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


@cache
def places() -> dict[str, str]:
    """The place of each name's drawing on the sheet, as a CSS style for `.drawing`."""
    return {row["caption"]: f"--x: {number % COLUMNS}; --y: {number // COLUMNS}" for number, row in enumerate(things())}


def on_the_sheet(inside: str, cache_folder: str) -> str:
    """HTML in which an element of the class `drawing` with its place shows a drawing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "things.webp")
        file.write_bytes(drawings())
        url = f"gradio_api/file={save_file_to_cache(file, cache_folder)}"
    rows = -(-len(things()) // COLUMNS)
    return f'<div style="--drawings: url({escape(url)}); --columns: {COLUMNS}; --rows: {rows}">{inside}</div>'
